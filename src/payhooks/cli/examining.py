"""The looks that ``payhooks doctor`` takes. Each ends in a finding, never in an error."""

import ipaddress
import resource
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from payhooks.bootstrap import open_control
from payhooks.cli import local
from payhooks.cli.client import Api
from payhooks.cli.exits import sentence_of
from payhooks.control import resealing
from payhooks.control.context import Control
from payhooks.errors import InvalidError, PayhooksError, UnavailableError, WrongStateError
from payhooks.installed import load_dialects
from payhooks.limits import (
    CLOCK_SKEW_S_MAX,
    CONNECT_TIMEOUT_S,
    SLOTS_PER_PROCESS,
    WORKER_SILENT_S,
)
from payhooks.model.merchant import Mode
from payhooks.ports.sweeping import Health
from payhooks.settings import PREFIX, Settings

# A connection each way for every slot, and some for store, logs and listeners.
FILES_MIN: Final = 2 * SLOTS_PER_PROCESS + 1_000
_METADATA: Final = ipaddress.ip_address("169.254.169.254")


class Level(StrEnum):
    """How much a finding matters."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


_MARKS: Final = {Level.GOOD: "✓", Level.NOTE: "!", Level.BAD: "✗"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look found."""

    name: str
    level: Level
    words: str

    @property
    def mark(self) -> str:
        """Return the sign at the beginning of its line."""
        return _MARKS[self.level]

    @property
    def is_bad(self) -> bool:
        """Whether it keeps the installation from its work."""
        return self.level is Level.BAD

    def plain(self) -> dict[str, str]:
        """Return it for programs."""
        return {"name": self.name, "level": self.level, "words": self.words}


async def examine() -> list[Finding]:
    """Return every finding; without settings there is only one."""
    try:
        settings = local.settings()
    except InvalidError as error:
        return [_finding("settings", Level.BAD, sentence_of(error))]
    findings = [_finding("settings", Level.GOOD, "complete")]
    dialects = _dialects()
    findings.append(dialects)
    if not dialects.is_bad:
        # With a broken one nothing here opens the store either.
        findings += [finding async for finding in _store(settings)]
    findings.append(_public_urls(settings))
    findings += _egress(settings)
    findings.append(_files())
    return findings


def _dialects() -> Finding:
    try:
        brought = load_dialects()
    except InvalidError as error:
        words = " ".join(fault.detail for fault in error.faults)
        return _finding("dialects", Level.BAD, words)
    words = f"ours and {', '.join(brought)}" if brought else "ours alone"
    return _finding("dialects", Level.GOOD, words)


async def _store(settings: Settings) -> AsyncIterator[Finding]:
    path = settings.sqlite_path
    if path is not None and not path.exists():
        # Opening it would make it, and a look must not change anything.
        yield _finding("store", Level.NOTE, f"{path} is not there yet; serving makes it")
        return
    try:
        control = await open_control(settings)
    except WrongStateError:
        # One process at a time has a SQLite file: the one that has it knows the rest.
        yield _finding("store", Level.GOOD, f"{path} is in use; the server that has it is asked")
        yield _served(settings)
        return
    except UnavailableError as error:
        yield _finding("store", Level.BAD, sentence_of(error))
        return
    try:
        health = await control.store.health()
        secrets = await _secrets(control)
    except UnavailableError as error:
        yield _finding("store", Level.BAD, sentence_of(error))
        return
    finally:
        await control.store.close()
    yield _finding("store", Level.GOOD, "answers")
    yield secrets
    for finding in _of_health(health):
        yield finding


async def _secrets(control: Control) -> Finding:
    try:
        await resealing.demand_openable(control)
    except UnavailableError as error:
        return _finding("secrets", Level.BAD, sentence_of(error))
    return _finding("secrets", Level.GOOD, "open with PAYHOOKS_SECRET_KEY")


def _of_health(health: Health) -> list[Finding]:
    weak = health.durability.startswith("degraded")
    skewed = abs(health.clock_skew_s) > CLOCK_SKEW_S_MAX
    alive = [worker for worker in health.workers if worker.seen_s_ago < WORKER_SILENT_S]
    return [
        _finding("schema", Level.GOOD, f"version {health.schema_version}"),
        _finding("durability", Level.BAD if weak else Level.GOOD, health.durability),
        _finding(
            "clock",
            Level.BAD if skewed else Level.GOOD,
            f"{health.clock_skew_s:+.3f} s from the store's; {CLOCK_SKEW_S_MAX:g} s are allowed",
        ),
        _finding(
            "workers",
            Level.GOOD if alive else Level.NOTE,
            f"{len(alive)} reported lately" if alive else "none reported lately: events wait",
        ),
    ]


def _served(settings: Settings) -> Finding:
    host, port = settings.host_and_port
    # Who listens everywhere is asked here.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    url = local.url_of(host, port)
    try:
        answer = Api(url=url, key="none").call("GET", "/readyz")
    except PayhooksError as error:
        return _finding("server", Level.BAD, sentence_of(error))
    checks = "; ".join(f"{name}: {words}" for name, words in answer.json["checks"].items())
    return _finding("server", Level.GOOD, f"is ready at {url}: {checks}")


def _public_urls(settings: Settings) -> Finding:
    urls = {mode: getattr(settings, f"public_url_{mode}") for mode in Mode}
    missing = [f"{PREFIX}PUBLIC_URL_{mode.upper()}" for mode, url in urls.items() if url is None]
    if not missing:
        return _finding("public URLs", Level.GOOD, "set")
    words = f"without {' and '.join(missing)}, URLs to paste begin with {settings.own_url}"
    return _finding("public URLs", Level.NOTE, words)


def _egress(settings: Settings) -> list[Finding]:
    findings = []
    if settings.egress_proxy is None:
        findings.append(_finding("egress", Level.GOOD, "direct"))
    else:
        findings.append(_proxy(settings.egress_proxy.get_secret_value()))
    bundle = settings.egress_ca_bundle
    if bundle is not None and not bundle.is_file():
        findings.append(_finding("certificates", Level.BAD, f"{bundle} cannot be read"))
    for word in settings.egress_allow:
        try:
            network = ipaddress.ip_network(word)
        except ValueError:
            continue  # a name
        if network.version == _METADATA.version and _METADATA in network:
            words = f"{word} lets endpoints reach the machine's metadata service"
            findings.append(_finding("egress", Level.NOTE, words))
    return findings


def _proxy(url: str) -> Finding:
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 80}"
    try:
        address = (parts.hostname or "", parts.port or 80)
        with socket.create_connection(address, timeout=CONNECT_TIMEOUT_S):
            return _finding("egress", Level.GOOD, f"the proxy at {where} answers")
    except OSError as error:
        words = f"the proxy at {where} does not answer: {error.strerror or 'no reason given'}"
        return _finding("egress", Level.BAD, words)


def _files() -> Finding:
    # A server raises its soft limit to the hard one itself.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = hard == resource.RLIM_INFINITY or hard >= FILES_MIN
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    level = Level.GOOD if enough else Level.NOTE
    return _finding("files", level, f"{shown} may be open; {FILES_MIN} are ample")


def _finding(name: str, level: Level, words: str) -> Finding:
    return Finding(name=name, level=level, words=words)

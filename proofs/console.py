"""The console: its rows, what a first load weighs, what pages cost the server, lists in a crowd."""

import http.client
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import rss_mb
from playwright.sync_api import Browser
from tests.support.chromium import Chromium, Installation, browser
from tests.support.console_pages import furnish, templates
from tests.support.ports import free_port
from tests.support.server import Api

from proofs import console_lists
from proofs.ground import QUICK, Size, open_store
from proofs.lines import Line, at_most

FIRST_LOAD_KB_MAX: Final = 100.0
RSS_MB_MORE_MAX: Final = 5.0
_LOADS: Final = 2_000
_WARM: Final = 200
_QUICK_LOADS: Final = 90
_QUICK_WARM: Final = 30
_QUICK_DELIVERIES: Final = 20_000
STORES: Final = ("sqlite", "postgres")
# What the first screen of a list shows where there is much of everything.
_WEBHOOKS: Final = 50
_EVENTS: Final = 60
_OK: Final = 200
# Where people begin: before they are let in, after, and where the document sends them.
_FIRST: Final = ("/console/sign-in", "/console/overview", "/console/settings/webhooks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """One page, loaded by a browser that has seen none before."""

    name: str
    kb: float  # of 1,000 bytes, with headers
    requests: int


def prove_weight(size: Size) -> Iterator[Line]:
    """Yield what a first load brings over the wire: the first pages, and the heaviest of all."""
    with _console(crowd=size != QUICK) as (installation, gaps), browser() as started:
        loads = [_load(started, installation, template, gaps) for template in templates()]
    heaviest = max(loads, key=_by_weight)
    named = {load.name: load for load in loads if load.name in _FIRST}
    for name, load in {**named, f"the heaviest of {len(loads)}, {heaviest.name}": heaviest}.items():
        line = f"first load of {name}: {load.requests} requests"
        yield at_most(line, load.kb, FIRST_LOAD_KB_MAX, "KB")


def prove_memory(size: Size) -> Iterator[Line]:
    """Yield how much more memory the server has after many page loads than after some."""
    loads, warm = (_QUICK_LOADS, _QUICK_WARM) if size == QUICK else (_LOADS, _WARM)
    with _console(crowd=True) as (installation, gaps):
        paths = [
            template.format_map(gaps)
            for template, is_open in templates().items()
            # These answer with a refusal or a redirect, which are no page loads.
            if not is_open and "from=soon" not in template and "q=nothing" not in template
        ]
        reader = _Reader(installation)
        reader.load(paths, warm)
        before_mb = rss_mb(installation.server.pid)
        reader.load(paths, loads - warm)
        more_mb = rss_mb(installation.server.pid) - before_mb
    name = f"memory of the server: {loads:,} page loads against {warm}"
    yield at_most(name, more_mb, RSS_MB_MORE_MAX, "MB more")


def prove_lists(size: Size) -> Iterator[Line]:
    """Yield how long each list takes where a million deliveries are stored, on both stores."""
    deliveries = _QUICK_DELIVERIES if size == QUICK else console_lists.DELIVERIES
    for kind in STORES:
        with ExitStack() as stack:
            store = open_store(stack, kind)
            for timed in console_lists.measure(store, deliveries=deliveries):
                name = f"{store.name}: {timed.name}, {timed.rows} rows"
                yield at_most(name, timed.ms, console_lists.LIMIT_MS, "ms")


PARTS: Final[dict[str, Callable[[Size], Iterator[Line]]]] = {
    "weight": prove_weight,
    "memory": prove_memory,
    "lists": prove_lists,
}


@contextmanager
def _console(*, crowd: bool) -> Iterator[tuple[Installation, Mapping[str, str]]]:
    """Yield a served console with something on every page, and what fills the gaps of paths."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="payhooks-console-")))
        installation = Installation(folder)
        stack.callback(installation.server.close)
        installation.server.start()
        gaps = furnish(installation)
        if crowd:
            _crowd(installation)
        yield installation, gaps


def _crowd(installation: Installation) -> None:
    """Fill the first screen of the lists."""
    api, at = Api(installation.server.port), installation.merchant_path
    for number in range(_WEBHOOKS):
        url = f"http://127.0.0.1:{free_port()}/webhooks/{number}"
        said = {"label": f"Branch {number}", "url": url, "events": ["ach.settled", "ach.failed"]}
        api.post(f"{at}/endpoints", said)
    for number in range(_EVENTS):
        data = {"number": number}
        api.post(f"{at}/events", {"type": "transaction.sale.voided", "data": data})


def _load(
    started: Browser, installation: Installation, template: str, gaps: Mapping[str, str]
) -> Loaded:
    """Load a page with an empty cache and count all that comes, headers too."""
    with Chromium(started, installation) as chromium:
        window = chromium.at() if templates()[template] else chromium.signed_in()
        session = window.context.new_cdp_session(window.page)
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda done: sizes.append(done["encodedDataLength"]))
        session.send("Network.enable")
        window.open(template.format_map(gaps))
        window.page.wait_for_load_state("networkidle")
        session.detach()
    return Loaded(name=template, kb=sum(sizes) / 1_000, requests=len(sizes))


def _by_weight(load: Loaded) -> float:
    return load.kb


class _Reader:
    """Somebody signed in who opens page after page."""

    def __init__(self, installation: Installation) -> None:
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", installation.server.port, timeout=30
        )
        self._headers = {"cookie": f"__Host-payhooks={installation.people['owner'].cookie}"}

    def load(self, paths: Sequence[str], count: int) -> None:
        """Open so many, one after the other, in turns."""
        for number in range(count):
            path = paths[number % len(paths)]
            self._connection.request("GET", path, headers=self._headers)
            answer = self._connection.getresponse()
            text = answer.read()
            if answer.status != _OK:
                raise RuntimeError(f"{path}: {answer.status} {text[:200]!r}")

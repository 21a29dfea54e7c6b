"""How long the console's lists take where a million deliveries are stored.

    python -m proofs.console_lists [--store sqlite|postgres] [--deliveries N]

The mix is that of a merchant for whom nearly all is well, which is the hard one: 50 webhooks, 20
types, two of them rare and one that nobody selected; of the deliveries one in a thousand failed and
a few hundred wait. What is rare and far apart is what a list must not walk to.
"""

import argparse
import asyncio
import http.client
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlencode

import pyotp
from benchmarks.stocks import write
from tests.support.ports import free_port
from tests.support.server import SECRET_KEY, Api, Server, Tenant

from payhooks import ids
from payhooks.bootstrap import open_control
from payhooks.control import factors, merchants, sessions, users
from payhooks.control.context import SYSTEM
from payhooks.control.sessions import Visitor
from payhooks.control.users import UserDraft
from payhooks.model.user import Role
from payhooks.settings import Settings
from payhooks.storage import statements
from proofs.ground import Store, database, open_store

DELIVERIES: Final = 1_000_000
LIMIT_MS: Final = 50.0
LOOKS: Final = 20
_WEBHOOKS: Final = 50
_KEYS: Final = 25
_MEMBERS: Final = 8
# Rows of one statement.
_SLICE: Final = 100_000
_DAY_MS: Final = 86_400_000
_PASSWORD: Final = "seven tall herons wade"
_COOKIE: Final = "__Host-payhooks"
_OK: Final = 200

_RARE: Final = "dispute.lost"  # ten in a million
_SELDOM: Final = "payout.failed"
_UNHEARD: Final = "customer.updated"
_COMMON: Final = (
    "payment_intent.created",
    "payment_intent.processing",
    "payment_intent.succeeded",
    "payment_intent.canceled",
    "payment_intent.requires_action",
    "charge.captured",
    "charge.expired",
    "charge.failed",
    "charge.pending",
    "charge.refunded",
    "charge.succeeded",
    "refund.created",
    "refund.updated",
    "payout.created",
    "payout.paid",
    "transfer.created",
    "transfer.updated",
    _UNHEARD,
)
_NAMED: Final = " ".join(f"WHEN {number} THEN '{name}'" for number, name in enumerate(_COMMON))
_TYPE: Final = (
    f"CASE WHEN n % 49999 = 7 THEN '{_RARE}' WHEN n % 4999 = 3 THEN '{_SELDOM}'"
    f" ELSE CASE n % {len(_COMMON)} {_NAMED} END END"
)
# Remainders of primes, so that what is rare lies on all webhooks and types.
_WORDS: Final = {
    "type": _TYPE,
    "selected": f"({_TYPE}) <> '{_UNHEARD}'",
    "undone": "n % 2503 = 1",
    "number": f"(1 + (n * 7 + side * 24) % {_WEBHOOKS})",
    "state": (
        "CASE WHEN side = 0 AND n % 997 = 11 THEN 4 WHEN side = 1 AND n % 9973 = 5 THEN 5"
        " ELSE 3 END"
    ),
    "reason": (
        "CASE WHEN side = 0 AND n % 997 = 11 THEN CASE WHEN n % 91 = 0 THEN 'tls'"
        " WHEN n % 3 = 0 THEN 'timeout' ELSE 'http_5xx' END END"
    ),
    "data": """'{"id":"pay_' || n || '","amount":"1250.00","currency":"EUR"}'""",
    "day_ms": str(_DAY_MS),
}
_NAMES: Final = ("events", "deliveries", "attempts", "queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One list: its name, the median of a few looks at it, and how many rows it showed."""

    name: str
    ms: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stocked:
    """A full store that is not being served."""

    server: Server
    tenant: Tenant
    webhooks: Sequence[str]


def measure(store: Store, *, deliveries: int = DELIVERIES, looks: int = LOOKS) -> Iterator[Timed]:
    """Yield each list of the console, as a process of its own serves it, after so many looks."""
    with ExitStack() as stack:
        name = stack.enter_context(TemporaryDirectory(prefix="payhooks-lists-"))
        url = stack.enter_context(database(store, Path(name)))
        stocked = stock(Server(Path(name) / "server", url), deliveries)
        cookie = asyncio.run(_signed_in(url, stocked.tenant.id))
        stack.callback(stocked.server.close)
        stocked.server.start()
        reader = _Reader(stocked.server.port, cookie, looks)
        stack.callback(reader.close)
        for named, path, query in _lists(stocked):
            yield reader.time(named, path, query)
        for named, path in (("deliveries", "/deliveries"), ("events", "/events")):
            yield reader.time(f"{named}: second page", path, reader.second_page(path))


def stock(server: Server, deliveries: int) -> Stocked:
    """Fill a store that is empty with so many deliveries of one merchant."""
    server.start()
    try:
        tenant = Tenant(Api(server.port), "Lists")
        webhooks = [
            tenant.endpoint(f"http://127.0.0.1:{free_port()}/{number}", events=["*"])
            for number in range(_WEBHOOKS)
        ]
        # What waits for this one is held.
        tenant.api.post(f"{tenant.path}/endpoints/{webhooks[-1]}/pause")
        for number in range(_KEYS):
            body = {"label": f"Key {number}", "scopes": ["events:write"]}
            tenant.api.post(f"{tenant.path}/keys", body)
    finally:
        server.stop()
    write(server.database_url, _texts(server.database_url, tenant.id, deliveries))
    return Stocked(server=server, tenant=tenant, webhooks=webhooks)


def _texts(database_url: str, merchant_id: str, deliveries: int) -> Iterator[str]:
    """Yield the statements that fill a store, each of a slice."""
    # Two deliveries of each event but those that nobody selected.
    events = deliveries * len(_COMMON) // (2 * (len(_COMMON) - 1))
    merchant = ids.from_text(ids.MERCHANT, merchant_id)
    assert merchant is not None
    is_sqlite = database_url.startswith("sqlite:")
    began_ms = int(datetime.now(UTC).timestamp() * 1000) - _DAY_MS
    words = {
        **_WORDS,
        "merchant": f"x'{merchant.hex()}'" if is_sqlite else f"'{merchant.hex()}'::uuid",
        "at_ms": f"({began_ms} + n * {_DAY_MS} / {events})",
    }
    if is_sqlite:
        words["data"] = f"CAST({words['data']} AS BLOB)"
    file = f"console_lists_{'sqlite' if is_sqlite else 'postgres'}.sql"
    texts = statements.load("proofs", file)
    for name in _NAMES:
        for first in range(1, events + 1, _SLICE):
            last = min(first + _SLICE - 1, events)
            yield texts[name].format(**words, first=first, last=last)


async def _signed_in(database_url: str, merchant_id: str) -> str:
    """Return the cookie of an owner who has just given a second factor; others are in the team."""
    settings = Settings.model_validate({"database_url": database_url, "secret_key": SECRET_KEY})
    control = await open_control(settings)
    try:
        merchant = await merchants.find(control, SYSTEM, merchant_id)
        names = ["owner", *(f"member{number}" for number in range(_MEMBERS))]
        made = [
            await users.create(
                control,
                SYSTEM,
                UserDraft(
                    username=name,
                    email=f"{name}@example.com",
                    password=_PASSWORD,
                    merchant=merchant,
                    role=Role.OWNER,
                ),
            )
            for name in names
        ]
        visitor = Visitor(ip="127.0.0.1", agent="Proof")
        opened = await sessions.sign_in(control, visitor, name=names[0], password=_PASSWORD)
        signed_in = await sessions.find(control, opened.text)
        assert signed_in is not None
        enrolment = await factors.enrol(control, SYSTEM, made[0])
        code = pyotp.TOTP(enrolment.seed).at(control.clock.now())
        await factors.confirm(control, SYSTEM, signed_in, code)
    finally:
        await control.store.close()
    return opened.text


def _lists(stocked: Stocked) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Yield name, path and query of every list but those that begin where another ends."""
    now = datetime.now(UTC)
    deep = ids.first_id_at(now - timedelta(hours=12))
    span = {
        "from": f"{now - timedelta(hours=20):%Y-%m-%dT%H:%M}",
        "to": f"{now - timedelta(hours=19):%Y-%m-%dT%H:%M}",
    }
    webhook = {"webhook": stocked.webhooks[7]}
    deliveries: list[Mapping[str, str]] = [
        {},
        *({"status": status} for status in _DELIVERY_STATUSES),
        webhook,
        *({"type": type_} for type_ in ("charge.captured", _SELDOM, _RARE, _UNHEARD, "no.such")),
        *({"type": pattern} for pattern in ("charge.*", "dispute.*", "*")),
        *({"reason": reason} for reason in ("http_5xx", "timeout", "tls", "dns")),
        span,
        {"status": "failed", "type": "charge.captured"},
        {"status": "failed", "type": _RARE},
        {"status": "cancelled", "type": "payout.*"},
        {"status": "delivered", "type": _RARE},
        {"status": "held", "type": _RARE},
        *({"status": status, **webhook} for status in ("failed", "cancelled", "delivered")),
        {"type": _RARE, **webhook},
        {"type": _UNHEARD, **webhook},
        {"reason": "tls", **webhook},
        {"status": "failed", "type": "charge.*", "reason": "timeout", **webhook, **span},
        {"after": ids.to_text(ids.DELIVERY, deep)},
        {"after": ids.to_text(ids.DELIVERY, deep), "type": _RARE},
    ]
    yield from (_named("deliveries", "/deliveries", query) for query in deliveries)
    events: list[Mapping[str, str]] = [
        {},
        *({"status": status} for status in _EVENT_STATUSES),
        *({"type": type_} for type_ in ("charge.captured", _SELDOM, _RARE, _UNHEARD, "no.such")),
        *({"type": pattern} for pattern in ("charge.*", "dispute.*", "*")),
        *({"status": status, "type": _RARE} for status in _EVENT_STATUSES),
        {"object": "pay_33333"},
        {"object": "pay_33333", "status": "failed"},
        span,
        {"after": ids.to_text(ids.EVENT, deep)},
    ]
    yield from (_named("events", "/events", query) for query in events)
    for name, path in _OTHERS.items():
        yield _named(name, path, {})
    yield _named("webhook", f"/settings/webhooks/{stocked.webhooks[7]}", {})


_DELIVERY_STATUSES: Final = (
    *("scheduled", "blocked", "held", "sending", "delivered", "failed", "cancelled"),
)
_EVENT_STATUSES: Final = ("unsubscribed", "pending", "delivered", "failed", "cancelled")
_OTHERS: Final = {
    "webhooks": "/settings/webhooks",
    "replays": "/replays",
    "audit log": "/settings/audit-log",
    "keys": "/settings/keys",
    "team": "/settings/team",
}


def _named(name: str, path: str, query: Mapping[str, str]) -> tuple[str, str, Mapping[str, str]]:
    said = ", ".join(
        key if key in {"webhook", "after", "to"} else f"{key} {value}"
        for key, value in query.items()
    )
    return f"{name}: {said or 'all'}", path, query


class _Reader:
    """Somebody signed in who looks at pages over one connection."""

    def __init__(self, port: int, cookie: str, looks: int) -> None:
        self._looks = looks
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"cookie": f"{_COOKIE}={cookie}"}

    def time(self, name: str, path: str, query: Mapping[str, str]) -> Timed:
        """Return how long the page takes, as the median, after a first look."""
        text = self._get(path, query)
        took = []
        for _ in range(self._looks):
            began_s = time.perf_counter()
            self._get(path, query)
            took.append((time.perf_counter() - began_s) * 1000)
        return Timed(name=name, ms=statistics.median(took), rows=max(0, text.count("<tr") - 1))

    def second_page(self, path: str) -> Mapping[str, str]:
        """Return what the link to the next page asks for."""
        after = self._get(path, {}).partition("?after=")[2].partition('"')[0]
        assert after, f"{path} has one page"
        return {"after": after}

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _get(self, path: str, query: Mapping[str, str]) -> str:
        target = f"/console{path}?{urlencode(query)}" if query else f"/console{path}"
        self._connection.request("GET", target, headers=self._headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != _OK:
            raise RuntimeError(f"{target}: {answer.status} {text[:200]}")
        return text


def main(arguments: Sequence[str]) -> int:
    """Print every list; return 0 where each is quick enough."""
    parser = argparse.ArgumentParser(prog="python -m proofs.console_lists", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--deliveries", type=int, default=DELIVERIES)
    asked = parser.parse_args(arguments)
    worst = 0.0
    with ExitStack() as stack:
        store = open_store(stack, asked.store)
        for timed in measure(store, deliveries=asked.deliveries):
            worst = max(worst, timed.ms)
            print(f"{timed.ms:8.1f} ms  {timed.rows:3} rows  {timed.name}", flush=True)
    return 0 if worst <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

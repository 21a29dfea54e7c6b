"""What an event costs where much else is there: history, endpoints, a backlog.

Each stands beside an engine on an empty store, and they are loaded in turns: a shared machine
changes its mind within a minute, and a figure of before and one of after said 1.3 or 1.6 of the
same engine within an hour. What is compared is CPU per delivery, of the serving process and of
the database together; of the turns, the pair in the middle counts.

Learnt from profiles of 50,000 endpoints on SQLite: the writer is half of what is dearer. Where
events of one endpoint share their pages, these have six of their own, in as many trees (by key, by
object, by event, by delivery, by endpoint, by type): nine pages are written to the log for each,
instead of four, at 4 us, and copied back from it at 3. With a cache of 12 MB instead of 2 five are
read anew for each, not eleven, which saves 17 us. The rest is spread over all of Python, whose
memory is twice as large and cold. Pages of 2 KB or 1 KB were tried: one merchant of such a store
beside all 500 of it came to 1.24 and 1.23, with 4 KB to 1.27.
"""

import http.client
import json
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proofs.ground import Store, database, open_store
from tests.support.server import OPERATOR_KEY, Api, Server, Tenant

from benchmarks.engine import (
    TYPES,
    Engine,
    Rate,
    Setting,
    Traffic,
    one_merchant,
    serving,
    wait_until,
)
from benchmarks.load import Door
from benchmarks.stocks import fill_history, fill_scheduled

CONNECTIONS: Final = 64
TURNS: Final = 5
_CALLERS: Final = 8
_TYPES_OF_ONE: Final = TYPES[:100]  # as many as one endpoint may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The same load on an empty store, and on one that is not, turn by turn."""

    name: str
    empty: tuple[Rate, ...]
    full: tuple[Rate, ...]

    @property
    def ratio(self) -> float:
        """Cost of a delivery where the store is full, in those where it is empty: the median."""
        pairs = zip(self.full, self.empty, strict=True)
        return statistics.median(full.cost_us / empty.cost_us for full, empty in pairs)

    @property
    def middle(self) -> Rate:
        """The turn on the full store that cost neither most nor least."""
        return sorted(self.full, key=lambda each: each.cost_us)[len(self.full) // 2]

    @property
    def errors(self) -> int:
        """How many requests had no answer, or not the right one, on the full store."""
        return sum(each.answers.errors for each in self.full)


def with_history(store: Store, *, events: int, seconds: int) -> Compared:
    """Compare with a store that has *events* delivered events of the same merchant."""
    setting = one_merchant(stock=partial(fill_history, events=events))
    return _compare(store, f"{events:,} stored events", setting, seconds=seconds)


def with_scheduled(store: Store, *, deliveries: int, seconds: int) -> Compared:
    """Compare with a store where *deliveries* of the same endpoint wait for tomorrow."""
    setting = one_merchant(stock=partial(fill_scheduled, deliveries=deliveries))
    return _compare(store, f"{deliveries:,} scheduled", setting, seconds=seconds)


def with_endpoints(store: Store, *, endpoints: int, seconds: int) -> Compared:
    """Compare with events spread over so many endpoints, a hundred of each merchant.

    Beside the same types to one endpoint: to look through an event costs more in some than others.
    """
    many, one = many_merchants(endpoints), one_merchant(types=_TYPES_OF_ONE[:endpoints])
    return _compare(store, f"{endpoints:,} endpoints", many, beside=one, seconds=seconds)


def many_merchants(endpoints: int) -> Setting:
    """Return a setting where each event goes to one of *endpoints*, none of which is new.

    The first success of an endpoint in a process is written down, and its secret is opened.
    """

    def make(server: Server, sink: int) -> Traffic:
        types = _TYPES_OF_ONE[:endpoints]
        tenants = [
            Tenant(Api(server.port), f"Merchant {number}")
            for number in range(max(1, endpoints // len(_TYPES_OF_ONE)))
        ]
        with ThreadPoolExecutor(_CALLERS) as pool:
            list(pool.map(lambda tenant: _endpoints(server.port, tenant, types, sink), tenants))
            list(pool.map(lambda tenant: _greet(tenant, types), tenants))
        wait_until(sink, len(tenants) * len(types))
        doors = tuple(Door(path=f"{tenant.path}/events", key=tenant.key) for tenant in tenants)
        return Traffic(doors=doors, types=types, delivered=len(tenants) * len(types))

    return make


def _endpoints(port: int, tenant: Tenant, types: tuple[str, ...], sink: int) -> None:
    """Make an endpoint for each type, over one connection: there are many of them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"authorization": f"Bearer {OPERATOR_KEY}", "content-type": "application/json"}
    try:
        for number, type_ in enumerate(types):
            url = f"http://127.0.0.1:{sink}/ok/{number}"
            body = json.dumps({"label": f"Endpoint {number}", "url": url, "events": [type_]})
            connection.request("POST", f"{tenant.path}/endpoints", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != http.HTTPStatus.CREATED:
                raise RuntimeError(f"{answer.status} {said.decode()}")
    finally:
        connection.close()


def _greet(tenant: Tenant, types: tuple[str, ...]) -> None:
    """Publish one event to each endpoint."""
    events = [{"type": type_, "data": {"hello": type_}} for type_ in types]
    tenant.api.post(f"{tenant.path}/events/batch", {"events": events})


def _compare(
    store: Store, name: str, setting: Setting, *, beside: Setting | None = None, seconds: int
) -> Compared:
    with ExitStack() as stack:
        # In a database program of its own, so that what the full one does at rest is not its cost.
        apart = open_store(stack, store.name)
        empty = stack.enter_context(_standing(apart, beside or one_merchant()))
        full = stack.enter_context(_standing(store, setting))
        turns = [(empty.turn(seconds=seconds), full.turn(seconds=seconds)) for _ in range(TURNS)]
    of_empty, of_full = zip(*turns, strict=True)
    return Compared(name=name, empty=of_empty, full=of_full)


def measure(store: Store, setting: Setting, *, seconds: int, workers: int = 1) -> Rate:
    """Return what the engine does on a fresh store."""
    with _standing(store, setting, workers=workers) as engine:
        return engine.turn(seconds=seconds)


@contextmanager
def _standing(store: Store, setting: Setting, *, workers: int = 1) -> Iterator[Engine]:
    with TemporaryDirectory(prefix="payhooks-bench-") as name:
        folder = Path(name)
        with (
            database(store, folder) as url,
            serving(
                folder,
                url,
                connections=CONNECTIONS,
                store_pid=store.postmaster,
                setting=setting,
                workers=workers,
            ) as engine,
        ):
            yield engine

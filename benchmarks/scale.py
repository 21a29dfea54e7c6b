"""What an event costs where much else is there: history, endpoints, a backlog.

Each is measured beside the same load on an empty store, right before and right after, because
a shared machine changes its mind. What is compared is CPU per delivery, of the serving
process and of the database together.

Learnt from profiles of 50,000 endpoints on SQLite: the writer is half of what is dearer. Where
events of one endpoint share their pages, these have six of their own, in as many trees (by key, by
object, by event, by delivery, by endpoint, by type): nine pages are written to the log for each,
instead of four, at 4 us, and copied back from it at 3. With a cache of 12 MB instead of 2 five are
read anew for each, not eleven, which saves 17 us. The rest is spread over all of Python, whose
memory is twice as large and cold. A figure of one run says little: 1.3 to 1.6 within one hour.
"""

import http.client
import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proofs.ground import Store, database
from tests.support.server import OPERATOR_KEY, Api, Server, Tenant

from benchmarks.engine import (
    TYPES,
    Rate,
    Setting,
    Traffic,
    measure_engine,
    one_merchant,
    wait_until,
)
from benchmarks.load import Door
from benchmarks.stocks import fill_history, fill_scheduled

CONNECTIONS: Final = 64
_CALLERS: Final = 8
_TYPES_OF_ONE: Final = TYPES[:100]  # as many as one endpoint may name


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The same load on an empty store, and on one that is not."""

    name: str
    empty: tuple[Rate, Rate]
    full: Rate

    @property
    def ratio(self) -> float:
        """Cost of a delivery where the store is full, in those where it is empty."""
        return self.full.cost_us / statistics.mean(each.cost_us for each in self.empty)


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
    empty = beside or one_merchant()
    before = measure(store, empty, seconds=seconds)
    full = measure(store, setting, seconds=seconds)
    after = measure(store, empty, seconds=seconds)
    return Compared(name=name, empty=(before, after), full=full)


def measure(store: Store, setting: Setting, *, seconds: int, workers: int = 1) -> Rate:
    """Return what the engine does on a fresh store."""
    with TemporaryDirectory(prefix="payhooks-bench-") as name:
        folder = Path(name)
        with database(store, folder) as url:
            return measure_engine(
                folder,
                url,
                seconds=seconds,
                connections=CONNECTIONS,
                store_pid=store.postmaster,
                setting=setting,
                workers=workers,
            )

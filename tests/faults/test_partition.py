"""One of two processes cannot see the store any more, wholly or in one direction. F79, F80, F81.

Its line to PostgreSQL is cut by a proxy that passes nothing and resets nothing: that is what a
partition looks like until somebody's patience ends.
"""

import copy
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from tests.support.fault_proxy import FaultProxy, Faults
from tests.support.faulted import Ground, Load, ask, publish
from tests.support.postgres import cluster
from tests.support.receiver import Reception
from tests.support.receiving import Receiving, until
from tests.support.server import Api, Json, Server, Tenant, postgres_url

PARTITION_S = 4.0
UNREADY_S_MAX = 5.0
STOPPED = Faults(stopped=True)


@dataclass(frozen=True, slots=True)
class Two:
    """Two processes on one store; the line of the first may be cut."""

    first: Server
    second: Server
    line: FaultProxy
    receiving: Receiving

    def tenant(self, path: str, **endpoint: object) -> Tenant:
        """Return a merchant with an endpoint; it is asked about at the second process."""
        tenant = Tenant(Api(self.second.port))
        tenant.endpoint(self.receiving.url(path), **endpoint)
        self.receiving.receiver.secrets.update(tenant.secrets)
        return tenant

    def end_partition(self) -> None:
        """Let new connections pass; what was on its way in the old ones is lost."""
        self.line.cut()
        self.line.heal()

    def received(self, path: str) -> list[Reception]:
        """Return what came there."""
        return [each for each in self.receiving.received if each.path == path]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with ExitStack() as stack:
        tmp_path = tmp_path_factory.mktemp("partition")
        name = f"partition_{abs(hash(str(tmp_path))) % 10**12}"
        url = stack.enter_context(postgres_url(stack.enter_context(cluster()), name))
        port = urlsplit(url).port
        assert port is not None
        line = stack.enter_context(FaultProxy(port))
        receiving = Receiving()
        stack.callback(receiving.close)
        first = Server(tmp_path / "first", url.replace(f":{port}/", f":{line.port}/"))
        second = Server(tmp_path / "second", url)
        for server in (first, second):
            stack.callback(server.close)
            server.start()
        yield Two(first, second, line, receiving)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _at(server: Server, tenant: Tenant) -> Tenant:
    """Return the same merchant, asked at another process."""
    other = copy.copy(tenant)
    other.api = Api(server.port)
    return other


def _delivery(tenant: Tenant) -> Json:
    newest, *_ = tenant.api.get(f"{tenant.path}/deliveries?event_type=payment_succeeded")["data"]
    return tenant.api.get(f"{tenant.path}/deliveries/{newest['id']}")


@pytest.mark.shows("F79")
def test_what_came_of_a_request_during_a_partition_is_written_down_after_it(two: Two) -> None:
    """Forgetting the answer would send it twice; so it is kept as long as the lease holds."""
    path = "/slow/short?s=1"
    tenant = two.tenant(path, timeout_s=2)
    at_first = _at(two.first, tenant)
    # One before, or the lane's news would be what waits for the store.
    assert publish(at_first, "before").status == 202
    until(lambda: two.received(path), bool)
    until(lambda: _delivery(tenant), lambda found: found["status"] == "delivered")
    assert publish(at_first, "during").status == 202
    until(lambda: len(two.received(path)), lambda count: count == 2)
    two.line.black_hole()
    _pause(PARTITION_S)
    assert _delivery(tenant)["status"] == "sending"
    two.end_partition()
    found = until(lambda: _delivery(tenant), lambda found: found["status"] == "delivered")
    assert [attempt["late"] for attempt in found["attempts"]] == [False]
    assert len(two.received(path)) == 2


@pytest.mark.shows("F79")
@pytest.mark.long
def test_a_partition_longer_than_the_lease_costs_one_more_request(two: Two) -> None:
    """The other process takes over; what the first knows becomes evidence, and moves nothing."""
    path = "/slow/long?s=1"
    tenant = two.tenant(path, timeout_s=2)
    at_first = _at(two.first, tenant)
    assert publish(at_first, "a").status == 202
    until(lambda: two.received(path), bool)
    two.line.black_hole()
    until(lambda: _delivery(tenant), lambda found: found["status"] == "delivered")
    two.end_partition()
    found = until(
        lambda: _delivery(tenant), lambda found: any(one["late"] for one in found["attempts"])
    )
    assert found["status"] == "delivered"
    assert len(two.received(path)) == 2


@pytest.mark.shows("F80")
def test_replies_of_the_store_that_are_lost_double_nothing(two: Two) -> None:
    """Stored and not told so: the same batch again must find itself."""
    tenant = two.tenant("/ok/replies", timeout_s=1)
    at_first = _at(two.first, tenant)
    load = Load(at_first).start()
    load.more()
    for _ in range(2):
        two.line.inflict(to_client=STOPPED)
        _pause(0.5)
        two.end_partition()
        load.more()
    verdict = Ground(two.second, tenant, two.receiving).judge(load)
    assert verdict.is_clean, str(verdict)
    assert verdict.acked
    # Mostly nobody is even told to come back, because the batch is sent again as it was.
    assert load.refusals <= {503}


@pytest.mark.shows("F81")
def test_a_process_that_cannot_see_the_store_says_so_and_the_other_serves(two: Two) -> None:
    """A balancer must learn it within seconds, and no publisher may be told 202 meanwhile."""
    tenant = two.tenant("/ok/node")
    at_first = _at(two.first, tenant)
    assert publish(at_first, "before").status == 202
    began_s = time.monotonic()
    two.line.black_hole()
    until(lambda: ask(two.first.port, "GET", "/readyz").status, lambda status: status == 503)
    assert time.monotonic() - began_s <= UNREADY_S_MAX
    assert ask(two.first.port, "GET", "/healthz").status == 200
    told = publish(at_first, "meanwhile", idempotency_key="k")
    assert told.is_late_not_lost, told
    assert ask(two.second.port, "GET", "/readyz").status == 200
    assert publish(tenant, "elsewhere").status == 202
    two.end_partition()
    until(lambda: ask(two.first.port, "GET", "/readyz").status, lambda status: status == 200)
    assert publish(at_first, "meanwhile", idempotency_key="k").status == 202
    until(lambda: len(two.received("/ok/node")), lambda count: count == 3)

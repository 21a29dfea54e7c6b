"""Clocks that are wrong, or are set while we work.

Rows F36, F37 and F38 of the fault matrix. Due times and leases are the store's, so what a wrong
clock can still harm is ids and signatures: such a process takes nothing and sends nothing.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.faulted import Ground, Load, Told, ask, ground, publish
from tests.support.own_postgres import own_postgres
from tests.support.receiving import until
from tests.support.server import Server, ServerError, Tenant
from tests.support.skewed_server import CLOCK_VARIABLE, COMMAND
from tests.support.soak import wait_until_settled

DAYS_3_S = 3 * 86_400.0
HOUR_S = 3_600.0
NOTICED_S_MAX = 10.0


class Watch:
    """The clock of one process, to be set."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ahead_s"
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        return {CLOCK_VARIABLE: str(self._path)}

    def set(self, ahead_s: float) -> None:
        """Let it be so many seconds ahead; in one step, as nobody may read half a number."""
        new = self._path.with_suffix(".new")
        new.write_text(str(ahead_s), "ascii")
        new.rename(self._path)


@dataclass(frozen=True, slots=True)
class Two:
    """Two processes on one database: the clock of the second can be set."""

    ground: Ground
    second: Server
    watch: Watch

    def ready(self) -> Told:
        return ask(self.second.port, "GET", "/readyz")


@contextmanager
def moving(folder: Path, url: str) -> Iterator[tuple[Server, Watch]]:
    """Yield a server whose clock can be set; it does not run yet."""
    watch = Watch(folder)
    server = Server(folder / "moved", url, command=COMMAND, environment=watch.environment)
    try:
        yield server, watch
    finally:
        server.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("clocks")
    with ExitStack() as stack:
        url = stack.enter_context(own_postgres()).make_database("payhooks")
        on = stack.enter_context(ground(Server(folder / "steady", url)))
        second, watch = stack.enter_context(moving(folder, url))
        second.start()
        yield Two(on, second, watch)


@pytest.mark.parametrize(
    "ahead_s",
    [
        pytest.param(DAYS_3_S, id="three days ahead", marks=pytest.mark.shows("F36")),
        pytest.param(-HOUR_S, id="an hour behind", marks=pytest.mark.shows("F37")),
    ],
)
def test_a_process_with_a_wrong_clock_takes_and_sends_nothing_until_it_is_mended(
    two: Two, ahead_s: float
) -> None:
    """Its events would be of another day, and receivers would refuse what it signs."""
    tenant = two.ground.tenant
    there = Tenant.at(tenant, two.second.port)
    until(two.ready, lambda told: told.status == 200, s=NOTICED_S_MAX)
    two.watch.set(ahead_s)
    try:
        until(two.ready, lambda told: told.status == 503, s=NOTICED_S_MAX)
        assert "from the store's" in two.ready().body["checks"]["clock"]
        until(lambda: publish(there, "another day").is_late_not_lost, bool, s=NOTICED_S_MAX)
        # The other one does the work of both, each delivery at its first attempt.
        load = Load(tenant).start()
        load.more(40)
        verdict = two.ground.judge(load)
        assert verdict.is_clean, str(verdict)
        assert verdict.duplicates == 0
    finally:
        two.watch.set(0)
    until(two.ready, lambda told: told.status == 200, s=NOTICED_S_MAX)
    until(lambda: publish(there, "this day").status, lambda status: status == 202, s=NOTICED_S_MAX)


@pytest.mark.shows("F36")
def test_a_process_with_a_wrong_clock_does_not_start(two: Two, tmp_path: Path) -> None:
    """Better refused, with the reason, than started into a wall of refused signatures."""
    with moving(tmp_path, two.second.database_url) as (server, watch):
        watch.set(DAYS_3_S)
        with pytest.raises(ServerError, match="away from the database's"):
            server.start()


@pytest.mark.shows("F38")
def test_a_clock_that_is_set_in_the_middle_of_a_lease_ends_no_lease(two: Two) -> None:
    """Leases are the database's time: nobody takes what is on its way, and it is written down."""
    tenant = Tenant(two.ground.tenant.api, "Slow")
    tenant.endpoint(two.ground.receiving.url("/slow?s=1.5"), timeout_s=10)
    before = len(two.ground.receiving.received)
    there = Tenant.at(tenant, two.second.port)
    assert publish(there, "on its way").status == 202
    two.ground.receiving.until(before + 1)
    two.watch.set(DAYS_3_S)
    try:
        wait_until_settled(tenant)
    finally:
        two.watch.set(0)
    [delivery] = tenant.api.get(f"{tenant.path}/deliveries?event_type=payment_succeeded")["data"]
    found = tenant.api.get(f"{tenant.path}/deliveries/{delivery['id']}")
    assert found["status"] == "delivered"
    assert [attempt["status"] for attempt in found["attempts"]] == [200]
    assert len(two.ground.receiving.received) == before + 1
    until(two.ready, lambda told: told.status == 200, s=NOTICED_S_MAX)


@pytest.mark.shows("F37", "F38")
@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S], ids=["an hour ahead", "an hour behind"])
def test_on_sqlite_a_clock_that_is_set_costs_at_most_one_explained_duplicate(
    tmp_path: Path, ahead_s: float
) -> None:
    """There the store's clock is ours: a lease may seem to have run out, the fence decides."""
    with (
        moving(tmp_path, f"sqlite:///{tmp_path}/payhooks.db") as (server, watch),
        ground(server) as on,
    ):
        load = Load(on.tenant).start()
        load.more(40)
        watch.set(ahead_s)
        load.more(40)
        verdict = on.judge(load)
    assert verdict.is_clean, str(verdict)
    # A sum of waits that shrinks is read as a restart by whoever draws it.
    assert '"waited_ms":-' not in (server.folder / "server.log").read_text("utf-8")

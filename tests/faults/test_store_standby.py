"""A second PostgreSQL follows the first, and takes over when that one dies.

Rows F22 and F23 of the fault matrix. The line in front is the address that moves with it.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.fault_proxy import FaultProxy
from tests.support.faulted import Ground, Load, Told, ask, ground, publish
from tests.support.own_postgres import OwnPostgres, own_postgres, postgres_folder
from tests.support.receiving import until
from tests.support.server import Server

BACK_S_MAX = 10.0
NOTICED_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A server on the first of two databases. The second follows, and may be asked to confirm."""

    ground: Ground
    first: OwnPostgres
    second: OwnPostgres
    line: FaultProxy

    def confirm(self, *, wanted: bool) -> None:
        """Let every commit wait for the second one, or none."""
        names = "second" if wanted else ""
        self.first.run(
            f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()"
        )
        state = "SELECT string_agg(sync_state, ' ') FROM pg_stat_replication"
        until(lambda: self.first.ask(state), lambda found: found == ("sync" if wanted else "async"))

    def checks(self) -> dict[str, str]:
        told = ask(self.ground.server.port, "GET", "/readyz")
        assert told.status == 200
        found: dict[str, str] = told.body["checks"]
        return found

    def metric(self, name: str) -> str:
        text = ask(self.ground.server.port, "GET", "/metrics").body
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        found: str = line.split(" ")[1]
        return found


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as stack:
        first = stack.enter_context(own_postgres())
        url = first.make_database("payhooks")
        second = first.standby(stack.enter_context(postgres_folder()), "second")
        stack.callback(second.stop)
        second.start()
        line = stack.enter_context(FaultProxy(first.port))
        server = Server(tmp_path, url.replace(f":{first.port}/", f":{line.port}/"))
        yield Pair(stack.enter_context(ground(server)), first, second, line)


@pytest.mark.shows("F23")
def test_a_standby_that_confirms_nothing_is_called_degraded(pair: Pair) -> None:
    """A failover to it loses what was acknowledged last: operators must know before."""
    assert pair.checks()["durability"].startswith("degraded: the standby is asynchronous")
    assert pair.metric("payhooks_durability_degraded") == "1.0"
    assert '"kind":"durability_degraded"' in pair.ground.server.said()
    pair.confirm(wanted=True)
    until(
        lambda: pair.checks()["durability"],
        lambda words: words == "synchronous_standby",
        s=NOTICED_S_MAX,
    )
    until(
        lambda: pair.metric("payhooks_durability_degraded"),
        lambda value: value == "0.0",
        s=NOTICED_S_MAX,
    )


@pytest.mark.shows("F22")
@pytest.mark.long
def test_what_was_acknowledged_survives_the_death_of_the_first(pair: Pair) -> None:
    """Killed under load; the second takes over, and publishers are served within ten seconds."""
    pair.confirm(wanted=True)
    load = Load(pair.ground.tenant).start()
    load.more(100)
    pair.first.kill()
    pair.second.promote()
    pair.line.server_port = pair.second.port
    assert load.more(40) < BACK_S_MAX
    verdict = pair.ground.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals <= {503}


@pytest.mark.shows("F22")
@pytest.mark.long
def test_nothing_is_acknowledged_that_the_second_has_not(pair: Pair) -> None:
    """Not even to who asks again: it is stored here, and would be lost with this machine."""
    pair.confirm(wanted=True)
    for pid in pair.second.pids():
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(4):
            told = _publish(pair)
            assert told.is_late_not_lost, told
    finally:
        pair.first.kill()
        for pid in pair.second.pids():
            os.kill(pid, signal.SIGCONT)
    pair.second.promote()
    pair.line.server_port = pair.second.port
    told = until(lambda: _publish(pair), lambda told: told.status == 202, s=BACK_S_MAX)
    [there] = pair.ground.tenant.api.get(
        f"{pair.ground.tenant.path}/events?type=payment_succeeded"
    )["data"]
    assert there["id"] == told.body["id"]


def _publish(pair: Pair) -> Told:
    return publish(pair.ground.tenant, "both or none", idempotency_key="both or none")

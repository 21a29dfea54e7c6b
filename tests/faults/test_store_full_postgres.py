"""The disk under PostgreSQL is full. Row F24 of the fault matrix."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.faulted import Ground, Load, ask, ground, publish
from tests.support.own_postgres import OwnPostgres, postgres_folder
from tests.support.postgres import ClusterError
from tests.support.receiving import until
from tests.support.server import Server
from tests.support.small_disk import SmallDisk, small_disk

BACK_S_MAX = 15.0
ALARM = 'payhooks_alarms_total{kind="accept_refused"}'
PADDING = "x" * 100_000  # fills a segment of the log in a few hundred events
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A server on a PostgreSQL whose disk can be filled up."""

    ground: Ground
    postgres: OwnPostgres
    disk: SmallDisk

    def mend(self) -> None:
        """Start PostgreSQL again where it gave up, as an operator would who has made room."""
        try:
            self.postgres.ask("SELECT 1")
        except OSError:
            until(self._starts, bool)

    def _starts(self) -> bool:
        try:
            self.postgres.start()
        except ClusterError:
            return False
        return True


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[OnDisk]:
    with ExitStack() as stack:
        # Not in the test's own folder: PostgreSQL's account may not enter that.
        folder = stack.enter_context(postgres_folder()) / "disk"
        disk = stack.enter_context(small_disk(folder, megabytes=192))
        postgres = OwnPostgres(folder, max_wal_size="64MB", min_wal_size="32MB")
        stack.callback(postgres.stop)
        url = postgres.start().make_database("payhooks")
        server = Server(tmp_path, url)
        yield OnDisk(stack.enter_context(ground(server)), postgres, disk)


@pytest.mark.shows("F24")
@pytest.mark.long
def test_a_full_disk_under_postgresql_is_late_not_lost(on_disk: OnDisk) -> None:
    """It panics and recovers or gives up; publishers hear 503 for as long as it takes."""
    on = on_disk.ground
    load = Load(on.tenant).start()
    load.more(100)
    with on_disk.disk.full():
        # What is allocated already is used up first.
        until(lambda: publish(on.tenant, PADDING), lambda told: told.status != 202)
        told = publish(on.tenant, "full")
        assert told.is_late_not_lost, told
        until(lambda: ask(on.server.port, "GET", "/metrics").body, lambda text: ALARM in text)
    on_disk.mend()
    assert load.more(40) < BACK_S_MAX
    verdict = on.judge(load)
    assert verdict.is_clean, str(verdict)
    assert load.refusals <= {503}

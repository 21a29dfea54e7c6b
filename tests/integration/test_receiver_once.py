"""``once`` on real databases: the mark and the work are one, whoever tries at the same time."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
import sqlalchemy.orm
from tests.support.outbox import django_connection
from tests.support.server import ROOT
from tests.support.stores import postgres_database

from payhooks.receiver import Event, forget, once, table_sql

pytestmark = pytest.mark.shows("V54")

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EVENT = Event(
    id="evt_1", type="refund", timestamp=None, data={}, raw=b"{}", attempt=None, format="owlpay"
)


class RefusedError(Exception):
    """The work could not be done."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres_database() as url:
        with psycopg.connect(url) as connection:
            connection.execute(table_sql())
            connection.execute(table_sql())  # again: whoever starts an application does
        yield url


@pytest.fixture
def postgres(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE payhooks_seen")
    return database


def _seen(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM payhooks_seen").fetchone()
        assert row is not None
        return int(row[0])


def test_the_second_time_is_not_the_first_on_sqlite(tmp_path: Path) -> None:
    """What examples and small shops have."""
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.execute(table_sql())
    firsts = []
    for _ in range(3):
        with connection, once(connection, EVENT) as first:
            firsts.append(first)
    connection.close()
    assert firsts == [True, False, False]


def test_the_second_time_is_not_the_first_on_postgres(postgres: str) -> None:
    firsts = []
    for _ in range(3):
        with psycopg.connect(postgres) as connection, once(connection, EVENT) as first:
            firsts.append(first)
    assert firsts == [True, False, False]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_sqlalchemys_connections_will_do(kind: str, postgres: str, tmp_path: Path) -> None:
    """Its own transaction, its driver's style of parameters."""
    bare = postgres.partition("://")[2]
    url = f"sqlite:///{tmp_path / 'a.db'}" if kind == "sqlite" else f"postgresql+psycopg://{bare}"
    engine = sqlalchemy.create_engine(url)
    firsts = []
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(table_sql()))
    for _ in range(2):
        with engine.begin() as connection, once(connection, EVENT) as first:
            firsts.append(first)
    with engine.begin() as connection:
        assert forget(connection, NOW + timedelta(days=9_999)) == 1
    engine.dispose()
    assert firsts == [True, False]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_error_in_the_block_takes_the_mark_with_it(
    kind: str, postgres: str, tmp_path: Path
) -> None:
    """Work that failed has to be tried again with the next delivery."""
    url = str(tmp_path / "a.db")

    def connect() -> sqlite3.Connection | psycopg.Connection:
        return sqlite3.connect(url) if kind == "sqlite" else psycopg.connect(postgres)

    with connect() as connection:
        connection.execute(table_sql())
        connection.commit()
    with pytest.raises(RefusedError):
        _fail_at_work(connect())
    with connect() as connection, once(connection, EVENT) as first:
        assert first


def test_of_two_at_the_same_time_exactly_one_is_first(postgres: str) -> None:
    """A sender that saw a time-out sends again while the first is still at work."""
    start = Barrier(2, timeout=20)

    def attempt(number: int) -> list[bool]:
        firsts = []
        for turn in range(25):
            event = Event(
                id=f"evt_{turn}", type="a", timestamp=None, data=None, raw=b"", attempt=number
            )
            start.wait()
            with psycopg.connect(postgres) as connection, once(connection, event) as first:
                firsts.append(first)
        return firsts

    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(attempt, range(2))
    assert all(one != other for one, other in zip(ours, theirs, strict=True))
    assert _seen(postgres) == 25


def test_who_waits_is_first_when_the_other_rolled_back(postgres: str) -> None:
    """Otherwise a failure that came late would lose the event for both."""
    holding = psycopg.connect(postgres)
    with ThreadPoolExecutor(1) as pool, once(holding, EVENT) as first:
        waiting = pool.submit(_is_first, postgres)
        _until_blocked(postgres)
        holding.rollback()
        assert first
        assert waiting.result(20)
    holding.close()


def _fail_at_work(connection: sqlite3.Connection | psycopg.Connection) -> None:
    with connection, once(connection, EVENT) as first:
        assert first
        raise RefusedError


def _is_first(url: str) -> bool:
    with psycopg.connect(url) as connection, once(connection, EVENT) as first:
        return first


def _until_blocked(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(2_000):
            waits = connection.execute(
                "SELECT 1 FROM pg_stat_activity, pg_sleep(0.005)"
                " WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO payhooks_seen%'"
            ).fetchone()
            if waits is not None:
                return
    raise AssertionError("nobody waited")


KILLED = """
import os, sys, psycopg
from payhooks.receiver import Event, once
event = Event(id="evt_1", type="a", timestamp=None, data=None, raw=b"", attempt=None,
              format="owlpay")
connection = psycopg.connect(sys.argv[1])
with connection, once(connection, event) as first:
    print(first, flush=True)
    sys.stdin.read()
"""


def test_a_kill_between_mark_and_work_leaves_no_mark(postgres: str) -> None:
    """The machine may die after any line."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", KILLED, postgres],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        os.kill(process.pid, signal.SIGKILL)
    assert _is_first(postgres)


def test_senders_do_not_share_their_ids(postgres: str) -> None:
    """Two providers may both call an event 1."""
    other = Event(id="evt_1", type="a", timestamp=None, data=None, raw=b"", attempt=None)
    with psycopg.connect(postgres) as connection:
        with once(connection, EVENT) as first, once(connection, other) as as_well:
            assert first
            assert as_well
        with once(connection, other, source="second account") as first:
            assert first


def test_forgets_what_is_old_and_nothing_else(postgres: str) -> None:
    """The table must not grow for ever, nor forget what may still be sent again."""
    with psycopg.connect(postgres) as connection:
        for days in range(3):
            event = Event(id=str(days), type="a", timestamp=None, data=None, raw=b"", attempt=None)
            with once(connection, event, now=NOW + timedelta(days=days)):
                pass
        assert forget(connection, NOW + timedelta(days=1)) == 1
    assert _seen(postgres) == 2


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_connection_that_commits_by_itself_is_refused(
    kind: str, postgres: str, tmp_path: Path
) -> None:
    """The mark would stay when the work fails, and the event be lost without a word."""
    connection: sqlite3.Connection | psycopg.Connection
    if kind == "sqlite":
        connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    else:
        connection = psycopg.connect(postgres, autocommit=True)
    with pytest.raises(TypeError, match="commits by itself"), once(connection, EVENT):
        pass
    connection.close()


def test_a_pipeline_is_refused(postgres: str) -> None:
    """In it nobody is told of being first: no work was done, and the mark was there still."""
    with (
        pytest.raises(TypeError, match="pipeline"),
        psycopg.connect(postgres) as connection,
        connection.pipeline(),
        once(connection, EVENT),
    ):
        pass
    assert _seen(postgres) == 0


def test_djangos_connection_must_be_in_a_transaction(tmp_path: Path) -> None:
    """Outside of atomic() Django commits each statement, so also the mark alone."""
    with django_connection(f"sqlite:///{tmp_path / 'a.db'}") as (connection, _):
        with connection.cursor() as cursor:
            cursor.execute(table_sql())
        with pytest.raises(TypeError, match="commits by itself"), once(connection, EVENT):
            pass


async def test_an_asynchronous_connection_is_refused(postgres: str) -> None:
    """Its statements are promises: none was run, no event was ever first, all were answered 2xx."""
    connection = await psycopg.AsyncConnection.connect(postgres)
    try:
        with pytest.raises(TypeError, match="asynchronous"), once(connection, EVENT):
            pass
    finally:
        await connection.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_sqlalchemy_in_autocommit_is_refused(kind: str, postgres: str, tmp_path: Path) -> None:
    """SQLAlchemy has a transaction of its own then, and the driver none."""
    bare = postgres.partition("://")[2]
    url = f"sqlite:///{tmp_path / 'a.db'}" if kind == "sqlite" else f"postgresql+psycopg://{bare}"
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(table_sql()))
        with pytest.raises(TypeError, match="commits by itself"), once(connection, EVENT):
            pass
    engine.dispose()


def test_a_session_is_told_what_to_give(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with (
        sqlalchemy.orm.Session(engine) as session,
        pytest.raises(TypeError, match=r"session\.connection"),
        once(session, EVENT),
    ):
        pass
    engine.dispose()


class Since312(sqlite3.Connection):
    """What Python 3.12 and later make of ``sqlite3.connect(…, autocommit=True)``."""

    autocommit = True


def test_sqlite_in_the_autocommit_of_newer_pythons_is_refused(tmp_path: Path) -> None:
    """The old sign, isolation_level, says nothing there."""
    with (
        closing(sqlite3.connect(tmp_path / "a.db", factory=Since312)) as connection,
        pytest.raises(TypeError, match="commits by itself"),
        once(connection, EVENT),
    ):
        pass

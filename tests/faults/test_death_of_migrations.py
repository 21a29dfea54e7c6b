"""kill -9 in the middle of a migration, at every statement there is. Row F16 of the matrix."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import apsw
import pytest
from tests.support.own_postgres import OwnPostgres, own_postgres
from tests.support.server import ROOT

from payhooks.clock import SystemClock
from payhooks.errors import UnavailableError
from payhooks.storage.postgres import PostgresStore
from payhooks.storage.postgres.migrations import migrate
from payhooks.storage.sqlite import SqliteStore

FOR_EVER = 1_000_000
SCHEMA = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
  SELECT format('%s %s %s', c.relkind, c.relname, a.attname) AS line
  FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
  WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint
  UNION ALL SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', number, phase) FROM schema_migrations
) every
"""

# Migrates a database and dies before a statement; returns how many ran.
Migrating = Callable[[int, str], int]


@pytest.fixture(scope="module")
def migrating() -> Iterator[Migrating]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.failing_migration"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        writing, reading = process.stdin, process.stdout

        def run(number: int, url: str) -> int:
            writing.write(f"{number} {url}\n")
            writing.flush()
            return int(reading.readline())

        yield run
        writing.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[OwnPostgres]:
    # It is the client that dies: the server need not write through a hundred times over.
    with own_postgres(fsync="off", synchronous_commit="off") as server:
        yield server


@pytest.mark.shows("F16")
@pytest.mark.parametrize(
    "some",
    [
        pytest.param(4, id="at four places"),
        pytest.param(FOR_EVER, id="at every place", marks=pytest.mark.long),
    ],
)
def test_a_migration_of_postgresql_that_was_killed_is_finished_by_the_next(
    postgres: OwnPostgres, migrating: Migrating, some: int
) -> None:
    """Until then the program refuses in one sentence that says what to do."""
    whole = _database(postgres, "whole")
    count = migrating(FOR_EVER, whole)
    assert count > 50
    wanted = postgres.ask(SCHEMA, database="whole")
    for number in _places(count, some):
        url = _database(postgres, "killed")
        assert migrating(number, url) == number - 1
        if (words := asyncio.run(_refusal_of_postgres(url))) is not None:
            assert words.endswith("run payhooks migrate"), f"{number}: {words}"
        asyncio.run(migrate(url))
        assert postgres.ask(SCHEMA, database="killed") == wanted, number
        assert asyncio.run(_refusal_of_postgres(url)) is None


@pytest.mark.shows("F16")
def test_a_migration_of_sqlite_that_was_killed_is_finished_by_the_next_start(
    migrating: Migrating, tmp_path: Path
) -> None:
    """There the start migrates, so it finishes what another start began: at every statement."""
    count = migrating(FOR_EVER, f"sqlite:///{tmp_path}/whole.db")
    assert count > 30
    wanted = _schema(tmp_path / "whole.db")
    for number in range(1, count + 1):
        path = tmp_path / f"killed-{number}.db"
        assert migrating(number, f"sqlite:///{path}") == number - 1
        asyncio.run(_open_sqlite(path))
        assert _schema(path) == wanted, number


def _database(postgres: OwnPostgres, name: str) -> str:
    """Return the URL of an empty database."""
    postgres.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
    return f"{postgres.url.rpartition('/')[0]}/{name}"


def _places(count: int, some: int) -> list[int]:
    """Return at most *some* of the statements, the first and the last among them."""
    step = max(1, -(-count // max(1, some - 1)))
    return sorted({*range(1, count + 1, step), count})


async def _refusal_of_postgres(url: str) -> str | None:
    """Return what a process says that starts now; None where it starts."""
    try:
        store = await PostgresStore.open(url, clock=SystemClock(), random=Random(1))
    except UnavailableError as error:
        return str(error)
    await store.close()
    return None


async def _open_sqlite(path: Path) -> None:
    store = await SqliteStore.open(path, clock=SystemClock(), random=Random(1))
    assert (await store.health()).schema_version
    await store.close()


def _schema(path: Path) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path))
    try:
        assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
        found = list(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"))
        return found + list(connection.execute("SELECT number, phase FROM schema_migrations"))
    finally:
        connection.close()

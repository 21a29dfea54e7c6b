"""How each store is opened for a test: empty, with a time that the test owns."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from tests.support.postgres import URL_VARIABLE

from payhooks.clock import Clock, SystemClock
from payhooks.ports.store import Store
from payhooks.storage.memory import MemoryStore
from payhooks.storage.postgres import PostgresStore
from payhooks.storage.postgres.migrations import migrate
from payhooks.storage.sqlite import SqliteStore
from payhooks.testing import ManualClock

STORES: Final = ("memory", "sqlite", "postgres")
_NUMBERS: Final = count()


class ShiftedClock:
    """The machine's clock, so many seconds ahead. PostgreSQL's time goes on by itself."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._machine = SystemClock()

    def now(self) -> datetime:
        """Return the machine's time plus what was added."""
        return self._machine.now() + timedelta(seconds=self.ahead_s)

    def monotonic_s(self) -> float:
        """Return the machine's seconds plus what was added."""
        return self._machine.monotonic_s() + self.ahead_s


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store under test and the clock that both sides of the test believe."""

    store: Store
    clock: Clock

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass for the store, at once."""
        match self.clock:
            case ManualClock():
                self.clock.advance(timedelta(seconds=seconds))
            case ShiftedClock():
                self.clock.ahead_s += seconds
            case _:
                raise AssertionError(f"cannot move {self.clock}")


@asynccontextmanager
async def open_store(kind: str, folder: Path, database: str | None) -> AsyncIterator[OpenedStore]:
    """Yield an empty store of a kind of STORES."""
    match kind:
        case "memory":
            clock = ManualClock()
            yield OpenedStore(MemoryStore(clock=clock), clock)
        case "sqlite":
            async with _open_sqlite(folder) as opened:
                yield opened
        case "postgres":
            assert database is not None
            async with _open_postgres(database) as opened:
                yield opened
        case _:
            raise AssertionError(kind)


@asynccontextmanager
async def _open_sqlite(folder: Path) -> AsyncIterator[OpenedStore]:
    clock = ManualClock()
    store = await SqliteStore.open(folder / "payhooks.sqlite", clock=clock, random=Random(1))
    try:
        yield OpenedStore(store, clock)
    finally:
        await store.close()


@asynccontextmanager
async def _open_postgres(database: str) -> AsyncIterator[OpenedStore]:
    clock = ShiftedClock()
    await _empty(database)
    store = await PostgresStore.open(
        database, clock=clock, random=Random(1), clock_offset=lambda: clock.ahead_s
    )
    try:
        yield OpenedStore(store, clock)
    finally:
        await store.close()


@contextmanager
def postgres_database() -> Iterator[str]:
    """Yield the URL of a migrated database of our own; skip where there is no cluster.

    Only outside continuous integration: there a missing cluster must not look like success.
    """
    url = os.environ.get(URL_VARIABLE)
    if not url:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{URL_VARIABLE} is not set, and CI must test PostgreSQL")
        pytest.skip(f"{URL_VARIABLE} is not set: scripts/test starts a cluster and sets it")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    # Numbered: the suite's database lives as long as the session, beside those of modules.
    name = f"payhooks_contract_{worker}_{os.getpid()}_{next(_NUMBERS)}"
    _run_apart(_execute(url, f'CREATE DATABASE "{name}"'))
    database = f"{url.rpartition('/')[0]}/{name}"
    try:
        _run_apart(migrate(database))
        yield database
    finally:
        _run_apart(_execute(url, f'DROP DATABASE "{name}" WITH (FORCE)'))


def _run_apart(work: Coroutine[Any, Any, object]) -> None:
    """Run *work* to its end in a thread: the fixture may be asked for inside a running loop."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(asyncio.run, work).result()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _empty(database: str) -> None:
    """Remove every row but the record of migrations."""
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'schema_migrations'"
        )
        # Not TRUNCATE: new files for every partition cost more than the few rows of a test.
        deletes = [f'DELETE FROM "{row["relname"]}"' for row in tables]  # noqa: S608 - our own
        await connection.execute("; ".join(deletes))
    finally:
        await connection.close()

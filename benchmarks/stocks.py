"""Databases as they are after a long time: filled by the database itself, in minutes.

The server must not run meanwhile. Rows are those that the flow would have written, in the
tables and with the keys that it uses; payloads are small, because it is the number of rows
that a hot statement could be slowed by.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
import asyncpg  # type: ignore[import-untyped]  # it ships no types

from payhooks import ids
from payhooks.clock import SystemClock
from payhooks.storage import statements

# Rows of one statement: often enough to show progress, seldom enough to cost nothing.
_SLICE: Final = 500_000
_DAY_MS: Final = 86_400_000
_POSTGRES: Final = statements.load("benchmarks", "stocks_postgres.sql")
_SQLITE: Final = statements.load("benchmarks", "stocks_sqlite.sql")
_HISTORY: Final = ("events", "deliveries", "attempts", "keys")
_SCHEDULED: Final = ("events", "queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which database, and whose rows. The endpoint is the merchant's first."""

    database_url: str
    merchant_id: str
    endpoint_id: str

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of ours."""
        return self.database_url.startswith("sqlite:")


def fill_history(place: Place, events: int) -> None:
    """Store so many events that were delivered within the last day."""
    _fill(place, events, "history", _HISTORY)


def fill_scheduled(place: Place, deliveries: int) -> None:
    """Store so many events of the last day whose delivery failed once, due again tomorrow."""
    _fill(place, deliveries, "scheduled", _SCHEDULED)


def _fill(place: Place, count: int, what: str, names: Sequence[str]) -> None:
    """Run the statements of *names* over slices of the numbers from 1 to *count*."""
    write(place.database_url, _statements(place, count, what, names))


def write(database_url: str, texts: Iterator[str]) -> None:
    """Run statements that write very much, as quickly as the database can; nobody else may."""
    if database_url.startswith("sqlite:"):
        _fill_sqlite(Path(database_url.removeprefix("sqlite:///")), texts)
    else:
        asyncio.run(_fill_postgres(database_url, texts))


def _statements(place: Place, count: int, what: str, names: Sequence[str]) -> Iterator[str]:
    began_ms = int(SystemClock().now().timestamp() * 1000) - _DAY_MS
    at_ms = f"{began_ms} + n * {_DAY_MS} / {count}"
    quoted, id_ = (_in_sqlite, _SQLITE_ID) if place.is_sqlite else (_in_postgres, _POSTGRES_ID)
    words = {
        "began_ms": str(began_ms),
        "merchant": quoted(ids.from_text(ids.MERCHANT, place.merchant_id)),
        "endpoint": quoted(ids.from_text(ids.ENDPOINT, place.endpoint_id)),
        "event": id_.format(at_ms=at_ms, number="00000"),
        "delivery": id_.format(at_ms=at_ms, number="00001"),
    }
    source = _SQLITE if place.is_sqlite else _POSTGRES
    begun_s = time.monotonic()
    for name in names:
        for first in range(1, count + 1, _SLICE):
            last = min(first + _SLICE - 1, count)
            yield source[name].format(**words, first=first, last=last)
            took_s = time.monotonic() - begun_s
            said = f"  {what}: {last:,} of {count:,} {name}, {took_s:.0f} s"
            print(said, end="\033[K\r", file=sys.stderr)
    print(file=sys.stderr)


_POSTGRES_ID: Final = (
    "(lpad(to_hex({at_ms}), 12, '0') || lpad(to_hex(n), 15, '0') || '{number}')::uuid"
)
_SQLITE_ID: Final = "unhex(printf('%012x%015x{number}', {at_ms}, n))"


def _in_postgres(id_: bytes | None) -> str:
    assert id_ is not None
    return f"'{id_.hex()}'::uuid"


def _in_sqlite(id_: bytes | None) -> str:
    assert id_ is not None
    return f"x'{id_.hex()}'"


def _fill_sqlite(path: Path, texts: Iterator[str]) -> None:
    connection = apsw.Connection(str(path))
    for setting in ("journal_mode = off", "synchronous = off", "cache_size = -2000000"):
        connection.execute(f"PRAGMA {setting}")
    for text in texts:
        connection.execute(text)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    connection.close()


async def _fill_postgres(url: str, texts: Iterator[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        # Statements of ours have limits that are not meant for this.
        await connection.execute("SET statement_timeout = 0; SET synchronous_commit = off")
        for text in texts:
            await connection.execute(text)
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()

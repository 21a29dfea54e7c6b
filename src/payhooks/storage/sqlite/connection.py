"""One SQLite connection as this store uses it, and the few helpers every statement needs."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import apsw

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
BUSY_TIMEOUT_MS: Final = 2_000
# Each statement gives up the GIL and waits to get it back, up to a switch interval where the
# event loop is busy: so as few statements as can be. What does not fill a chunk goes in one
# statement of its own size, of which there are few enough to stay prepared.
_CHUNKS: Final = (256, 64)
_STATEMENTS_PREPARED: Final = 1_000
# An event to one of 50,000 endpoints has six pages of its own, in as many trees. With SQLite's
# usual 2 MB eleven pages were read anew for each; so it is five, and the writer's CPU a tenth less.
_WRITER_CACHE_KIB: Final = 12 * 1_024

# Nobody waits this long; a number rather than NULL, so that min() and max() need no cases.
FOREVER_US: Final = 253_402_300_799_000_000

Row = tuple[Any, ...]


def connect(path: Path, *, writes: bool) -> apsw.Connection:
    """Return an open connection. Only the writer's may write, and only it checkpoints, itself."""
    connection = apsw.Connection(str(path), statementcachesize=_STATEMENTS_PREPARED)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA synchronous = full")
    connection.execute("PRAGMA foreign_keys = off")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA temp_store = memory")
    if writes:
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        # What is deleted is overwritten where its page is written anyway. Without it the first
        # page of a table would be left as it was behind what the table's root needs of it.
        connection.pragma("secure_delete", "fast")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA query_only = {int(not writes)}")
    return connection


def first(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Row | None:
    """Return the first row, or None."""
    return connection.execute(sql, tuple(bindings)).fetchone()


def rows(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> list[Row]:
    """Return all rows."""
    return connection.execute(sql, tuple(bindings)).fetchall()


def run(connection: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> int:
    """Run a statement and return how many rows it changed."""
    before = connection.total_changes()
    connection.execute(sql, tuple(bindings))
    return connection.total_changes() - before


def run_many(connection: apsw.Connection, sql: str, values: Sequence[Row], before: Row = ()) -> int:
    """Run *sql* with its ``VALUES :rows`` standing for many rows; return how many changed.

    What *before* holds is bound to the question marks that stand before the rows.
    """
    changed = 0
    for chunk in _chunks(values):
        statement = expanded(sql, len(chunk), len(chunk[0]))
        changed += run(connection, statement, (*before, *chain.from_iterable(chunk)))
    return changed


def rows_of_many(connection: apsw.Connection, sql: str, values: Sequence[Row]) -> list[Row]:
    """Return all rows of *sql*, with its ``VALUES :rows`` standing for many rows."""
    found: list[Row] = []
    for chunk in _chunks(values):
        statement = expanded(sql, len(chunk), len(chunk[0]))
        found += rows(connection, statement, tuple(chain.from_iterable(chunk)))
    return found


def blobs(values: Iterable[bytes]) -> Any:  # noqa: ANN401 - apsw's bindable, which has no name
    """Return a list of ids to bind where a statement reads ``carray(?)``."""
    found = tuple(values)
    # An empty array cannot be bound; no id is empty, so this one matches nothing.
    return apsw.carray(found or (b"",))


def to_us(at: datetime) -> int:
    """Return whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def optional_us(at: datetime | None) -> int | None:
    """Return whole microseconds since 1970, or None."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the time that ``to_us`` made a number of."""
    return _EPOCH + timedelta(microseconds=microseconds)


def optional_time(microseconds: int | None) -> datetime | None:
    """Return the time, or None."""
    return None if microseconds is None else from_us(microseconds)


def delay_us(seconds: float) -> int:
    """Return seconds as whole microseconds, rounded so that nothing comes too early."""
    return -int(-seconds * 1_000_000 // 1)


def _chunks(values: Sequence[Row]) -> Iterator[list[Row]]:
    remaining = iter(values)
    left = len(values)
    while left:
        size = next((size for size in _CHUNKS if size <= left), left)
        left -= size
        yield list(islice(remaining, size))


@cache
def expanded(sql: str, count: int, width: int) -> str:
    """Return *sql* with so many rows, of so many columns, where it says ``:rows``."""
    assert ":rows" in sql
    one = f"({','.join('?' * width)})"
    return sql.replace(":rows", ",".join([one] * count))

"""Daily partitions of history: made a week ahead, dropped whole when their day retires.

A row belongs to the day in its event's id. Days without a partition lie in the default one,
which costs speed, never data.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import asyncpg  # type: ignore[import-untyped] # See connections.py.

from payhooks import limits
from payhooks.ids import first_id_at
from payhooks.storage.postgres.connections import Connection

TABLES: Final = ("events", "deliveries", "attempts", "bodies")
# Yesterday too: an id is made before it is stored, and midnight may lie between.
_DAYS: Final = range(-1, limits.PARTITIONS_AHEAD_DAYS + 1)

_EXISTING: Final = """
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass
"""
_NOW: Final = "SELECT payhooks_now() AS now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One day of one table."""

    table: str
    day: date

    @property
    def name(self) -> str:
        """What PostgreSQL calls it."""
        return f"{self.table}_p{self.day:%Y%m%d}"

    @property
    def bounds(self) -> tuple[bytes, bytes]:
        """The first id of the day, and of the next."""
        start = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return first_id_at(start), first_id_at(start + timedelta(days=1))


async def ensure(connection: Connection) -> int:
    """Make the partitions of the coming week that are missing; return how many."""
    rows = await connection.fetch(_NOW)
    today = rows[0]["now"].date()
    made = 0
    for table in TABLES:
        there = {one.name for one in await existing(connection, table)}
        for days in _DAYS:
            partition = Partition(table=table, day=today + timedelta(days=days))
            if partition.name not in there:
                made += await _make(connection, partition)
    return made


async def existing(connection: Connection, table: str) -> list[Partition]:
    """Return the daily partitions of *table*, oldest first."""
    rows = await connection.fetch(_EXISTING, table)
    prefix = f"{table}_p"
    days = sorted(
        datetime.strptime(row["name"].removeprefix(prefix), "%Y%m%d").replace(tzinfo=UTC).date()
        for row in rows
        if row["name"].startswith(prefix)
    )
    return [Partition(table=table, day=day) for day in days]


async def drop(connection: Connection, partition: Partition) -> bool:
    """Drop a partition; return False where somebody reads it just now."""
    try:
        async with connection.transaction():
            # Everybody waits behind whoever waits for this lock: not for long, then.
            await connection.execute("SET LOCAL lock_timeout = '250ms'")
            await connection.execute(f"DROP TABLE IF EXISTS {partition.name}")
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def _make(connection: Connection, partition: Partition) -> bool:
    low, high = (f"'{bound.hex()}'" for bound in partition.bounds)
    try:
        async with connection.transaction():
            # Made apart and attached: CREATE … PARTITION OF would lock out all traffic.
            await connection.execute(
                f"CREATE TABLE {partition.name} (LIKE {partition.table}"
                " INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE"
                " INCLUDING COMPRESSION)"
            )
            await connection.execute(
                f"ALTER TABLE {partition.table} ATTACH PARTITION {partition.name}"
                f" FOR VALUES FROM ({low}) TO ({high})"
            )
    except (
        asyncpg.CheckViolationError,  # The default partition holds rows of that day.
        asyncpg.DuplicateTableError,  # Another process was quicker,
        asyncpg.UniqueViolationError,  # or is making it this very moment,
        asyncpg.DuplicateObjectError,  # of which the type of its rows may be there first.
        asyncpg.LockNotAvailableError,  # The next sweep tries again.
    ):
        return False
    return True

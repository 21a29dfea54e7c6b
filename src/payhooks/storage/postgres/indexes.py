"""Indexes that came late: built while publishers publish, those of history day by day.

A migration makes the latter ``ON ONLY`` the parent, which holds for days yet to come. The days that
are there get theirs here, and so do the tables that have no days; those of any size concurrently
and so in no transaction: such a build keeps nobody waiting. Until all have theirs, what asks for
them is slower.
"""

import asyncio
from typing import Final

import asyncpg  # type: ignore[import-untyped] # See connections.py.

from payhooks.storage.postgres.connections import Connection

# Of those that lack it, the newest day first: that is what people look at.
_LACKING: Final = """
SELECT parent.relname AS index, day.relname AS day, pg_relation_size(day.oid) AS bytes,
  pg_get_indexdef(parent.oid) AS definition
FROM pg_index i
JOIN pg_class parent ON parent.oid = i.indexrelid AND parent.relkind = 'I'
JOIN pg_inherits h ON h.inhparent = i.indrelid
JOIN pg_class day ON day.oid = h.inhrelid
WHERE NOT i.indisvalid AND parent.relnamespace = current_schema()::regnamespace
  AND NOT EXISTS (SELECT FROM pg_inherits ch JOIN pg_index c ON c.indexrelid = ch.inhrelid
    WHERE ch.inhparent = i.indexrelid AND c.indrelid = day.oid)
ORDER BY parent.relname, day.relname DESC LIMIT 1
"""
# Retention: the oldest. A BRIN index would do until the first time that something is retired: space
# is used again, and then every range of pages has had something old in it.
_LACKING_WHOLE: Final = """
SELECT w.index, w.whole, w.columns, pg_relation_size(w.whole::regclass) AS bytes
FROM (VALUES ('feed_entries_old', 'feed_entries', 'btree (delivery_id)'),
  ('idempotency_old', 'idempotency', 'btree (event_id)')) w(index, whole, columns)
WHERE NOT EXISTS (SELECT FROM pg_index i
  WHERE i.indexrelid = to_regclass(w.index) AND i.indisvalid)
LIMIT 1
"""
_BEGUN: Final = """
SELECT i.indisvalid AS valid, EXISTS (SELECT FROM pg_stat_progress_create_index p
  WHERE p.index_relid = i.indexrelid) AS building
FROM pg_index i WHERE i.indexrelid = to_regclass($1)
"""
_POLL_S: Final = 0.5
# Built in some milliseconds, for which a writer may wait.
SMALL_BYTES: Final = 4 * 1024 * 1024
# Another process began in the same moment, or somebody holds for long what attaching needs.
_IN_THE_WAY: Final = (
    asyncpg.DuplicateTableError,
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)


async def complete(connection: Connection) -> None:
    """Build what tables and days lack; what another process builds just now is waited for."""
    while lacking := await connection.fetch(_LACKING_WHOLE):
        one = lacking[0]
        of = f"ON {one['whole']} USING {one['columns']}"
        await _build(connection, one["index"], of, bytes_=one["bytes"])
    while lacking := await connection.fetch(_LACKING):
        one = lacking[0]
        name = f"{one['day']}_{one['index']}"
        of = f"ON {one['day']} USING {one['definition'].partition(' USING ')[2]}"
        attach = f"ALTER INDEX {one['index']} ATTACH PARTITION {name}"
        await _build(connection, name, of, bytes_=one["bytes"], attach=attach)


async def _build(
    connection: Connection, name: str, of: str, *, bytes_: int, attach: str = ""
) -> None:
    begun = await connection.fetch(_BEGUN, name)
    if begun and begun[0]["building"]:
        await asyncio.sleep(_POLL_S)
        return
    small = not begun and bytes_ <= SMALL_BYTES
    try:
        if not small:
            # For the rest of the connection, as no transaction can say it. Waiting for a lock is
            # harmless here: nobody who reads or writes rows queues up behind it.
            await connection.execute("SET statement_timeout = 0")
            await connection.execute("SET lock_timeout = 0")
            if begun and not begun[0]["valid"]:
                # What a process left behind that died while it built.
                await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            await connection.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} {of}")
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '2s'")
            if small:
                await connection.execute(f"CREATE INDEX IF NOT EXISTS {name} {of}")
            if attach:
                await connection.execute(attach)
    except _IN_THE_WAY:
        await asyncio.sleep(_POLL_S)

"""PostgreSQL's log files as a database has them that has run for a while.

A new database makes each of its 16 MB files by writing zeros, and whoever commits just then
waits: measured here, 45 to 52 ms for every 5,000 events, 6 % of the time. After the first
checkpoint the files of before are used again. A benchmark of minutes would measure mostly the
former, production sees mostly the latter.
"""

import asyncio
from typing import Final

import asyncpg  # type: ignore[import-untyped] # It ships no types.

# At 10,000 events a second. Making one takes 50 ms.
FILES_PER_S: Final = 2


def have_log_files(database_url: str, *, seconds: int) -> None:
    """Let the database have log files to use again for so long; it must let us checkpoint."""
    asyncio.run(_have(database_url, FILES_PER_S * (seconds + 1)))


async def _have(database_url: str, files: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(files):
            # A file that nothing was written to is not left for the next.
            await connection.execute("SELECT pg_logical_emit_message(false, 'bench', 'x')")
            await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()

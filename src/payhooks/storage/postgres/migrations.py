"""Migrations: numbered pairs of SQL files, each in a transaction of its own.

``pre`` prepares for new code while old code runs, ``post`` removes what only old code needed.
Nothing here runs by itself: ``payhooks migrate`` calls ``migrate``.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from payhooks.errors import UnavailableError
from payhooks.storage.postgres import indexes, partitions
from payhooks.storage.postgres.connections import Connection, Target

_PACKAGE: Final = "payhooks.storage.postgres"
_FILE: Final = re.compile(r"(\d{4})_(pre|post)_[a-z_]+\.sql")
# "payhooks" in ASCII: whoever else takes advisory locks in this database will not meet it.
_LOCK: Final = 0x706179686F6F6B73
_PRE: Final = "pre"
_POST: Final = "post"

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  number int NOT NULL,
  phase text NOT NULL CHECK (phase IN ('pre', 'post')),
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (number, phase)
)
"""
_APPLIED: Final = "SELECT number, phase FROM schema_migrations"
_APPLY: Final = "INSERT INTO schema_migrations (number, phase) VALUES ($1, $2)"
_EXISTS: Final = "SELECT to_regclass('schema_migrations') IS NOT NULL AS there"
# Building an index takes as long as it takes; waiting for a lock must not stop the traffic.
_PATIENCE: Final = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '2s'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file."""

    number: int
    phase: str
    sql: str


def known() -> list[Migration]:
    """Return the migrations of this version: all pre in order, then all post."""
    found = []
    for file in files(_PACKAGE).joinpath("migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(number=int(match[1]), phase=match[2], sql=sql))
    # Every pre before any post: between them the processes are replaced.
    return sorted(found, key=lambda one: (one.phase != _PRE, one.number))


def version() -> int:
    """Return the number of the newest migration of this version."""
    return max(one.number for one in known())


async def migrate(url: str, *, pre_only: bool = False) -> int:
    """Bring the database up to this version; return how many files were run.

    With *pre_only* it stops where the version before this one and this one can both run, so
    that processes can be replaced one by one; run it again without when all are new.

    Safe to run again and from several places at once: whoever comes second waits, and finds
    nothing to do. One that stopped half-way goes on where it stopped.

    Raises:
        UnavailableError: The server cannot be reached, or the database is newer than this.

    """
    connection = await Target.of(url).connect(command_timeout_s=None)
    try:
        run = 0
        for migration in known():
            if migration.phase == _PRE or not pre_only:
                run += await _apply(connection, migration)
        await indexes.complete(connection)
        await partitions.ensure(connection)
    finally:
        await connection.close()
    return run


async def check(connection: Connection) -> int:
    """Return the database's version, which this code can work with.

    Raises:
        UnavailableError: It is older or newer. Run ``payhooks migrate``, or newer code.

    """
    rows = await connection.fetch(_EXISTS)
    if not rows[0]["there"]:
        raise UnavailableError("the database is empty: run payhooks migrate")
    return _checked({(row["number"], row["phase"]) for row in await connection.fetch(_APPLIED)})


def _checked(applied: set[tuple[int, str]]) -> int:
    # A newer pre alone is fine: until its post has run, this code still works.
    newest = max((number for number, phase in applied if phase == _POST), default=0)
    if newest > version():
        raise UnavailableError(
            f"the database has version {newest}, this program only {version()}: update it"
        )
    # A missing post is fine: it removes what this code does without.
    missing = [one for one in known() if one.phase == _PRE and (one.number, _PRE) not in applied]
    if missing:
        raise UnavailableError(
            f"the database lacks version {missing[0].number}: run payhooks migrate"
        )
    return max(number for number, phase in applied if phase == _PRE)


async def _apply(connection: Connection, migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute(_PATIENCE)
        # Ends with the transaction, so that it works behind PgBouncer too.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        applied = {(row["number"], row["phase"]) for row in await connection.fetch(_APPLIED)}
        if any(number > version() for number, _ in applied):
            raise UnavailableError("a newer version has begun to migrate this database")
        if (migration.number, migration.phase) in applied:
            return False
        await connection.execute(migration.sql)
        await connection.execute(_APPLY, migration.number, migration.phase)
    return True

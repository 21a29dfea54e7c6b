"""The schema's history: numbered pairs of SQL files, applied in order, each in a transaction."""

import re
from importlib.resources import files
from typing import Final

import apsw

from payhooks.errors import UnavailableError
from payhooks.storage.sqlite.connection import first

_FILE: Final = re.compile(r"(\d{4})_(pre|post)_[a-z_]+\.sql")
_PHASES: Final = {"pre": 0, "post": 1}


def latest() -> int:
    """Return the number of the newest schema this version knows."""
    return max(number for number, _, _ in _known())


def migrate(connection: apsw.Connection, *, now_us: int) -> None:
    """Bring the file to the newest schema; one that is newer still is left alone.

    Raises:
        UnavailableError: The file was written by a newer version.

    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER NOT NULL,"
        " phase INTEGER NOT NULL, applied_at INTEGER NOT NULL, PRIMARY KEY (number, phase)) STRICT"
    )
    if version(connection) > latest():
        raise UnavailableError(
            f"the database has schema {version(connection)}, this version knows {latest()}"
        )
    for number, phase, text in _known():
        done = "SELECT 1 FROM schema_migrations WHERE number = ? AND phase = ?"
        if first(connection, done, (number, phase)) is not None:
            continue
        with connection:
            connection.execute(text)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?)", (number, phase, now_us)
            )


def version(connection: apsw.Connection) -> int:
    """Return the number of the newest migration that was applied; 0 for none."""
    found = first(connection, "SELECT coalesce(max(number), 0) FROM schema_migrations")
    assert found is not None
    return int(found[0])


def _known() -> list[tuple[int, int, str]]:
    """Return (number, phase, text) of every migration, in the order in which they apply."""
    known = []
    for file in files(__package__).joinpath("migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match is not None:
            number, phase = int(match[1]), _PHASES[match[2]]
            known.append((number, phase, file.read_text(encoding="utf-8")))
    return sorted(known)

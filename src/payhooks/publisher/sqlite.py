"""The outbox's table in a SQLite file, by the standard library."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from payhooks.publisher.table import OutboxTable

# A list as one value: SQLite has no arrays.
_IN_JSON: Final = "{} IN (SELECT value FROM json_each(?))"


class SqliteTable(OutboxTable):
    """In a SQLite file."""

    _mark = "?"
    _locking = ""

    def __init__(self, path: Path) -> None:
        """Take the file; it is opened when first used."""
        super().__init__()
        # By its one true name: the lock file beside it must be the same for everybody.
        self._path = path.resolve()
        self.errors = (sqlite3.Error, OSError)

    def _open(self) -> Any:  # noqa: ANN401 - as in the base
        if self._connection is None:
            # mode=rw: a slip of the pen must not make an empty outbox that is always forwarded.
            self._connection = sqlite3.connect(
                f"{self._path.as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                timeout=10,
                # One thread at a time, but it need not be always the same one.
                check_same_thread=False,
            )
            # SQLite keeps what it is given; one row that is no text must not hide the others.
            self._connection.text_factory = _text
        return self._connection

    @contextmanager
    def _held(self) -> Iterator[bool]:
        import fcntl  # noqa: PLC0415 - not on Windows, where those who only write have no need

        self._open()
        descriptor = os.open(f"{self._path}-forwarder", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.rollback()
            raise
        connection.commit()

    def _is_in(self, column: str) -> str:
        return _IN_JSON.format(column)

    def _list(self, values: Sequence[object]) -> object:
        return json.dumps(list(values))


def _text(stored: bytes) -> str:
    return stored.decode(errors="surrogateescape")

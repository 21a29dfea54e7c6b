"""The whole store over one file: one writer thread, two readers, one lock.

bootstrap sets ``sys.setswitchinterval(0.0005)`` where this store serves: the threads hand
the interpreter to each other at every statement, and at the default of 5 ms a busy event
loop would keep the writer waiting for most of a transaction.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import apsw

from payhooks.clock import Clock
from payhooks.errors import UnavailableError
from payhooks.storage.sqlite import migrations
from payhooks.storage.sqlite.accepting import SqliteAccept
from payhooks.storage.sqlite.concluding import SqliteConclude
from payhooks.storage.sqlite.connection import FOREVER_US, connect, first, to_us
from payhooks.storage.sqlite.controlling import SqliteControl
from payhooks.storage.sqlite.expecting import SqliteExpect
from payhooks.storage.sqlite.feeding import SqliteFeed
from payhooks.storage.sqlite.identity import SqliteIdentity
from payhooks.storage.sqlite.inboxes import SqliteInboxes
from payhooks.storage.sqlite.leasing import SqliteLease
from payhooks.storage.sqlite.lockfile import LockFile
from payhooks.storage.sqlite.parts import Positions
from payhooks.storage.sqlite.playing import SqlitePlay, give_back_runs
from payhooks.storage.sqlite.readers import Readers
from payhooks.storage.sqlite.reading import SqliteRead
from payhooks.storage.sqlite.receiving import SqliteReceive, give_back_receipts
from payhooks.storage.sqlite.replaying import SqliteReplay
from payhooks.storage.sqlite.retiring import SqliteRetire
from payhooks.storage.sqlite.settling import SqliteSettle, prepare
from payhooks.storage.sqlite.sweeping import SqliteSweep, take_back
from payhooks.storage.sqlite.tallying import SqliteTally
from payhooks.storage.sqlite.writer import Writer

_LAST_POSITION: Final = (
    "SELECT max(coalesce((SELECT max(position) FROM queue), 0),"
    " coalesce((SELECT max(position) FROM order_blocks), 0))"
)
_RELEASED_AT_ONCE: Final = 5_000  # nobody waits yet, so the slice may be large


class SqliteStore(
    SqliteAccept,
    SqliteLease,
    SqliteSettle,
    SqliteSweep,
    SqliteRetire,
    SqliteControl,
    SqliteReplay,
    SqlitePlay,
    SqliteInboxes,
    SqliteIdentity,
    SqliteRead,
    SqliteFeed,
    SqliteReceive,
    SqliteConclude,
    SqliteExpect,
    SqliteTally,
):
    """See Store. Made by ``open``."""

    def __init__(self, path: Path, lock: LockFile, clock: Clock, *, last_position: int) -> None:
        self._clock = clock
        self._lock = lock
        self._positions = Positions(last_position)
        self._readers = Readers(path)
        self._writer = Writer(path, prepare=prepare)

    @classmethod
    async def open(cls, path: Path | str, *, clock: Clock, random: Random) -> "SqliteStore":
        """Return the store at *path*, made and migrated where that is needed.

        Leases in the file are taken back: the lock proves that nobody holds them any more.

        Raises:
            WrongStateError: Another process serves this file.
            UnavailableError: The file cannot be opened, or a newer version wrote it.

        """
        return await asyncio.to_thread(cls._open, Path(path), clock)

    @property
    def commits(self) -> int:
        """How many transactions were committed since the start."""
        return self._writer.commits

    async def close(self) -> None:
        """See Store; a second call does nothing."""
        await self._writer.close()
        await self._readers.close()
        self._lock.release()

    @classmethod
    def _open(cls, path: Path, clock: Clock) -> "SqliteStore":
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = LockFile(path)
            try:
                # Payloads of payments: for the eyes of our user alone. The log inherits it.
                path.touch(mode=0o600)
                last_position = _prepare(path, to_us(clock.now()))
                return cls(path, lock, clock, last_position=last_position)
            except BaseException:
                lock.release()
                raise


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (apsw.Error, OSError) as error:
        raise UnavailableError(f"{path} cannot be opened: {error}") from error


def _prepare(path: Path, now: int) -> int:
    """Bring the file to the newest schema, and take back what its owners, who are gone, held.

    Returns the last position that is in use.
    """
    connection = connect(path, writes=True)
    try:
        migrations.migrate(connection, now_us=now)
        prepare(connection)
        give_back_runs(connection)
        give_back_receipts(connection)
        released = True
        while released:
            with connection:
                released = bool(
                    take_back(connection, until=FOREVER_US, limit=_RELEASED_AT_ONCE, now=now)
                )
        found = first(connection, _LAST_POSITION)
        assert found is not None
        return int(found[0])
    finally:
        connection.close()

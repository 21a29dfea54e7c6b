"""The one thread that writes.

Whatever waits is done in one transaction: all accepts, then settles, then the rest, with at
most one slow slice. Each job stands in a savepoint of its own, so that its error takes back
only what it did; nobody hears of success before COMMIT has returned from the disk.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from payhooks.errors import OutcomeUnknownError, UnavailableError
from payhooks.storage.sqlite.connection import BUSY_TIMEOUT_MS, connect

_Result = TypeVar("_Result")
# About 16 MB of log. Five times as much made the 99th percentile of accept four times worse.
_CHECKPOINT_PAGES: Final = 4_000
_JOBS_MAX: Final = 1_000  # of one transaction; more wait for the next


class Kind(IntEnum):
    """In which order jobs of one transaction run."""

    ACCEPT = 0  # a publisher waits
    SETTLE = 1
    QUICK = 2
    SLOW = 3  # a slice of upkeep: one per transaction
    ERASING = 4  # as slow, and what it takes away can be found in no file afterwards


@dataclass(slots=True, kw_only=True)
class _Job:
    kind: Kind
    run: Callable[[apsw.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs jobs on its own thread and connection. ``commits`` counts transactions."""

    def __init__(self, path: Path, *, prepare: Callable[[apsw.Connection], None]) -> None:
        self.commits = 0
        self.broken: str | None = None  # set once the state of the file is unknown
        self._path = path
        self._connection = connect(path, writes=True)
        self._log_pages = 0
        self._log_has_erased = False
        self._connection.set_wal_hook(self._note_log)
        prepare(self._connection)
        self._arrived: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="payhooks-sqlite", daemon=True)
        self._thread.start()

    async def submit(self, kind: Kind, job: Callable[[apsw.Connection], _Result]) -> _Result:
        """Return what *job* returned, once its transaction is on the disk.

        Raises:
            UnavailableError: Rolled back: the file is busy, full, or could not be written.
            OutcomeUnknownError: COMMIT itself failed; written or not.

        """
        if self._closing:
            raise UnavailableError("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._arrived.put(_Job(kind=kind, run=job, loop=loop, future=future))
        # A caller that gave up must not look like a job that failed: the job runs anyway.
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Finish what was submitted, and let go of the file."""
        if not self._closing:
            self._closing = True
            self._arrived.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _work(self) -> None:
        waiting: list[_Job] = []
        open_ = True
        while open_ or waiting:
            open_ = self._gather(waiting, block=open_ and not waiting) and open_
            batch = _take(waiting)
            if batch:
                self._transact(self._connection, batch)
                _deliver(batch)
                self._checkpoint(self._connection)
        self._connection.close()

    def _gather(self, waiting: list[_Job], *, block: bool) -> bool:
        """Move what arrived to *waiting*; False where the end was asked for."""
        while True:
            try:
                job = self._arrived.get(block=block)
            except queue.Empty:
                return True
            if job is None:
                return False
            waiting.append(job)
            block = False

    def _transact(self, connection: apsw.Connection, batch: list[_Job]) -> None:
        if self.broken is not None:
            return _fail(batch, UnavailableError(self.broken))
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                _run_one(connection, job, alone=len(batch) == 1)
                # Where a job was alone, its error ended the transaction.
                if not connection.in_transaction:
                    return _fail(batch, job.error)
        except apsw.Error as error:
            self._judge(error)
            _roll_back(connection)
            return _fail(batch, translated(error))
        try:
            connection.execute("COMMIT")
        except apsw.Error as error:
            self._judge(error)
            _roll_back(connection)
            unknown = isinstance(error, apsw.IOError)
            return _fail(
                batch,
                OutcomeUnknownError(f"COMMIT failed: {error}") if unknown else translated(error),
            )
        self.commits += 1
        self._log_has_erased |= any(job.kind is Kind.ERASING for job in batch)
        return None

    def _note_log(self, _: apsw.Connection, __: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self, connection: apsw.Connection) -> None:
        """Copy the log into the file where it is long; after the answers, for nobody waits."""
        # SQLite's own way to do this forgets errors. Here a failed fsync must be heard of.
        if self.broken is not None:
            return
        if self._log_has_erased:
            self._empty_log(connection)
        if self._log_pages < _CHECKPOINT_PAGES:
            return
        self._log_pages = 0
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            self._judge(error)

    def _empty_log(self, connection: apsw.Connection) -> None:
        """Copy the log and cut it off: what was erased stands there as it was written once."""
        # Not waiting: while somebody reads the log it stays, and the next transaction tries again.
        connection.set_busy_timeout(0)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._log_pages = 0
            self._log_has_erased = False
        except apsw.BusyError:
            pass
        except apsw.Error as error:
            self._judge(error)
        finally:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)

    def _judge(self, error: apsw.Error) -> None:
        # After a failed write or fsync nobody knows which pages reached the disk, and a second
        # fsync may report success for pages that were dropped. Only a new start, which
        # reads the log from the disk, is safe.
        if isinstance(error, apsw.IOError | apsw.CorruptError):
            self.broken = (
                f"writing to {self._path} failed ({error}); restart after mending the disk"
            )


def translated(error: apsw.Error) -> UnavailableError:
    """Return the error of ours that says what *error* means to a caller."""
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return UnavailableError("the database file is locked by another program")
        case apsw.FullError():
            return UnavailableError("the disk is full", retry_after_s=30.0)
        case apsw.IOError() | apsw.CantOpenError() | apsw.ReadOnlyError():
            return UnavailableError(f"the database file cannot be used: {error}")
        case _:
            return UnavailableError(f"the database refused: {error}")


def is_environment(error: BaseException) -> bool:
    """Return whether *error* is the machine's doing, not a bug in a statement."""
    return isinstance(
        error,
        apsw.BusyError
        | apsw.LockedError
        | apsw.FullError
        | apsw.IOError
        | apsw.CantOpenError
        | apsw.ReadOnlyError
        | apsw.CorruptError
        | apsw.NoMemError,
    )


def _take(waiting: list[_Job]) -> list[_Job]:
    """Remove and return the jobs of the next transaction, in the order in which they run."""
    # Stable: within a kind, as they came. What erases takes its turn among what is slow: of that
    # there may always be more waiting, and one kind would never come to the other.
    waiting.sort(key=lambda job: min(job.kind, Kind.SLOW))
    batch: list[_Job] = []
    later: list[_Job] = []
    slow = 0
    for job in waiting:
        slow += job.kind >= Kind.SLOW
        fits = len(batch) < _JOBS_MAX and (job.kind < Kind.SLOW or slow == 1)
        (batch if fits else later).append(job)
    waiting[:] = later
    return batch


def _run_one(connection: apsw.Connection, job: _Job, *, alone: bool) -> None:
    if not alone:
        connection.execute("SAVEPOINT job")
    try:
        job.result = _erased(connection, job) if job.kind is Kind.ERASING else job.run(connection)
    except Exception as error:
        if isinstance(error, apsw.Error) and is_environment(error):
            raise  # the transaction's trouble, not this job's
        job.error = error
        connection.execute("ROLLBACK" if alone else "ROLLBACK TO job")
    if not alone:
        connection.execute("RELEASE job")


def _erased(connection: apsw.Connection, job: _Job) -> object:
    # Whole pages that become free are overwritten too: these are written for nothing else, which
    # is for this job alone.
    connection.pragma("secure_delete", 1)
    try:
        return job.run(connection)
    finally:
        connection.pragma("secure_delete", "fast")


def _roll_back(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        with contextlib.suppress(apsw.Error):
            connection.execute("ROLLBACK")


def _fail(batch: list[_Job], error: BaseException | None) -> None:
    for job in batch:
        job.error = error or UnavailableError("the transaction was rolled back")


def _deliver(batch: list[_Job]) -> None:
    """Wake each loop once for all of its jobs."""
    loops = {id(job.loop): job.loop for job in batch}
    for key, loop in loops.items():
        jobs = [job for job in batch if id(job.loop) == key]
        # A loop that has ended has nobody left who could listen.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_futures, jobs)


def _settle_futures(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)

"""Two threads that read, each in short transactions, beside the one that writes."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from payhooks.errors import UnavailableError
from payhooks.storage.sqlite.connection import connect
from payhooks.storage.sqlite.writer import is_environment, translated

_Result = TypeVar("_Result")
_READERS: Final = 2  # a long list must not keep a routing look-up waiting


class Readers:
    """Runs reads, each on one snapshot. What was committed before a read began, it sees."""

    def __init__(self, path: Path) -> None:
        self._connections: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        for _ in range(_READERS):
            self._connections.put(connect(path, writes=False))
        self._closed = False
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="payhooks-sqlite-read")

    async def read(self, job: Callable[[apsw.Connection], _Result]) -> _Result:
        """Return what *job* found.

        Raises:
            UnavailableError: The file is busy or cannot be read, or the store is closed.

        """
        if self._closed:
            raise UnavailableError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, job)

    async def close(self) -> None:
        """Finish what is under way."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._threads.shutdown)
        for _ in range(_READERS):
            self._connections.get_nowait().close()

    def _run(self, job: Callable[[apsw.Connection], _Result]) -> _Result:
        connection = self._connections.get()  # never waits: as many threads as connections
        try:
            connection.execute("BEGIN")
            try:
                return job(connection)
            finally:
                # A snapshot held open would keep the log from shrinking.
                connection.execute("ROLLBACK")
        except apsw.Error as error:
            if not is_environment(error):
                raise
            raise UnavailableError(str(translated(error))) from error
        finally:
            self._connections.put(connection)

"""One server per file: a lock that the kernel lets go of when its holder dies."""

import fcntl
import os
from pathlib import Path

from payhooks.errors import WrongStateError


class LockFile:
    """Held from construction to ``release``. Says who holds it, by process id."""

    def __init__(self, database: Path) -> None:
        """Take the lock beside *database*.

        Raises:
            WrongStateError: Another process serves this file.

        """
        path = database.with_name(f"{database.name}.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise WrongStateError(
                f"{database} is served by process {holder or 'unknown'}; only one may at a time"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let the next one in. The file stays: removing it would let two lock two files."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

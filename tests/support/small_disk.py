"""A disk that can be filled up: a tmpfs of a few megabytes, mounted for as long as a test lasts."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PIECE: Final = bytes(4_096)


class SmallDisk:
    """A mounted folder, and the file that fills it up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave nothing free, not a page, until the end of the block."""
        self._fill()
        try:
            yield
        finally:
            self._ballast.unlink()

    def _fill(self) -> None:
        with self._ballast.open("ab") as file, contextlib.suppress(OSError):
            free = os.statvfs(self.folder)
            file.write(bytes(free.f_bavail * free.f_frsize))
            file.flush()
            # What a busy server gave back meanwhile.
            for _ in range(10_000):
                file.write(_PIECE)
                file.flush()


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Yield a disk of that size, mounted at *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0777"
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        # Lazy: whoever still has a file open may finish.
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)

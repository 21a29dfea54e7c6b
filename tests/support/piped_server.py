"""A server whose standard output is a pipe that nobody need read."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.support.server import ROOT, Server

_F_SETPIPE_SZ: Final = 1031  # Python 3.11 has no name for it
_PIPE_BYTES_MIN: Final = 4_096


class Piped(Server):
    """Its pipe has the least size there is, so that it is full at once."""

    def __init__(self, folder: Path, database_url: str, **environment: str) -> None:
        super().__init__(folder, database_url, environment=environment)
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, _F_SETPIPE_SZ, _PIPE_BYTES_MIN)

    def begin(self, environment: Mapping[str, str] | None = None) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                cwd=ROOT,
                env={**self.environment, **(environment or {})},
                stdout=self.writer,
                stderr=log,
            )

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        super().close()
        os.close(self.writer)
        if self.reader >= 0:
            os.close(self.reader)

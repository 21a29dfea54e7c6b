"""The command line as people run it: in processes of its own, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from tests.support.source_tree import ROOT

PAYHOOKS: Final = (sys.executable, "-m", "payhooks")
ENDS_WITHIN_S: Final = 60


def environment(**more: str) -> dict[str, str]:
    """Return what a command inherits: no settings but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAYHOOKS_")}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), **more}


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Return what came of one command."""
    return subprocess.run(
        [*PAYHOOKS, *arguments],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )


def run_json(folder: Path, *arguments: str, **settings: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what one command printed with ``--json``; it must succeed."""
    done = run(folder, *arguments, "--json", **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Running:
    """A command that runs until it is told to stop; its lines are read as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._news = threading.Condition()
        assert process.stdout is not None
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def line_with(self, text: str, *, within_s: float = ENDS_WITHIN_S) -> str:
        """Return the first line that holds *text*, as soon as it is there."""
        with self._news:
            found = self._news.wait_for(lambda: self._found(text) is not None, within_s)
            assert found, f"no {text!r} in {self._lines}"
            line = self._found(text)
            assert line is not None
            return line

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Return the exit code of the process after this signal, given again where it was lost.

        An exception that a signal raises while the interpreter is in a destructor is lost, and a
        person presses the keys again. Where it stood is printed, for whoever looks for the cause.
        """
        self.process.send_signal(number)
        try:
            return self.process.wait(ENDS_WITHIN_S / 3)
        except subprocess.TimeoutExpired:
            spy = Path(sys.executable).with_name("py-spy")
            subprocess.run([spy, "dump", "--pid", str(self.process.pid)], check=False)
        self.process.send_signal(number)
        return self.process.wait(ENDS_WITHIN_S)

    def _found(self, text: str) -> str | None:
        return next((line for line in self._lines if text in line), None)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._news:
                self._lines.append(line)
                self._news.notify_all()


@contextmanager
def running(
    folder: Path, *arguments: str, command: Sequence[str] = PAYHOOKS, **settings: str
) -> Iterator[Running]:
    """Yield a command that runs; it is gone afterwards, whatever happened."""
    with subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()

"""What processes cost: CPU and memory, as the kernel counts them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.server import ROOT

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def running(module: str, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run a module that prints its port and ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_PER_S


def tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, alive or not."""
    total = cpu_s(pid)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
        try:
            total += cpu_s(int(child))
        except FileNotFoundError:
            continue
    return total


def rss_mb(pid: int, *, peak: bool = False) -> float:
    """Return the resident memory of a process, or the most it ever had."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1_024
    raise AssertionError("every process has a resident size")

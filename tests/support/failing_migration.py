"""Migrations that die by SIGKILL between two statements, as often as a test asks for it.

    python -m tests.support.failing_migration

reads lines ``NUMBER URL``, migrates that database in a child, which dies before it runs its
statement of that number, and prints how many statements were run. One process for all: what
costs time is the start.
"""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import apsw

from payhooks.clock import SystemClock
from payhooks.storage.postgres.connections import Connection, Target
from payhooks.storage.postgres.migrations import migrate
from payhooks.storage.sqlite import SqliteStore

# What may hold a semicolon that ends nothing, then the one that does.
_TOKENS: Final = re.compile(r"\$\$.*?\$\$|'(?:[^']|'')*'|--[^\n]*|;", re.DOTALL)


class Steps:
    """Counts statements, and dies before one of them. The pipe tells the parent how many ran."""

    def __init__(self, dies_before: int, pipe: int) -> None:
        self._left = dies_before
        self._pipe = pipe

    def step(self) -> None:
        """Note that the next statement is about to run."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(self._pipe, b".")


class Stepping:
    """A connection that runs scripts statement by statement."""

    def __init__(self, connection: Connection, steps: Steps) -> None:
        self._connection = connection
        self._steps = steps

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a connection has
        return getattr(self._connection, name)

    async def execute(self, query: str, *args: object) -> str:
        """See Connection."""
        said = ""
        for statement in statements(query):
            self._steps.step()
            said = await self._connection.execute(statement, *args)
        return said


def statements(script: str) -> Iterator[str]:
    """Yield the statements of a script."""
    start = 0
    for token in _TOKENS.finditer(script):
        if token[0] == ";":
            yield script[start : token.end()]
            start = token.end()
    if script[start:].strip():
        yield script[start:]


def _migrate(url: str, steps: Steps) -> None:
    if url.startswith("sqlite:///"):

        def trace(_cursor: object, _sql: str, _bindings: object) -> bool:
            steps.step()
            return True

        apsw.connection_hooks.append(lambda connection: connection.set_exec_trace(trace))
        path = Path(url.removeprefix("sqlite:///"))
        asyncio.run(_open_and_close(path))
        return
    connect = Target.connect

    async def stepping(self: Target, *, command_timeout_s: float | None = None) -> Stepping:
        return Stepping(await connect(self, command_timeout_s=command_timeout_s), steps)

    setattr(Target, "connect", stepping)  # noqa: B010 - only in the child, which dies
    asyncio.run(migrate(url))


async def _open_and_close(path: Path) -> None:
    store = await SqliteStore.open(path, clock=SystemClock(), random=Random(1))
    await store.close()


def _in_child(number: int, url: str) -> int:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            _migrate(url, Steps(number, writing))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        ran = len(pipe.read())
    os.waitpid(pid, 0)
    return ran


def main() -> None:
    """Serve until the end of the input."""
    for line in sys.stdin:
        number, url = line.split()
        print(_in_child(int(number), url), flush=True)


if __name__ == "__main__":
    main()

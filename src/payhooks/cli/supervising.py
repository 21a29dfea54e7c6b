"""Several serving processes on one port: started, started again when they die, stopped together.

The kernel shares the connections out (SO_REUSEPORT). The parent serves nothing and opens no
store, so nothing that happens to a request can stop it.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from payhooks import serving
from payhooks.bootstrap import open_store
from payhooks.cli.exits import ExitCode
from payhooks.cli.output import say
from payhooks.cli.running import bind, tell, url_at
from payhooks.clock import SystemClock
from payhooks.settings import Settings

BACK_OFF_S_FIRST: Final = 0.5
BACK_OFF_S_MAX: Final = 30.0
# Who lived this long was well; its next death begins at the shortest wait again.
HEALTHY_AFTER_S: Final = 60.0
# Beyond the grace of its requests: for the store to close and the interpreter to end.
STOP_MARGIN_S: Final = 10.0


def supervise(settings: Settings, *, without_worker: bool) -> int:
    """Keep PAYHOOKS_WORKERS children serving until SIGTERM or SIGINT; return the exit code.

    Raises:
        UnavailableError: The port is taken, or the store cannot be used: children would only
            find the same.

    """
    # Held, not listened on: the port stays ours while children come and go.
    with bind(settings, shared=True) as held:
        asyncio.run(_demand_store(settings))
        tell(f"Serving at {url_at(held)}, in {settings.workers} processes; Ctrl-C stops them.")
        command = [sys.executable, "-m", "payhooks", "serve", "--child"]
        if without_worker:
            command.append("--without-worker")
        grace_s = settings.drain_grace_s + STOP_MARGIN_S
        return asyncio.run(keep_running(command, count=settings.workers, grace_s=grace_s))


async def _demand_store(settings: Settings) -> None:
    store = await open_store(settings, SystemClock())
    await store.close()


async def keep_running(command: Sequence[str], *, count: int, grace_s: float) -> int:
    """Keep *count* children of *command* alive until a signal; then stop them."""
    stop = serving.stop_event()
    children = [
        _Child(command=command, number=number, stop=stop, grace_s=grace_s)
        for number in range(1, count + 1)
    ]
    codes = await asyncio.gather(*[child.keep() for child in children])
    return max(codes)


@dataclass(slots=True, kw_only=True)
class _Child:
    """One place among the children, whoever fills it."""

    command: Sequence[str]
    number: int
    stop: asyncio.Event
    grace_s: float

    async def keep(self) -> int:
        """Start the child, and again whenever it ends, until the stop."""
        wait_s = BACK_OFF_S_FIRST
        loop = asyncio.get_running_loop()
        while not self.stop.is_set():
            started_s = loop.time()
            code = await self._run()
            if self.stop.is_set():
                return code
            if code == ExitCode.USAGE:
                # Its settings are wrong, and so they are for its sisters: trying again is noise.
                self.stop.set()
                return code
            if loop.time() - started_s > HEALTHY_AFTER_S:
                wait_s = BACK_OFF_S_FIRST
            say(f"Process {self.number} ended with {code}; started again in {wait_s:g} s.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), wait_s)
            wait_s = min(2 * wait_s, BACK_OFF_S_MAX)
        return ExitCode.OK

    async def _run(self) -> int:
        # A group of its own: Ctrl-C in a terminal reaches the whole group, and a child that
        # hears it from us as well would take the second signal for impatience.
        process = await asyncio.create_subprocess_exec(
            *self.command, stdin=asyncio.subprocess.PIPE, process_group=0
        )
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                _tell(process, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(ended), self.grace_s)
                _tell(process, signal.SIGKILL)
            return await ended
        finally:
            stopping.cancel()


def _tell(process: asyncio.subprocess.Process, number: int) -> None:
    # Not by the process object: it looks first whether the child has ended, and would take its
    # exit code away from who waits for it.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)

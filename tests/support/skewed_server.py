"""A serving process whose wall clock a test moves while it runs.

    PAYHOOKS_TEST_CLOCK=/path/to/file python -m tests.support.skewed_server

The file holds by how many seconds the clock is ahead; it is read at every look at the clock.
The monotonic clock goes on as ever, as it does when somebody sets the time of a machine.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import uvloop

from payhooks import bootstrap, serving
from payhooks.clock import SystemClock
from payhooks.settings import load

CLOCK_VARIABLE: Final = "PAYHOOKS_TEST_CLOCK"
COMMAND: Final = ("tests.support.skewed_server",)  # after python -m


class MovedClock(SystemClock):
    """The machine's clock, ahead or behind."""

    def now(self) -> datetime:
        """Return the time that this process believes."""
        ahead_s = float(Path(os.environ[CLOCK_VARIABLE]).read_text("ascii"))
        return super().now() + timedelta(seconds=ahead_s)


async def _serve() -> None:
    settings = load(os.environ)
    # The one seam: whoever asks for the time was given this by the composition root.
    setattr(bootstrap, "SystemClock", MovedClock)  # noqa: B010 - a module is no class
    process = await bootstrap.open_process(settings)
    host, port = settings.host_and_port
    with serving.bind(host, port, shared=True) as listener:
        await serving.serve(process, listener)


if __name__ == "__main__":
    serving.prepare_process()
    uvloop.run(_serve())

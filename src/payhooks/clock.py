"""Time as an argument, so that a test or the simulator can own it.

Waiting is not here: whoever waits asks the running event loop, whose time the simulator
owns too.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where every timestamp in this package comes from."""

    def now(self) -> datetime:
        """Return wall-clock time in UTC. It may jump; never subtract two of these."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that only go up and that count while the machine sleeps."""
        ...


class SystemClock:
    """The machine's clock. Only ``bootstrap`` and the command line construct it."""

    def now(self) -> datetime:
        """Return wall-clock time in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place allowed to ask the machine

    def monotonic_s(self) -> float:
        """Return seconds since boot, suspended time included.

        A lease goes on running while the machine sleeps, so CLOCK_MONOTONIC, which stands
        still then, would let a worker believe in a lease that is long gone.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME)

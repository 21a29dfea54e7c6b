"""Work that takes the interpreter for long, on threads beside the event loop."""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from payhooks import limits
from payhooks.errors import OverloadedError

_Result = TypeVar("_Result")


class Threads:
    """A few threads, and how much may wait for them. One of a kind per process; safe to share."""

    def __init__(self, at_once: int, *, waiting_max: int, work: str) -> None:
        """Begin with no thread; *work* says in the plural what is done, for errors."""
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix=f"payhooks-{work}")
        self._waiting_max = waiting_max
        self._work = work
        self._waiting = 0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what *work* does.

        Raises:
            OverloadedError: Too much waits already; nothing was done.

        """
        if self._waiting >= self._waiting_max:
            raise OverloadedError(f"too many {self._work} wait")
        self._waiting += 1
        try:
            return await get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def for_diagnoses() -> Threads:
    """Return the thread on which receipts are diagnosed, one after the other.

    On more each would wait for the interpreter as well, and the event loop, which takes what
    providers send, for all of them.
    """
    return Threads(1, waiting_max=limits.DIAGNOSES_WAITING_MAX, work="diagnoses")

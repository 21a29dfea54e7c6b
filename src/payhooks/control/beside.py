"""Work that takes the interpreter for long, on one thread beside the event loop."""

from asyncio import get_running_loop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from payhooks import limits
from payhooks.errors import OverloadedError

_Result = TypeVar("_Result")


class Beside:
    """Does one piece of work after the other. One per process; safe to share.

    On more threads each would wait for the interpreter as well, and the event loop, which takes
    what providers send, for all of them.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="payhooks-beside")
        self._waiting = 0

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Return what *work* does.

        Raises:
            OverloadedError: Too much waits already; nothing was done.

        """
        if self._waiting >= limits.DIAGNOSES_WAITING_MAX:
            raise OverloadedError("too many receipts are diagnosed")
        self._waiting += 1
        try:
            return await get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

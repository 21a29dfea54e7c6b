"""A receiver on a loop of its own, so that tests can be written top-down."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from tests.support.receiver import Receiver, Reception, behave

_Result = TypeVar("_Result")
_Found = TypeVar("_Found")
S_MAX: Final = 60.0


class Receiving:
    """Receives on a thread; ``before_answer`` is called for each request that came."""

    def __init__(self) -> None:
        self.before_answer: Callable[[Reception], None] = lambda _reception: None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.receiver = self._run(Receiver(self._answer).start())

    @property
    def received(self) -> list[Reception]:
        return list(self.receiver.received)

    def url(self, path: str = "/ok") -> str:
        return self.receiver.url(path)

    def until(self, count: int) -> list[Reception]:
        """Return what came, when so many requests have."""
        self._run(self.receiver.until(lambda received: len(received) >= count, s=S_MAX))
        return self.received

    def close(self) -> None:
        self._run(self.receiver.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(S_MAX + 5)

    async def _answer(self, reception: Reception) -> bytes | None:
        self.before_answer(reception)
        return await behave(reception)


def until(
    ask: Callable[[], _Found], is_right: Callable[[_Found], bool], *, s: float = S_MAX
) -> _Found:
    """Return the answer when it is right; fails with the last one when it does not become so."""
    ends_s = time.monotonic() + s
    while not is_right(found := ask()):
        assert time.monotonic() < ends_s, found
        threading.Event().wait(0.05)
    return found

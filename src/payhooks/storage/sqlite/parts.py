"""What every part of the store works with, and the few writes that several of them make."""

from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeVar

import apsw

from payhooks.clock import Clock
from payhooks.model.delivery import State
from payhooks.storage.sqlite.connection import to_us
from payhooks.storage.sqlite.readers import Readers
from payhooks.storage.sqlite.writer import Kind, Writer

_Result = TypeVar("_Result")

# As the tables spell states. Undone ones are in queue, the others in deliveries.
STATES: Final = (
    State.SCHEDULED,
    State.LEASED,
    State.BLOCKED,
    State.DELIVERED,
    State.FAILED,
    State.CANCELLED,
)
CODES: Final = {state: code for code, state in enumerate(STATES)}


class LaneState(IntEnum):
    """Whether a lane may send, as the table spells it."""

    OPEN = 0
    PAUSED = 1
    DISABLED = 2
    DELETED = 3
    LISTENING = 4


class Positions:
    """Numbers in the order of acceptance, given on the writer's thread alone.

    Kept in memory: they only ever compare what waits in the queue, so after a start they go
    on above what waits there.
    """

    def __init__(self, last: int) -> None:
        self._last = last

    def take(self, count: int, *, above: int = 0) -> range:
        """Return the next *count* numbers, all above that one: of before the start, perhaps."""
        first = max(self._last, above) + 1
        self._last = first + count - 1
        return range(first, first + count)


class Part:
    """A group of the store's methods, over the same file."""

    _clock: Clock
    _writer: Writer
    _readers: Readers
    _positions: Positions

    async def _write(self, kind: Kind, job: Callable[[apsw.Connection], _Result]) -> _Result:
        return await self._writer.submit(kind, job)

    async def _read(self, job: Callable[[apsw.Connection], _Result]) -> _Result:
        return await self._readers.read(job)

    def _now_us(self) -> int:
        return to_us(self._clock.now())

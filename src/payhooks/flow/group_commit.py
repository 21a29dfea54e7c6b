"""Group commit: while one transaction is on its way to the disk, newcomers gather.

When it returns, all that gathered go in the next one. There is no timer on the way of a lone
item: it leaves at once. A linger only follows a batch that had company, where waiting a
moment saves a whole transaction.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import msgspec

from payhooks.errors import OutcomeUnknownError, OverloadedError, UnavailableError

Item = TypeVar("Item")
Result = TypeVar("Result")

# When as much waits as may wait, a moment is enough for several batches to go.
OVERLOADED_RETRY_AFTER_S: Final = 1.0
# The last quarter of what may wait is not for the turn that fills most of the rest: a flood is
# turned away before whoever has a single event.
TURN_SHARE: Final = 0.75


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch may hold and what may wait; a single item over a batch bound goes alone."""

    batch_weight_max: int  # of ``weight``: events, or rows
    batch_bytes_max: int
    waiting_weight_max: int
    waiting_bytes_max: int
    linger_s: float
    linger_always: bool  # False: only when the last batch had more than one item
    # After so long nobody waits for a batch any more; it goes on without its callers.
    patience_s: float | None = None


class _Waiting(Generic[Item, Result]):
    __slots__ = ("bytes_", "future", "item", "weight")

    def __init__(
        self, item: Item, weight: int, bytes_: int, future: "asyncio.Future[Result] | None"
    ) -> None:
        self.item = item
        self.weight = weight
        self.bytes_ = bytes_
        self.future = future


class GroupCommit(Generic[Item, Result]):
    """Gather items and commit them in batches, one batch at a time.

    Items of one *turn* (a merchant) stay in their order; between turns batches are filled
    round robin, so that a merchant with a flood does not hold up one with a single event.
    """

    def __init__(
        self, commit: Callable[[list[Item]], Awaitable[list[Result]]], *, bounds: Bounds
    ) -> None:
        """Take *commit*, which returns one result per item, or raises for the whole batch."""
        self._commit = commit
        self._bounds = bounds
        self._turns: OrderedDict[Hashable, deque[_Waiting[Item, Result]]] = OrderedDict()
        self._waiting_weight = 0
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._hurry: asyncio.Event = asyncio.Event()
        self._last_batch_items = 0
        self._stuck = False  # the batch on its way has used up its patience
        self.commits = 0  # how many transactions; tests and metrics read it

    @property
    def waiting(self) -> int:
        """The weight of what waits for its batch."""
        return self._waiting_weight

    def submit(
        self, item: Item, *, turn: Hashable = None, weight: int = 1, bytes_: int = 0
    ) -> "asyncio.Future[Result]":
        """Put *item* in the next batch that has room; its future gets the result.

        Raises:
            OverloadedError: As much waits as may wait.
            UnavailableError: The batch on its way does not return; to wait would be in vain.

        """
        bounds = self._bounds
        if self._stuck:
            raise UnavailableError("the store does not answer")
        if (
            self._waiting_weight + weight > bounds.waiting_weight_max
            or self._waiting_bytes + bytes_ > bounds.waiting_bytes_max
        ) and self._waiting_weight:
            raise OverloadedError(
                "too much is waiting to be stored", retry_after_s=OVERLOADED_RETRY_AFTER_S
            )
        if self._waiting_weight + weight > bounds.waiting_weight_max * TURN_SHARE:
            own = sum(waiting.weight for waiting in self._turns.get(turn, ()))
            if own > self._waiting_weight / 2:
                raise OverloadedError(
                    "too much of one merchant is waiting to be stored",
                    retry_after_s=OVERLOADED_RETRY_AFTER_S,
                )
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._put(_Waiting(item, weight, bytes_, future), turn)
        return future

    def put(self, item: Item, *, bytes_: int = 0) -> None:
        """Put *item* in a batch, whatever waits; nobody gets its result but ``commit``."""
        self._put(_Waiting(item, 1, bytes_, None), None)

    def _put(self, waiting: "_Waiting[Item, Result]", turn: Hashable) -> None:
        self._turns.setdefault(turn, deque()).append(waiting)
        self._waiting_weight += waiting.weight
        self._waiting_bytes += waiting.bytes_
        if self._waiting_weight >= self._bounds.batch_weight_max:
            self._hurry.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def hurry(self) -> None:
        """Let what waits go without lingering."""
        self._hurry.set()

    async def drain(self) -> None:
        """Return when everything submitted so far has its result."""
        while self._task is not None:
            self._hurry.set()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._turns:
                await self._linger()
                await self._commit_batch(self._take_batch())
        finally:
            self._task = None

    async def _linger(self) -> None:
        bounds = self._bounds
        if bounds.linger_s and (bounds.linger_always or self._last_batch_items > 1):
            try:
                async with asyncio.timeout(bounds.linger_s):
                    await self._hurry.wait()
            except TimeoutError:
                pass
        self._hurry.clear()

    def _take_batch(self) -> list[_Waiting[Item, Result]]:
        bounds = self._bounds
        batch: list[_Waiting[Item, Result]] = []
        weight = bytes_ = 0
        while self._turns:
            turn, waiting = next(iter(self._turns.items()))
            first = waiting[0]
            weight += first.weight
            bytes_ += first.bytes_
            if batch and (weight > bounds.batch_weight_max or bytes_ > bounds.batch_bytes_max):
                break
            batch.append(waiting.popleft())
            self._waiting_weight -= first.weight
            self._waiting_bytes -= first.bytes_
            if waiting:
                self._turns.move_to_end(turn)
            else:
                del self._turns[turn]
        return batch

    def _lose_patience(self, batch: list[_Waiting[Item, Result]]) -> None:
        """Tell everybody who waits, and newcomers at once, that there is no answer now."""
        self._stuck = True
        _fail(batch, OutcomeUnknownError("the store does not answer"))
        while self._turns:
            # These were never sent, so it is certain that they are not stored.
            _fail(self._take_batch(), UnavailableError("the store does not answer"))

    async def _commit_batch(self, batch: list[_Waiting[Item, Result]]) -> None:
        assert batch
        self._last_batch_items = len(batch)
        patience = None
        if self._bounds.patience_s is not None:
            loop = asyncio.get_running_loop()
            patience = loop.call_later(self._bounds.patience_s, self._lose_patience, batch)
        try:
            results = await self._commit([waiting.item for waiting in batch])
            assert len(results) == len(batch)
        except BaseException as error:
            _fail(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        finally:
            self.commits += 1
            self._stuck = False
            if patience is not None:
                patience.cancel()
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future is not None and not waiting.future.done():
                waiting.future.set_result(result)


def _fail(batch: "list[_Waiting[Item, Result]]", error: BaseException) -> None:
    for waiting in batch:
        if waiting.future is not None and not waiting.future.done():
            waiting.future.set_exception(error)
            # Who asked may be gone; then nobody will ever look at this future.
            waiting.future.exception()

"""Receipts that wait to be processed: those just stored from memory, others' from the store.

Merchants take turns, and none has all of the room: neither where receipts wait, nor where they
are processed. What asks a provider first has room of its own, as he may not answer for seconds.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from payhooks.clock import Clock
from payhooks.errors import DamagedError, NotFetchedError, UnavailableError
from payhooks.ids import RECEIPT, MerchantId, ReceiptId, to_text
from payhooks.model.receipt import Receipt, Verdict
from payhooks.ports.receiving import ReceivingStore, Rest
from payhooks.ports.telemetry import Telemetry

WAITING_MAX: Final = 2_000  # in memory; what is more is claimed when nobody holds it any more
# The last quarter is for others than who fills the rest.
WAITING_OF_ONE_MAX: Final = WAITING_MAX * 3 // 4
AT_ONCE_MAX: Final = 64
AT_ONCE_OF_ONE_MAX: Final = 32
FETCHING_MAX: Final = 32  # beside the others
FETCHING_OF_ONE_MAX: Final = 8
CLAIM_EVERY_S: Final = 0.5
CLAIM_MAX: Final = 200
WAIT_S_MIN: Final = 0.001
CLAIMED_S: Final = 7.0
# What cannot be processed for its own sake rests in the store as long as it has waited so far,
# within these: else thousands of it would be claimed again and again, and nothing younger.
REST_S_MIN: Final = CLAIMED_S
REST_S_MAX: Final = 600.0


class _Turn(NamedTuple):
    merchant_id: MerchantId
    fetches: bool


class ReceiptQueue:
    """Feeds one process's normaliser."""

    def __init__(
        self,
        process: Callable[[Receipt], Awaitable[None]],
        *,
        store: ReceivingStore,
        clock: Clock,
        telemetry: Telemetry,
        owner: int,
    ) -> None:
        """Take *process*, which brings a receipt to its end and may be asked twice."""
        self._process = process
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._owner = owner
        self._turns: OrderedDict[_Turn, deque[tuple[float, Receipt]]] = OrderedDict()
        self._waiting = 0
        self._known: set[ReceiptId] = set()  # waiting or under way
        self._rests: list[Rest] = []  # that the store is to be told of
        self._under_way: dict[asyncio.Task[None], Receipt] = {}
        self._busy: Counter[_Turn] = Counter()
        self._stirred = asyncio.Event()  # something came, or something ended
        self._claim_at_s = 0.0

    def offer(self, receipt: Receipt) -> None:
        """Take what this process holds, if there is room."""
        waiting = self._turns.setdefault(_turn_of(receipt), deque())
        if (
            self._waiting < WAITING_MAX
            and len(waiting) < WAITING_OF_ONE_MAX
            and receipt.id not in self._known
        ):
            waiting.append((self._clock.monotonic_s(), receipt))
            self._waiting += 1
            self._known.add(receipt.id)
            self._stirred.set()
        elif not waiting:
            del self._turns[_turn_of(receipt)]

    async def step(self) -> int:
        """Process what waits, once there is something, until nothing is under way.

        Return how many receipts that were. Broken off, it breaks off what is under way.
        """
        begun = 0
        try:
            while True:
                await self._claim_if_due()
                begun += self._begin()
                if begun and not self._under_way:
                    return begun
                await self._wait(self._claim_at_s - self._clock.monotonic_s())
        finally:
            await self._break_off()

    async def _claim_if_due(self) -> None:
        if self._clock.monotonic_s() < self._claim_at_s:
            return
        self._claim_at_s = self._clock.monotonic_s() + CLAIM_EVERY_S
        if self._rests:
            rests, self._rests = self._rests, []
            await self._store.rest_receipts(rests)
        for receipt in await self._store.claim_receipts(
            owner=self._owner, limit=CLAIM_MAX, for_s=CLAIMED_S
        ):
            self.offer(receipt)

    def _begin(self) -> int:
        """Begin as many as there is room for, a merchant after the other; return how many."""
        begun = 0
        while (receipt := self._next()) is not None:
            task = asyncio.create_task(self._end(receipt))
            self._under_way[task] = receipt
            self._busy[_turn_of(receipt)] += 1
            task.add_done_callback(self._ended)
            begun += 1
        return begun

    def _next(self) -> Receipt | None:
        fetching = sum(count for turn, count in self._busy.items() if turn.fetches)
        full = {True: fetching >= FETCHING_MAX}
        full[False] = len(self._under_way) - fetching >= AT_ONCE_MAX
        now_s = self._clock.monotonic_s()
        for turn in list(self._turns):
            of_one_max = FETCHING_OF_ONE_MAX if turn.fetches else AT_ONCE_OF_ONE_MAX
            waiting = self._turns[turn]
            while waiting and not full[turn.fetches] and self._busy[turn] < of_one_max:
                since_s, receipt = waiting.popleft()
                self._waiting -= 1
                self._turns.move_to_end(turn)
                if now_s - since_s < CLAIMED_S:
                    return receipt
                self._known.discard(receipt.id)  # somebody else may hold it by now
            if not waiting:
                del self._turns[turn]
        return None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        receipt = self._under_way.pop(task)
        self._known.discard(receipt.id)
        turn = _turn_of(receipt)
        self._busy[turn] -= 1
        if not self._busy[turn]:
            del self._busy[turn]
        self._stirred.set()

    async def _wait(self, longest_s: float) -> None:
        self._stirred.clear()
        try:
            # Never less: a wait of less than a clock can count would end before it is over.
            async with asyncio.timeout(max(longest_s, WAIT_S_MIN)):
                await self._stirred.wait()
        except TimeoutError:
            pass

    async def _break_off(self) -> None:
        while self._under_way:
            for task in self._under_way:
                task.cancel()
            await asyncio.wait(list(self._under_way))

    async def _end(self, receipt: Receipt) -> None:
        try:
            await self._process(receipt)
        except NotFetchedError:
            self._rest(receipt)
        except DamagedError as error:
            self._telemetry.alarmed("not_opened", f"{to_text(RECEIPT, receipt.id)}: {error}")
            self._rest(receipt)
        except UnavailableError:
            return  # it is claimed again when nobody holds it any more
        except Exception as error:  # noqa: BLE001 - one receipt's trouble must not stop the others
            self._telemetry.bug_caught("normalise", error, about=to_text(RECEIPT, receipt.id))
            self._rest(receipt)

    def _rest(self, receipt: Receipt) -> None:
        waited_s = (self._clock.now() - receipt.tried_since).total_seconds()
        self._rests.append(
            Rest(
                merchant_id=receipt.merchant_id,
                receipt_id=receipt.id,
                for_s=min(max(waited_s, REST_S_MIN), REST_S_MAX),
            )
        )


def _turn_of(receipt: Receipt) -> _Turn:
    return _Turn(receipt.merchant_id, receipt.verdict is Verdict.FETCH)

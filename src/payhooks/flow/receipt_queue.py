"""Receipts that wait to be processed: those just stored from memory, others' from the store."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from payhooks.clock import Clock
from payhooks.errors import UnavailableError
from payhooks.ids import RECEIPT, to_text
from payhooks.model.receipt import Receipt
from payhooks.ports.receiving import ReceivingStore
from payhooks.ports.telemetry import Telemetry

WAITING_MAX: Final = 2_000  # in memory; what is more is claimed when nobody holds it any more
AT_ONCE_MAX: Final = 64
CLAIM_EVERY_S: Final = 0.5
CLAIM_MAX: Final = 200
CLAIMED_S: Final = 10.0


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
        self._waiting: deque[Receipt] = deque()
        self._offered = asyncio.Event()
        self._claim_at_s = 0.0

    def offer(self, receipt: Receipt) -> None:
        """Take what this process has just stored and holds."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(receipt)
            self._offered.set()

    async def step(self) -> int:
        """Process what waits, once there is something; return how many receipts that were."""
        await self._wait(self._claim_at_s - self._clock.monotonic_s())
        if self._clock.monotonic_s() >= self._claim_at_s:
            self._claim_at_s = self._clock.monotonic_s() + CLAIM_EVERY_S
            self._waiting.extend(
                await self._store.claim_receipts(
                    owner=self._owner, limit=CLAIM_MAX, for_s=CLAIMED_S
                )
            )
        taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE_MAX))]
        await asyncio.gather(*[self._end(receipt) for receipt in taken])
        return len(taken)

    async def _wait(self, longest_s: float) -> None:
        if self._waiting or longest_s <= 0:
            return
        self._offered.clear()
        try:
            async with asyncio.timeout(longest_s):
                await self._offered.wait()
        except TimeoutError:
            pass

    async def _end(self, receipt: Receipt) -> None:
        try:
            await self._process(receipt)
        except UnavailableError:
            return  # it is claimed again when nobody holds it any more
        except Exception as error:  # noqa: BLE001 - one receipt's trouble must not stop the others
            self._telemetry.bug_caught("normalise", error, about=to_text(RECEIPT, receipt.id))

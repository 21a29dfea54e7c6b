"""One merchant's receipts do not hold up another's, whatever his provider is at."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Self

import msgspec
import pytest

from payhooks.errors import NotFetchedError, UnavailableError
from payhooks.flow.receipt_queue import (
    AT_ONCE_MAX,
    CLAIM_EVERY_S,
    CLAIMED_S,
    FETCHING_OF_ONE_MAX,
    REST_S_MAX,
    REST_S_MIN,
    WAITING_MAX,
    ReceiptQueue,
)
from payhooks.ids import ConnectorId, MerchantId, ReceiptId, TimeOrderedIds
from payhooks.model.receipt import Receipt, Verdict
from payhooks.ports.receiving import Rest
from payhooks.storage.memory import MemoryStore
from payhooks.testing.clock import ManualClock
from payhooks.testing.telemetry import QuietTelemetry


class _Normaliser:
    """Ends what is signed at once, and never what has to be fetched."""

    def __init__(self) -> None:
        self.ended: asyncio.Queue[Receipt] = asyncio.Queue()
        self.fetching = 0

    async def process(self, receipt: Receipt) -> None:
        if receipt.verdict is Verdict.FETCH:
            self.fetching += 1
            await asyncio.Event().wait()
        self.ended.put_nowait(receipt)


def _receipt(merchant: int, number: int, verdict: Verdict = Verdict.VERIFIED) -> Receipt:
    return Receipt(
        id=ReceiptId((merchant << 64 | number).to_bytes(16, "big")),
        merchant_id=MerchantId(merchant.to_bytes(16, "big")),
        connector_id=ConnectorId(merchant.to_bytes(16, "big")),
        method="POST",
        query="",
        headers=(),
        body=b"",
        body_sha256=hashlib.sha256(b"").digest(),
        verdict=verdict,
        answered=200,
    )


class _Room:
    """A queue at work, over a store in which nothing waits."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.normaliser = _Normaliser()
        self.queue = ReceiptQueue(
            self.normaliser.process,
            store=MemoryStore(clock=self.clock),
            clock=self.clock,
            telemetry=QuietTelemetry(),
            owner=1,
        )

    async def __aenter__(self) -> Self:
        self._step = asyncio.create_task(self._forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._step.cancel()
        await asyncio.wait([self._step])

    async def _forever(self) -> None:
        while True:
            await self.queue.step()

    async def next(self) -> Receipt:
        return await asyncio.wait_for(self.normaliser.ended.get(), 5)


async def test_a_provider_that_does_not_answer_holds_up_nobody_else() -> None:
    """Anybody may call a connector that has to ask: 50 times a second, as long as he likes."""
    async with _Room() as room:
        for number in range(3 * AT_ONCE_MAX):
            room.queue.offer(_receipt(1, number, Verdict.FETCH))
        room.queue.offer(_receipt(2, 1))
        assert await room.next() == _receipt(2, 1)
        room.queue.offer(_receipt(1, 10_000))
        assert await room.next() == _receipt(1, 10_000), "nor what his merchant need not ask for"
        assert room.normaliser.fetching == FETCHING_OF_ONE_MAX


async def test_a_merchant_with_a_flood_leaves_room_for_who_has_one() -> None:
    """Behind thousands of another's it would wait for as long as they take."""
    async with _Room() as room:
        for number in range(2 * WAITING_MAX):
            room.queue.offer(_receipt(1, number))
        room.queue.offer(_receipt(2, 1))
        first = [await room.next() for _ in range(AT_ONCE_MAX)]
        assert _receipt(2, 1) in first


async def test_what_waited_for_longer_than_it_was_held_is_left_to_who_claims_it() -> None:
    """By then another process has it; done twice, all of a backlog would be."""
    room = _Room()
    room.queue.offer(_receipt(1, 1))
    room.clock.advance(timedelta(seconds=CLAIMED_S))
    room.queue.offer(_receipt(1, 2))
    async with room:
        assert await room.next() == _receipt(1, 2)
    assert room.normaliser.ended.empty()


async def test_what_is_held_already_is_not_taken_twice() -> None:
    """What waits here for long is claimed again, by this very process."""
    room = _Room()
    for _ in range(3):
        room.queue.offer(_receipt(1, 1))
    assert await room.queue.step() == 1


async def test_a_queue_that_is_broken_off_leaves_nothing_under_way() -> None:
    """It would go on with a store that is closed."""
    async with _Room() as room:
        room.queue.offer(_receipt(1, 1, Verdict.FETCH))
        room.queue.offer(_receipt(1, 2))
        await room.next()
        before = asyncio.all_tasks()
    assert len(before) > len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("error", [LookupError("a bug"), NotFetchedError("he answers 401")])
@pytest.mark.parametrize("put_back", [False, True], ids=["as it came", "put back a day later"])
async def test_what_cannot_be_processed_rests_as_long_as_it_has_waited(
    error: Exception, *, put_back: bool
) -> None:
    """Nobody holds it after seven seconds: thousands would be claimed, and nothing younger."""
    clock = ManualClock()
    store = _Resting(clock=clock)
    tries = 0

    async def process(_receipt: Receipt) -> None:
        nonlocal tries
        tries += 1
        if tries <= len(ages_s):
            raise error

    ages_s = [1, 100, 100_000]
    queue = ReceiptQueue(process, store=store, clock=clock, telemetry=QuietTelemetry(), owner=1)
    receipt = _receipt(1, 1)
    receipt = msgspec.structs.replace(
        receipt,
        id=ReceiptId(TimeOrderedIds(clock, Random(1)).new()),
        put_back_at=clock.now() + timedelta(days=1) if put_back else None,
    )
    for age_s in ages_s:
        since = receipt.put_back_at or receipt.received_at
        clock.advance(since + timedelta(seconds=age_s) - clock.now())
        queue.offer(receipt)
        await queue.step()
    queue.offer(receipt)
    clock.advance(timedelta(seconds=CLAIM_EVERY_S))
    await queue.step()
    assert [rest.for_s for rest in store.rests] == [REST_S_MIN, 100, REST_S_MAX]
    assert {rest.receipt_id for rest in store.rests} == {receipt.id}


class _Resting(MemoryStore):
    """A store that remembers who is to rest."""

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.rests: list[Rest] = []

    async def rest_receipts(self, rests: Sequence[Rest]) -> None:
        self.rests += rests
        await super().rest_receipts(rests)


async def test_a_store_that_does_not_answer_is_no_reason_to_rest() -> None:
    """When it is back, what has waited for an hour should not wait for another."""
    clock = ManualClock()
    store = _Resting(clock=clock)

    async def process(_receipt: Receipt) -> None:
        raise UnavailableError("the database does not answer")

    queue = ReceiptQueue(process, store=store, clock=clock, telemetry=QuietTelemetry(), owner=1)
    for number in (1, 2):
        queue.offer(_receipt(1, number))
        await queue.step()
        clock.advance(timedelta(seconds=CLAIM_EVERY_S))
    assert store.rests == []

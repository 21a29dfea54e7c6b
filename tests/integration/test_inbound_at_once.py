"""Two messages of one payment that are read at the same time, each without the other."""

import asyncio
from collections import Counter
from itertools import cycle

import pytest
from tests.support.inbound_world import HEARD_AT, InboundWorld, later

from payhooks.model.event import Event


async def _hear(world: InboundWorld, merchant: str, word: str, minutes: int) -> None:
    data = {
        "uuid": "pi_1",
        "amount": 1250,
        "currency": "EUR",
        "settlement": {"uuid": "stl_1", "amount": 1250},
        "updated_at": later(minutes).isoformat(),
    }
    await world.hears_event(
        merchant,
        "owlpay",
        f"payment_intent.{word}",
        data,
        object_type="payment_intent",
        object_id="pi_1",
        number=minutes + 1,
    )


def _times(events: list[Event]) -> Counter[tuple[str, float]]:
    return Counter(
        (event.type, ((event.occurred_at or HEARD_AT) - HEARD_AT).total_seconds() / 60)
        for event in events
    )


async def _read_at_once(world: InboundWorld, *, in_processes: int) -> None:
    normalisers = [world.another_normaliser() for _ in range(in_processes)]
    pairs = zip(cycle(normalisers), world.receipts, strict=False)
    await asyncio.gather(*[normaliser.process(receipt) for normaliser, receipt in pairs])


PROCESSES = pytest.mark.parametrize("processes", [1, 2])


@PROCESSES
@pytest.mark.shows("N12")
async def test_a_receipt_ends_only_when_all_that_it_tells_was_told(processes: int) -> None:
    """Of two words the first was another's already: ended with the second, it was never told."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    for word, minutes in (("request_settle", 5), ("request_settle", 3), ("payout_failed", 2)):
        await _hear(world, merchant, word, minutes)
        await world.process()
    # Each of these brings out a second request; the later one tells of its own failure as well.
    await _hear(world, merchant, "request_settle", 1)
    await _hear(world, merchant, "payout_failed", 4)
    await _read_at_once(world, in_processes=processes)
    assert _times(await world.events(merchant)) == {
        ("payout_initiated", 1): 1,
        ("payout_failed", 2): 1,
        ("payout_initiated", 3): 1,
        ("payout_failed", 4): 1,
        ("payout_initiated", 5): 1,
    }


@PROCESSES
@pytest.mark.shows("N12")
async def test_what_two_messages_mean_together_is_told_though_neither_saw_the_other(
    processes: int,
) -> None:
    """A second request is news for the failure before it; read apart it looks like a repeat."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    await _hear(world, merchant, "request_settle", 1)
    await world.process()
    await _hear(world, merchant, "payout_failed", 2)
    await _hear(world, merchant, "request_settle", 3)
    await _read_at_once(world, in_processes=processes)
    told = {
        ("payout_initiated", 1): 1,
        ("payout_failed", 2): 1,
        ("payout_initiated", 3): 1,
    }
    assert _times(await world.events(merchant)) == told
    # And nobody tells it again who looks later.
    world.receipts.clear()
    await _hear(world, merchant, "payout_failed", 2)
    await world.process()
    assert _times(await world.events(merchant)) == told


@pytest.mark.shows("N12")
async def test_what_a_receipt_told_before_it_read_again_is_known_as_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Read again it meant another message by that word, and no receipt said that it was told."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    for word, minutes in (("request_settle", 5), ("request_settle", 3)):
        await _hear(world, merchant, word, minutes)
        await world.process()
    await _hear(world, merchant, "request_settle", 1)
    await _hear(world, merchant, "payout_failed", 4)
    earlier, failed = world.receipts
    other = world.another_normaliser()
    world.after_next_publication(monkeypatch, lambda: other.process(earlier))
    await world.normaliser.process(failed)
    world.receipts.clear()
    for word, minutes in (("payout_failed", 2), ("payout_finished", 6)):
        await _hear(world, merchant, word, minutes)
        await world.process()
    told = Counter(event.type for event in await world.events(merchant))
    assert told == {"payout_initiated": 3, "payout_failed": 2, "payout_success": 1}

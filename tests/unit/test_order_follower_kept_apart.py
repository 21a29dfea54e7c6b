"""Orders of one payment or merchant that go wrong, or are much: nobody else hears of it."""

import asyncio

import pytest
from tests.support.api_world import World
from tests.support.following import follower, orders, tell, types

from payhooks.control.objects import OBJECT_EVENTS_MAX
from payhooks.errors import UnavailableError
from payhooks.flow.orders import LATE_EVERY_S, TROUBLE_WAIT_S
from payhooks.ids import MERCHANT, EventId, MerchantId, from_text
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter, StoredEvent, Subject
from payhooks.testing.telemetry import QuietTelemetry

pytestmark = pytest.mark.shows("E24")


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def test_what_nobody_expected_of_one_payment_stops_no_other(world: World) -> None:
    """Once a second it would fail again, and nobody's order be told any more."""
    merchant = await world.merchant(families=["foloosi"])
    other = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    following = follower(world, telemetry)
    events, reads = world.store.events, []

    async def broken(
        merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        if filter_.object_id == "bad":
            reads.append(window)
            raise ArithmeticError
        return await events(merchant_id, filter_, window)

    world.break_store("events", broken)
    await tell(world, merchant, "payment_succeeded", 1, id_="bad")
    await tell(world, merchant, "payment_succeeded", 1, id_="good")
    await tell(world, other, "payment_succeeded", 1)
    for _ in range(int(TROUBLE_WAIT_S) - 5):
        await following.step()
        world.advance(1)

    assert [order["object"]["id"] for order in await orders(world, merchant)] == ["good"]
    assert await types(world, other) == ["order.success"]
    assert [where for where, _ in telemetry.bugs] == ["orders"]
    assert len(reads) == 1

    world.advance(TROUBLE_WAIT_S)
    await following.step()
    assert (len(telemetry.bugs), len(reads)) == (1, 2)
    world.break_store("events", events)
    world.advance(2 * TROUBLE_WAIT_S)
    await following.step()
    ids = [order["object"]["id"] for order in await orders(world, merchant)]
    assert ids == ["good", "bad"]


async def test_what_nobody_expected_of_one_merchant_stops_no_other(world: World) -> None:
    """Also where it fails before any payment is looked at."""
    merchant = await world.merchant(families=["foloosi"])
    other = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    following = follower(world, telemetry)
    subjects, known = world.store.subjects, from_text(MERCHANT, merchant)

    async def broken(merchant_id: MerchantId, *, after: EventId, limit: int) -> list[Subject]:
        if merchant_id == known:
            raise ArithmeticError
        return await subjects(merchant_id, after=after, limit=limit)

    world.break_store("subjects", broken)
    for each in (merchant, other):
        await tell(world, each, "payment_succeeded", 1)
    await following.step()
    await following.step()
    assert await types(world, other) == ["order.success"]
    assert [where for where, _ in telemetry.bugs] == ["orders"]
    world.break_store("subjects", subjects)
    world.advance(TROUBLE_WAIT_S)
    await following.step()
    assert await types(world, merchant) == ["order.success"]


async def test_a_store_that_fails_at_one_merchant_comes_to_the_others(world: World) -> None:
    """It may be down for all, so the turn ends; if it is not, the next begins with the others."""
    merchants = [await world.merchant(families=["foloosi"]) for _ in range(3)]
    known, subjects = from_text(MERCHANT, merchants[0]), world.store.subjects

    async def broken(merchant_id: MerchantId, *, after: EventId, limit: int) -> list[Subject]:
        if merchant_id == known:
            raise UnavailableError("too slow")
        return await subjects(merchant_id, after=after, limit=limit)

    world.break_store("subjects", broken)
    following = follower(world)
    for each in merchants:
        await tell(world, each, "payment_succeeded", 1)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await following.step()

    told = [await types(world, merchant) for merchant in merchants]
    assert told == [[], ["order.success"], ["order.success"]]


async def test_large_events_of_a_payment_hold_nobody_up(world: World) -> None:
    """Whoever publishes much and large must not be read as a whole each second."""
    merchant = await world.merchant(families=["foloosi"])
    events, read_bytes = world.store.events, []

    async def counted(
        merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        page = await events(merchant_id, filter_, window)
        if filter_.object_id is not None:
            read_bytes.append(sum(len(one.event.data) for one in page))
        return page

    for _ in range(45):
        await tell(world, merchant, "payment_processing", 1, filler="x" * 250_000)
    await tell(world, merchant, "payment_succeeded", 2)
    following, turns = follower(world), 0
    world.break_store("events", counted)
    look = asyncio.create_task(following.step())
    while not look.done():
        turns += 1
        await asyncio.sleep(0)

    assert await types(world, merchant) == ["order.success"]
    # One page, and what the order was told; others came to work in between.
    assert len(read_bytes) == 2
    assert max(read_bytes) < 20 * 256 * 1024
    assert turns > 4


async def _tell_notes(world: World, merchant: str, id_: str, *, type_: str = "shop.noted") -> None:
    """Publish so much of an order that nothing else of it is seen."""
    note = {"type": type_, "data": {}, "object": {"type": "order", "id": id_}}
    batch = {"events": [note] * OBJECT_EVENTS_MAX}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", batch)
    assert answer.status in {200, 202, 207}, answer.body
    world.advance(1)


@pytest.mark.parametrize("order", ["ORD7", "pay_1"], ids=["another id", "the payment's id"])
async def test_an_order_that_heard_much_since_is_told_what_is_new_and_nothing_twice(
    world: World, order: str
) -> None:
    """What it was told is not seen any more; a word's number must not come again."""
    merchant = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    following = follower(world, telemetry)
    await tell(world, merchant, "payment_failed", 1, order_id=order)
    await tell(world, merchant, "payment_succeeded", 2, order_id=order)
    await following.step()
    await _tell_notes(world, merchant, order)
    await tell(world, merchant, "payment_succeeded", 3, order_id=order)
    await following.step()
    assert await types(world, merchant) == ["order.cancel", "order.success"]
    await tell(world, merchant, "payment_failed", 4, order_id=order)
    await following.step()
    world.advance(LATE_EVERY_S)
    await following.step()

    assert await types(world, merchant) == ["order.cancel", "order.success", "order.cancel"]
    assert (telemetry.bugs, telemetry.alarms) == ([], [])


async def test_an_order_of_more_words_than_are_read_is_told_none_again(world: World) -> None:
    """Which of them were told of the payment is not known; rather none than one twice."""
    merchant = await world.merchant(families=["foloosi"])
    following = follower(world)
    await tell(world, merchant, "payment_failed", 1, order_id="ORD7")
    await following.step()
    await _tell_notes(world, merchant, "ORD7", type_="order.success")
    await tell(world, merchant, "payment_succeeded", 2, order_id="ORD7")
    await following.step()

    assert len(await orders(world, merchant)) == 100  # a page of the merchant's own
    assert all(one["metadata"] is None for one in await orders(world, merchant))


async def test_a_payment_that_ends_after_much_else_is_told_of(world: World) -> None:
    """Its first thousand events are not read any more, and its end has a word all the same."""
    merchant = await world.merchant(families=["foloosi"])
    following = follower(world)
    await _tell_notes(world, merchant, "pay_1")
    await tell(world, merchant, "payment_processing", 1)
    await tell(world, merchant, "payment_failed", 2)
    await following.step()
    await tell(world, merchant, "payment_succeeded", 3)
    await following.step()
    await following.step()

    assert await types(world, merchant) == ["order.cancel", "order.success"]

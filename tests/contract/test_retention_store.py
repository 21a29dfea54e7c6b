"""What SweepStore promises of the past: whole events go when they are old, and answers sooner."""

from datetime import timedelta

import pytest
from tests.support.world import World, attempts_of, events_of

from payhooks.ids import delivery_id
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import Accepted

OBJECT = b"o" * 16
DAY_S = 86_400


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def _retire(world: World, *, days: float) -> int:
    """Retire what is older than so many days; return how many slices that took."""
    before = world.now() - timedelta(days=days)
    for slices in range(50):
        if not await world.store.retire(before=before, limit=100):
            return slices
    raise AssertionError("retirement never ends")


async def test_old_events_go_with_all_that_belongs_to_them(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.deliver(leased)
    await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    await world.advance(5 * DAY_S)
    kept = await world.publish(merchant, endpoint)
    assert await _retire(world, days=2) >= 1
    assert await world.store.event(merchant.id, event.id) is None
    assert await world.store.delivery(merchant.id, leased.id) is None
    assert await attempts_of(world.store, merchant.id, leased.id) == []
    assert await world.store.event(merchant.id, kept.id) is not None
    [entry] = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    # The numbers go on: a puller that comes back late misses events, never re-reads them.
    assert (entry.event.id, entry.sequence) == (kept.id, 2)


async def test_a_feed_first_read_after_retention_begins_with_what_is_left(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    await world.advance(5 * DAY_S)
    kept = await world.publish(merchant, endpoint)
    await _retire(world, days=2)
    [entry] = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    assert (entry.event.id, entry.sequence) == (kept.id, 1)


async def test_what_a_puller_has_read_is_retired_like_the_rest(world: World) -> None:
    """Reading a feed must not keep what it read, nor stop the purge."""
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    assert len(await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)) == 1
    await world.advance(5 * DAY_S)
    await _retire(world, days=2)
    assert await world.store.feed(merchant.id, endpoint.id, after=0, limit=10) == []


async def test_an_object_is_not_held_up_by_what_is_retired(world: World) -> None:
    """Nobody could decide about it any more."""
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    head = world.given_up(await world.lease_one(), block_order=True)
    await world.settle(head)
    await world.advance(5 * DAY_S)
    young = await world.publish(merchant, endpoint, order_key=OBJECT)
    assert await world.lease() == []
    await _retire(world, days=2)
    assert events_of(await world.lease()) == [young.id]


async def test_nothing_young_is_retired(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    await world.deliver(*await world.lease())
    await world.advance(DAY_S)
    assert await _retire(world, days=5) == 0
    assert await world.store.event(merchant.id, event.id) is not None


async def test_a_retired_event_frees_its_idempotency_key(world: World) -> None:
    """A key is kept as long as its event."""
    merchant, endpoint = await _lane(world)
    await world.accept(await world.arrival(world.event(merchant), endpoint, key=b"k" * 16))
    await world.deliver(*await world.lease())
    await world.advance(5 * DAY_S)
    await _retire(world, days=2)
    again = await world.arrival(world.event(merchant), endpoint, key=b"k" * 16)
    assert isinstance((await world.accept(again))[0], Accepted)


@pytest.mark.parametrize("order_key", [None, OBJECT], ids=["unordered", "ordered"])
async def test_what_waited_past_retention_is_cancelled_and_goes(
    world: World, order_key: bytes | None
) -> None:
    """A disabled endpoint must not keep its backlog for ever."""
    merchant, endpoint = await _lane(world)
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    old = await world.publish(merchant, endpoint, order_key=order_key)
    await world.advance(5 * DAY_S)
    young = await world.publish(merchant, endpoint, order_key=order_key)
    await _retire(world, days=2)
    assert await world.store.event(merchant.id, old.id) is None
    await world.edit(endpoint, status=EndpointStatus.ACTIVE)
    assert events_of(await world.lease()) == [young.id]


async def test_what_is_being_sent_is_not_retired(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    await world.advance(5 * DAY_S)
    leased = await world.lease_one()
    await _retire(world, days=2)
    assert await world.store.event(merchant.id, event.id) is not None
    await world.deliver(leased)


async def test_answers_are_kept_for_a_week(world: World) -> None:
    """They hold a stranger's words, so no longer than they are evidence."""
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.fail(leased)
    await world.advance(5 * DAY_S)
    await _retire(world, days=90)
    [attempt] = await attempts_of(world.store, merchant.id, leased.id)
    assert attempt.answer_body
    await world.advance(4 * DAY_S)
    await _retire(world, days=90)
    [attempt] = await attempts_of(world.store, merchant.id, leased.id)
    assert (attempt.status, attempt.answer_body, attempt.answer_headers) == (400, b"", ())


async def test_an_answer_is_as_old_as_its_attempt_not_as_its_delivery(world: World) -> None:
    """Who replays what failed last week wants to read what the receiver says now."""
    merchant, endpoint = await _lane(world)
    event, other = await world.publish(merchant, endpoint), await world.publish(merchant, endpoint)
    await world.fail(*await world.lease())
    await world.advance(8 * DAY_S)
    await world.requeue(world.again(event, endpoint))
    replayed = await world.lease_one()
    await world.fail(replayed)
    await _retire(world, days=90)
    old, new = await attempts_of(world.store, merchant.id, replayed.id)
    assert (old.answer_body, new.answer_body) == (b"", b"caf\xe9 \x00")
    [attempt] = await attempts_of(world.store, merchant.id, delivery_id(other.id, endpoint.number))
    assert attempt.answer_body == b""
    await world.advance(8 * DAY_S)
    await _retire(world, days=90)
    assert not any(
        one.answer_body for one in await attempts_of(world.store, merchant.id, new.delivery_id)
    )


async def test_the_body_of_a_delivery_that_still_waits_is_kept(world: World) -> None:
    """Each retry sends the same body, on the thirtieth day too."""
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    first = world.failed(await world.lease_one(), delay_s=10 * DAY_S, rendered=b"{}")
    await world.settle(first)
    await world.advance(11 * DAY_S)
    await _retire(world, days=90)
    assert (await world.lease_one()).rendered == b"{}"


async def test_answers_do_not_wait_for_older_events_to_be_gone(world: World) -> None:
    """A mountain of old events would keep a stranger's words for as long as it takes to move."""
    merchant, endpoint = await _lane(world)
    for number in range(3):
        key = bytes(15) + bytes([number])
        await world.accept(await world.arrival(world.event(merchant), key=key))
    await world.advance(33 * DAY_S)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.fail(leased)
    await world.advance(9 * DAY_S)

    await world.store.retire(before=world.now() - timedelta(days=30), limit=1)

    [attempt] = await attempts_of(world.store, merchant.id, leased.id)
    assert attempt.answer_body == b""

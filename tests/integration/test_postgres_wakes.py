"""No wake-up is lost, however the statements of two processes are interleaved.

Each test is one interleaving that loses a delivery when lanes are lowered by accept, or when
a lane is locked and read in one statement. Lost means: nobody ever looks at it again.
"""

import pytest
from tests.support.postgres_hand import Hand, open_hand
from tests.support.world import LEASE_S, World, events_of

from payhooks.ids import event_id_of

_KEY = b"k" * 16
# Two looks take less than that, and a third what is left.
_MANY = 5_000
_WAKE = """
INSERT INTO wakes (endpoint_id, order_key, due_at)
SELECT $1, lpad(to_hex(n), 32, '0')::uuid, now() FROM generate_series(1, $2::int) n
"""


@pytest.fixture
async def hand(hand: Hand) -> Hand:
    """Return the hand with a transaction open, as every interleaving begins."""
    await hand.begin()
    return hand


async def test_an_accept_that_commits_after_a_look_is_found_by_the_next(
    world: World, hand: Hand
) -> None:
    """The look derives "nothing waits" from a snapshot without it; its wake must survive that."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)  # So that the look has a lane to derive.
    event = world.event(merchant)
    await hand.accept(await world.arrival(event, endpoint))

    assert len(await world.lease()) == 1
    await hand.commit()

    assert events_of(await world.lease()) == [event.id]


async def test_an_accept_that_commits_while_a_look_holds_the_lane_is_found_by_the_next(
    world: World, hand: Hand
) -> None:
    """The busiest lane is nearly always held; accept must neither wait for it nor be missed."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await world.publish(merchant, endpoint)
    assert [event_id_of(id_) for id_ in await hand.lease()] == [first.id]

    second = await world.publish(merchant, endpoint)
    assert await world.lease() == []  # The lane is held by the other one.
    await hand.commit()

    assert events_of(await world.lease()) == [second.id]


async def test_an_accept_that_commits_between_the_lock_and_the_look_is_seen(
    world: World, hand: Hand
) -> None:
    """A snapshot older than the lock would miss it and still take its word off the lane."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await hand.hold_lane(endpoint.id)

    event = await world.publish(merchant, endpoint)

    assert [event_id_of(id_) for id_ in await hand.lease()] == [event.id]
    await hand.commit()
    assert await world.lease() == []


async def test_a_retry_that_commits_after_a_look_is_found_when_it_is_due(
    world: World, hand: Hand
) -> None:
    """Settle moves a delivery to later without touching its lane; somebody must look then."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await hand.settle(world.failed(leased, delay_s=5.0))

    assert await world.lease() == []
    await hand.commit()
    assert await world.lease() == []
    await world.advance(6)

    assert events_of(await world.lease()) == [event.id]


async def test_an_expiry_that_commits_after_a_look_is_found_by_the_next(
    world: World, database: str
) -> None:
    """What a dead process held must be sent by another one, whenever it is taken back."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    await world.lease_one()
    await world.advance(LEASE_S + 1)
    async with open_hand(database, ahead_s=LEASE_S + 1) as hand:
        await hand.begin()
        await hand.expire()

        assert await world.lease() == []
        await hand.commit()

        assert events_of(await world.lease()) == [event.id]


async def test_the_next_of_an_object_goes_when_its_head_ends_after_the_look(
    world: World, hand: Hand
) -> None:
    """The look takes the follower's word and leaves it blocked; the head's end must tell again."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, order_key=_KEY)
    head = await world.lease_one()
    await hand.settle(world.succeeded(head))

    follower = await world.publish(merchant, endpoint, order_key=_KEY)
    assert await world.lease() == []
    await hand.commit()

    assert events_of(await world.lease()) == [follower.id]


async def test_the_next_of_an_object_goes_when_it_commits_after_its_head_ended(
    world: World, hand: Hand
) -> None:
    """Whoever saw the head end saw no follower; the follower's own word must be enough."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, order_key=_KEY)
    head = await world.lease_one()
    follower = world.event(merchant)
    await hand.accept(await world.arrival(follower, endpoint, order_key=_KEY))

    await world.deliver(head)
    assert await world.lease() == []
    await hand.commit()

    assert events_of(await world.lease()) == [follower.id]


async def test_many_wakes_of_one_endpoint_keep_no_other_waiting(world: World, hand: Hand) -> None:
    """A look folds no more than it can, but of every endpoint that has something to tell."""
    crowded, other = await world.merchant(), await world.merchant()
    await hand.run(_WAKE, (await world.endpoint(crowded)).id, _MANY)
    await hand.commit()
    event = await world.publish(other, await world.endpoint(other), order_key=_KEY)

    assert events_of(await world.lease()) == [event.id]


async def test_a_look_that_leaves_wakes_is_repeated_at_once(world: World, hand: Hand) -> None:
    """A second later each, ten thousand of one endpoint took the others 20 seconds."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await hand.run(_WAKE, endpoint.id, _MANY)
    await hand.commit()

    soon = [(await world.look()).look_again_s for _ in range(3)]

    assert soon == [0, 0, None]


async def test_a_look_that_only_meets_wakes_of_a_lane_that_is_held_is_not(
    world: World, hand: Hand
) -> None:
    """Whoever holds it may have stopped: the others would look in circles until it ends."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await hand.run(_WAKE, endpoint.id, _MANY)
    await hand.commit()
    await hand.begin()
    await hand.hold_lane(endpoint.id)

    assert (await world.look()).look_again_s is None

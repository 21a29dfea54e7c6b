"""What every port promises of order: one at a time, as accepted, whatever becomes of the first."""

import msgspec
import pytest
from tests.support.world import World, events_of

from payhooks.ids import delivery_id
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus, OnFailed, Ordering
from payhooks.ports.controlling import Cancelled

OBJECT = b"o" * 16
OTHER_OBJECT = b"p" * 16


async def test_ordered_deliveries_of_one_object_go_one_at_a_time(world: World) -> None:
    """Promise 7."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint, order_key=OBJECT) for _ in range(3)]
    for event in events:
        leased = await world.lease_one()
        assert leased.event.id == event.id
        assert leased.order_key == OBJECT
        assert await world.lease(owner=2) == []
        await world.deliver(leased)
    assert await world.lease() == []


@pytest.mark.shows("F64")
async def test_other_objects_do_not_wait(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    other = await world.publish(merchant, endpoint, order_key=OTHER_OBJECT)
    assert sorted(events_of(await world.lease())) == sorted([first.id, other.id])


async def test_an_object_does_not_wait_behind_the_many_of_another_endpoint(world: World) -> None:
    """An endpoint that lets thousands go at once must not hold up everybody's ordered events."""
    crowded = await world.merchant()
    endpoint = await world.endpoint(crowded)
    template = await world.arrival(world.event(crowded), endpoint)
    [planned] = template.deliveries
    arrivals = []
    for number in range(1_200):
        event = world.event(crowded)
        delivery = msgspec.structs.replace(
            planned,
            id=delivery_id(event.id, endpoint.number),
            order_key=number.to_bytes(16, "big"),
        )
        arrivals.append(msgspec.structs.replace(template, event=event, deliveries=(delivery,)))
    for at in range(0, len(arrivals), 400):
        await world.accept(*arrivals[at : at + 400])
    other = await world.merchant()
    event = await world.publish(other, await world.endpoint(other), order_key=OBJECT)
    assert event.id in events_of(await world.lease(per_lane_max=1))


async def test_the_same_object_at_two_endpoints_is_two_orders(world: World) -> None:
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(2)]
    event = await world.publish(merchant, *endpoints, order_key=OBJECT)
    assert events_of(await world.lease()) == [event.id] * 2


@pytest.mark.shows("F64")
async def test_a_retry_keeps_those_behind_it_waiting(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.settle(world.failed(await world.lease_one(), delay_s=60))
    assert await world.lease() == []
    assert (await world.delivery(behind, endpoint)).state is State.BLOCKED
    await world.advance(61)
    assert events_of(await world.lease()) == [first.id]


async def test_order_is_the_order_of_acceptance_not_of_ids(world: World) -> None:
    """Ids come from clocks of several processes; the 202 is what publishers see."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    early, late = world.event(merchant), world.event(merchant)
    for event in (late, early):
        await world.accept(await world.arrival(event, endpoint, order_key=OBJECT))
    leased = await world.lease_one()
    assert leased.event.id == late.id
    await world.deliver(leased)
    assert (await world.lease_one()).event.id == early.id


async def test_a_blocked_delivery_has_a_position_and_is_not_due(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint, order_key=OBJECT) for _ in range(2)]
    first, second = [await world.delivery(event, endpoint) for event in events]
    assert first.position is not None
    assert second.position is not None
    assert first.position < second.position
    assert second.due_at is None


@pytest.mark.shows("F64")
async def test_after_a_head_that_failed_the_next_of_its_object_goes(world: World) -> None:
    """``on_failed: skip``, the default."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.fail(await world.lease_one())
    assert (await world.lease_one()).event.id == behind.id


@pytest.mark.shows("F64")
async def test_a_failed_head_that_blocks_keeps_its_object_waiting(world: World) -> None:
    """``on_failed: block``: a person decides; other objects go on."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    other = await world.publish(merchant, endpoint, order_key=b"q" * 16)
    [first, second] = sorted(await world.lease(), key=lambda one: one.order_key or b"")
    await world.settle(world.given_up(first, block_order=True), world.succeeded(second))
    assert second.event.id == other.id
    assert await world.lease() == []
    # Nor does one that comes later.
    await world.publish(merchant, endpoint, order_key=OBJECT)
    assert await world.lease() == []
    assert (await world.delivery(behind, endpoint)).state is State.BLOCKED


async def test_sending_the_blocking_delivery_again_lets_it_go_first(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    head = await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.settle(world.given_up(await world.lease_one(), block_order=True))
    assert await world.requeue(world.again(head, endpoint, OBJECT)) == 1
    leased = await world.lease_one()
    assert leased.event.id == head.id
    await world.deliver(leased)
    assert events_of(await world.lease()) == [behind.id]


async def test_cancelling_the_blocking_delivery_lets_the_next_go(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    failed = await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    head = await world.lease_one()
    await world.settle(world.given_up(head, block_order=True))
    assert await world.lease() == []
    audit = world.audit(merchant.id)
    answers = [await world.store.cancel(merchant.id, head.id, audit) for _ in range(2)]
    assert answers == [Cancelled.UNBLOCKED, Cancelled.FINAL]
    assert (await world.delivery(failed, endpoint)).state is State.FAILED
    assert events_of(await world.lease()) == [behind.id]


async def test_an_order_block_goes_with_its_endpoint(world: World) -> None:
    """Nobody is left who could unblock it, and nothing that could go."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    head = await world.lease_one()
    await world.settle(world.given_up(head, block_order=True))
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.store.cancel_orphans(limit=10) == 1
    assert (await world.delivery(behind, endpoint)).state is State.CANCELLED
    audit = world.audit(merchant.id)
    assert await world.store.cancel(merchant.id, head.id, audit) is Cancelled.FINAL


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"on_failed": OnFailed.SKIP}, id="it skips"),
        pytest.param({"ordering": Ordering.NONE}, id="it has no order"),
    ],
)
async def test_an_endpoint_that_blocks_no_more_lets_its_objects_go(
    world: World, changed: dict[str, object]
) -> None:
    """Nobody looks for what holds them up: the endpoint says that nothing does."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(
        merchant, ordering=Ordering.OBJECT, on_failed=OnFailed.BLOCK, label="Shop"
    )
    behind = []
    for key in (OBJECT, OTHER_OBJECT):
        await world.publish(merchant, endpoint, order_key=key)
        behind += [await world.publish(merchant, endpoint, order_key=key) for _ in range(2)]
    await world.settle(*[world.given_up(one, block_order=True) for one in await world.lease()])
    endpoint = await world.edit(endpoint, label="Till", rate_limit_per_s=1_000.0)
    assert await world.lease() == []
    endpoint = await world.edit(endpoint, **changed)
    for events in (behind[::2], behind[1::2]):
        leased = await world.lease()
        assert set(events_of(leased)) == {event.id for event in events}
        await world.deliver(*leased)
    assert (await world.store.mend_lanes(limit=10, after=None)).drifted == 0


async def test_an_order_holds_for_what_is_accepted_from_then_on(world: World) -> None:
    """As docs/retries.md says: what waits for its retry is not gathered in, nor let loose."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    unordered = await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=60))
    endpoint = await world.edit(endpoint, ordering=Ordering.OBJECT)
    ordered = [await world.publish(merchant, endpoint, order_key=OBJECT) for _ in range(2)]
    await world.edit(endpoint, ordering=Ordering.NONE)
    first = await world.lease_one()
    assert first.event.id == ordered[0].id
    await world.advance(61)
    assert events_of(await world.lease()) == [unordered.id]
    await world.deliver(first)
    assert events_of(await world.lease()) == [ordered[1].id]


async def test_many_objects_of_one_batch_keep_their_order_each(world: World) -> None:
    """Promise 7, inside a batch: list order; the lanes' folds take many keys at once."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    keys = [bytes([number]) * 16 for number in range(10)]
    events = [world.event(merchant) for _ in range(30)]
    await world.accept(
        *[
            await world.arrival(event, endpoint, order_key=keys[number % 10])
            for number, event in enumerate(events)
        ]
    )
    seen = []
    for _ in range(3):
        leased = await world.lease()
        assert len({one.order_key for one in leased}) == len(leased) == 10
        seen += events_of(leased)
        await world.deliver(*leased)
    for number in range(10):
        mine = [event.id for event in events[number::10]]
        assert [id_ for id_ in seen if id_ in mine] == mine


@pytest.mark.parametrize("key", [None, OTHER_OBJECT], ids=["no order", "another object"])
async def test_a_blocker_sent_again_out_of_its_order_frees_its_object(
    world: World, key: bytes | None
) -> None:
    """An endpoint that is ordered otherwise now must not leave followers behind for ever."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    head = await world.publish(merchant, endpoint, order_key=OBJECT)
    follower = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.settle(world.given_up(await world.lease_one(), block_order=True))
    assert await world.lease() == []
    await world.requeue(world.again(head, endpoint, key))
    assert set(events_of(await world.lease())) == {head.id, follower.id}
    mended = await world.store.mend_lanes(limit=10, after=None)
    assert mended.drifted == 0


async def test_a_replay_goes_by_its_new_place_whenever_it_is_due(world: World) -> None:
    """Called off and sent again within one moment: its old place in the line is gone."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await world.publish(merchant, endpoint)
    second = await world.publish(merchant, endpoint)
    id_ = (await world.delivery(first, endpoint)).id
    await world.store.cancel(merchant.id, id_, world.audit(merchant.id))
    await world.requeue(world.again(first, endpoint))
    assert events_of(await world.lease()) == [second.id, first.id]

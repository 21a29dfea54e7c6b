"""What ControlStore promises of deliveries: called off, and sent again one by one."""

import msgspec
import pytest
from tests.support.replays import all_failed, lane
from tests.support.world import LEASE_S, World, events_of

from payhooks.ids import DeliveryId, delivery_id
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Cancelled

OBJECT = b"o" * 16


async def _cancel(world: World, event: Event, endpoint: Endpoint) -> Cancelled:
    id_ = delivery_id(event.id, endpoint.number)
    return await world.store.cancel(event.merchant_id, id_, world.audit(event.merchant_id))


async def _entries(world: World, merchant: Merchant) -> int:
    return len(await world.store.audit(merchant.id, after=0, limit=100))


async def test_a_waiting_delivery_is_called_off(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    before = await _entries(world, merchant)
    assert await _cancel(world, event, endpoint) is Cancelled.CANCELLED
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.due_at) == (State.CANCELLED, None)
    assert delivery.finished_at is not None
    assert await world.lease() == []
    assert await _entries(world, merchant) == before + 1


async def test_what_cannot_be_called_off_says_why_and_leaves_no_audit_entry(
    world: World,
) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    before = await _entries(world, merchant)
    answers = [await _cancel(world, event, endpoint)]
    await world.deliver(leased)
    answers.append(await _cancel(world, event, endpoint))
    stranger = await world.merchant()
    audit = world.audit(stranger.id)
    answers.append(await world.store.cancel(stranger.id, leased.id, audit))
    unknown = DeliveryId(world.ids.new())
    answers.append(await world.store.cancel(merchant.id, unknown, audit))
    expected = [Cancelled.IN_FLIGHT, Cancelled.FINAL, Cancelled.UNKNOWN, Cancelled.UNKNOWN]
    assert answers == expected
    assert (await world.delivery(event, endpoint)).state is State.DELIVERED
    assert await _entries(world, merchant) == before


async def test_calling_off_the_first_of_an_object_lets_the_next_go(world: World) -> None:
    merchant, endpoint = await lane(world)
    events = [await world.publish(merchant, endpoint, order_key=OBJECT) for _ in range(3)]
    assert await _cancel(world, events[0], endpoint) is Cancelled.CANCELLED
    assert await _cancel(world, events[1], endpoint) is Cancelled.CANCELLED
    assert events_of(await world.lease()) == [events[2].id]


async def test_a_failed_delivery_goes_again_with_a_fresh_budget(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    assert await world.requeue(world.again(event, endpoint)) == 1
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 0)
    assert (delivery.finished_at, delivery.replay_id) == (None, None)
    leased = await world.lease_one()
    # The fence goes on, so a word from before the replay is still worth nothing.
    assert (leased.fence, leased.attempts_made) == (2, 0)
    assert leased.replay_bulk is False
    await world.deliver(leased)
    assert (await world.delivery(event, endpoint)).state is State.DELIVERED


@pytest.mark.parametrize(
    ("pin", "kept"), [(("standard", 1), b"{}"), (("stripe", 1), None), (("standard", 2), None)]
)
async def test_a_body_in_another_dialect_is_not_sent_again(
    world: World, pin: tuple[str, int], kept: bytes | None
) -> None:
    """Signed and typed as the new dialect does, it would be a message of neither."""
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    assert (leased.dialect, leased.dialect_version) == ("standard", 1)
    await world.settle(world.failed(leased, delay_s=0, rendered=b"{}"))
    await world.fail(await world.lease_one())
    dialect, version = pin
    again = msgspec.structs.replace(
        world.again(event, endpoint), dialect=dialect, dialect_version=version
    )
    assert await world.requeue(again) == 1
    assert (await world.lease_one()).rendered == kept


async def test_sending_again_does_not_undo_a_success(world: World) -> None:
    """The first ``delivered_at`` is what the merchant was told; a failed replay is news."""
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    first = (await world.delivery(event, endpoint)).delivered_at
    await world.advance(100)
    await world.requeue(world.again(event, endpoint))
    assert (await world.delivery(event, endpoint)).delivered_at == first
    await world.fail(await world.lease_one())
    failed = await world.delivery(event, endpoint)
    assert (failed.state, failed.delivered_at) == (State.FAILED, first)
    await world.requeue(world.again(event, endpoint))
    await world.deliver(await world.lease_one())
    again = await world.delivery(event, endpoint)
    assert (again.state, again.delivered_at) == (State.DELIVERED, first)
    assert again.finished_at is not None
    assert first is not None
    assert again.finished_at > first


@pytest.mark.shows("F66")
async def test_a_late_word_from_before_a_replay_is_worth_nothing(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    old = await world.lease_one()
    await world.fail(old)
    await world.requeue(world.again(event, endpoint))
    leased = await world.lease_one()
    assert await world.settle(world.given_up(old)) == [True]
    assert (await world.delivery(event, endpoint)).state is State.LEASED
    await world.deliver(leased)


@pytest.mark.shows("F66")
async def test_what_waits_already_is_hastened_instead_of_sent_twice(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    await world.lease()
    assert await world.requeue(world.again(event, endpoint)) == 1
    leased = await world.lease_one()
    assert (leased.attempts_made, leased.fence) == (1, 2)
    await world.deliver(leased)
    assert await world.lease() == []


@pytest.mark.shows("F66")
async def test_what_is_being_sent_is_left_alone(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    assert await world.requeue(world.again(event, endpoint)) == 0
    await world.deliver(leased)


async def test_a_delivery_that_was_never_made_is_made(world: World) -> None:
    """What an endpoint missed while it was disabled, and what reconcile repairs."""
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant)
    assert await world.requeue(world.again(event, endpoint)) == 1
    leased = await world.lease_one()
    assert (leased.event.id, leased.fence) == (event.id, 1)
    stored = await world.store.event(merchant.id, event.id)
    assert stored is not None
    assert (stored.status, stored.fan_out) == ("pending", 0)


async def test_nothing_is_sent_of_an_event_that_is_not_there(world: World) -> None:
    merchant, endpoint = await lane(world)
    await world.publish(merchant)
    unknown = world.event(merchant)
    expunged = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    await world.store.expunge(merchant.id, expunged.id, world.audit(merchant.id))
    items = [world.again(unknown, endpoint), world.again(expunged, endpoint)]
    assert await world.requeue(*items) == 0
    assert await world.lease() == []


async def test_a_repair_leaves_its_audit_entry_when_it_did_something(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    entry = world.audit(merchant.id, "delivery.retried")
    item = world.again(event, endpoint)
    before = await _entries(world, merchant)
    await world.store.requeue([item], audit=entry)
    [latest] = await world.store.audit_latest(merchant.id, before=None, limit=1)
    assert latest.entry == entry
    assert latest.number == before + 1


async def test_an_ordered_replay_comes_last_of_its_object(world: World) -> None:
    """A replay counts as new: what is newer has overtaken it already."""
    merchant, endpoint = await lane(world)
    old = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.fail(await world.lease_one())
    newer = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.requeue(world.again(old, endpoint, OBJECT))
    leased = await world.lease_one()
    assert leased.event.id == newer.id
    await world.deliver(leased)
    assert events_of(await world.lease()) == [old.id]


async def test_what_is_sent_again_together_goes_in_the_order_in_which_it_was_given(
    world: World,
) -> None:
    """Whatever the order in which the store takes hold of it."""
    merchant, endpoint = await lane(world)
    events = [await world.publish(merchant, endpoint) for _ in range(3)]
    await world.fail(*await world.lease())
    given = [events[1], events[2], events[0]]
    assert await world.requeue(*(world.again(event, endpoint, OBJECT) for event in given)) == 3
    for event in given:
        leased = await world.lease_one()
        assert leased.event.id == event.id
        await world.deliver(leased)


async def test_nothing_is_sent_again_to_a_deleted_endpoint(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.requeue(world.again(event, endpoint)) == 0
    assert (await world.delivery(event, endpoint)).state is State.FAILED


async def test_what_was_lost_and_cannot_be_sent_any_more_is_repaired_as_cancelled(
    world: World,
) -> None:
    """Each delivery that was promised ends visibly, also where nobody is left to send it to."""
    merchant, gone = await lane(world)
    endpoint = await world.endpoint(merchant)
    event, expunged = [await world.publish(merchant) for _ in range(2)]
    await world.store.expunge(merchant.id, expunged.id, world.audit(merchant.id))
    await world.edit(gone, status=EndpointStatus.DELETED)
    lost = [
        world.again(event, gone, OBJECT),
        world.again(expunged, endpoint),
        world.again(world.event(merchant), endpoint),  # long retired, say
        world.again(event, endpoint),
    ]
    entry = world.audit(merchant.id, "deliveries.repaired")
    assert await world.store.repair(lost, audit=entry) == 3
    for delivery in (await world.delivery(event, gone), await world.delivery(expunged, endpoint)):
        assert (delivery.state, delivery.fence, delivery.reason) == (State.CANCELLED, 0, None)
    assert events_of(await world.lease()) == [event.id]
    before = await _entries(world, merchant)
    assert await world.store.repair(lost[:3], audit=entry) == 0
    assert await _entries(world, merchant) == before


async def test_sending_again_to_a_paused_endpoint_waits(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    assert await world.requeue(world.again(event, endpoint)) == 1
    assert (await world.delivery(event, endpoint)).held
    assert await world.lease() == []


# --- jobs


async def test_a_replay_that_is_abandoned_is_taken_back_like_any_other(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await all_failed(world, merchant, endpoint)
    await world.requeue(world.again(event, endpoint))
    await world.lease_one()
    await world.advance(LEASE_S + 1)
    assert len(await world.store.expire(limit=10)) == 1
    assert (await world.lease_one()).fence == 3

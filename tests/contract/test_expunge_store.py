"""What every store must do when a merchant wants an event forgotten."""

from tests.support.world import LEASE_S, World, attempts_of, events_of

from payhooks.ids import EventId
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant

OBJECT = b"o" * 16


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def test_expunging_removes_what_was_said_and_says_so(world: World) -> None:
    """A merchant's customer asked to be forgotten."""
    merchant, endpoint = await _lane(world)
    sent = await world.endpoint(merchant)
    event = await world.publish(merchant, sent, endpoint, metadata=b'{"name":"Ada"}')
    by_lane = {one.endpoint_id: one for one in await world.lease()}
    await world.deliver(by_lane[sent.id])
    await world.settle(world.failed(by_lane[endpoint.id], rendered=b'{"name":"Ada"}'))
    audit = world.audit(merchant.id, "event.expunged")
    assert await world.store.expunge(merchant.id, event.id, audit)
    stored = await world.store.event(merchant.id, event.id)
    assert stored is not None
    assert stored.expunged
    assert (stored.event.data, stored.event.metadata) == (b"null", None)
    assert stored.event.type == event.type
    assert (await world.delivery(event, endpoint)).state is State.CANCELLED
    assert (await world.delivery(event, sent)).state is State.DELIVERED
    for one in by_lane.values():
        [attempt] = await attempts_of(world.store, merchant.id, one.id)
        assert (attempt.answer_body, attempt.answer_headers) == (b"", ())
    [latest] = await world.store.audit_latest(merchant.id, before=None, limit=1)
    assert latest.entry == audit


async def test_expunging_calls_off_what_is_being_sent(world: World) -> None:
    """Its worker's word comes late: it is evidence, and brings nothing of the payload back."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint, order_key=OBJECT)
    follower = await world.publish(merchant, endpoint, order_key=OBJECT)
    leased = await world.lease_one()
    await world.store.expunge(merchant.id, event.id, world.audit(merchant.id))
    assert (await world.delivery(event, endpoint)).state is State.CANCELLED
    late = world.failed(leased, rendered=b'{"name":"Ada"}')
    assert await world.settle(late, late) == [False, False]
    assert await world.settle(world.released(leased)) == [False]
    assert (await world.delivery(event, endpoint)).state is State.CANCELLED
    [attempt] = await attempts_of(world.store, merchant.id, leased.id)
    assert (attempt.late, attempt.status) == (True, 503)
    # An answer may quote what it was sent.
    assert (attempt.answer_headers, attempt.answer_body) == ((), b"")
    await world.advance(LEASE_S + 1)
    assert await world.store.expire(limit=10) == []
    assert events_of(await world.lease()) == [follower.id]


async def test_a_settlement_repeated_after_expunging_brings_no_answer_back(world: World) -> None:
    """Its reply was lost, so it comes again; the answer that quotes the payload is gone."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    failed = world.given_up(await world.lease_one())
    await world.settle(failed)
    await world.store.expunge(merchant.id, event.id, world.audit(merchant.id))
    assert await world.settle(failed) == [True]
    [attempt] = await attempts_of(world.store, merchant.id, failed.delivery_id)
    assert (attempt.late, attempt.answer_body) == (False, b"")


async def test_another_merchants_event_is_not_expunged(world: World) -> None:
    merchant, _ = await _lane(world)
    stranger = await world.merchant()
    event = await world.publish(merchant)
    audit = world.audit(stranger.id)
    assert not await world.store.expunge(stranger.id, event.id, audit)
    assert not await world.store.expunge(merchant.id, EventId(world.ids.new_event()), audit)
    stored = await world.store.event(merchant.id, event.id)
    assert stored is not None
    assert not stored.expunged

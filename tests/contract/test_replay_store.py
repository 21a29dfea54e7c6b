"""What ControlStore promises of deliveries: called off, sent again, one by one and in jobs."""

import msgspec
import pytest
from tests.support.world import LEASE_S, World, events_of

from payhooks.errors import WrongStateError
from payhooks.ids import DeliveryId, delivery_id
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Include, Replay, ReplayFilter, ReplayState
from payhooks.ports.controlling import Cancelled, Change, Window

OBJECT = b"o" * 16
OWNER, OTHER_OWNER = 1, 2


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def _cancel(world: World, event: Event, endpoint: Endpoint) -> Cancelled:
    id_ = delivery_id(event.id, endpoint.number)
    return await world.store.cancel(event.merchant_id, id_, world.audit(event.merchant_id))


async def _entries(world: World, merchant: Merchant) -> int:
    return len(await world.store.audit(merchant.id, after=0, limit=100))


async def test_a_waiting_delivery_is_called_off(world: World) -> None:
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
    events = [await world.publish(merchant, endpoint, order_key=OBJECT) for _ in range(3)]
    assert await _cancel(world, events[0], endpoint) is Cancelled.CANCELLED
    assert await _cancel(world, events[1], endpoint) is Cancelled.CANCELLED
    assert events_of(await world.lease()) == [events[2].id]


async def test_a_failed_delivery_goes_again_with_a_fresh_budget(world: World) -> None:
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
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
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    assert await world.requeue(world.again(event, endpoint)) == 0
    await world.deliver(leased)


async def test_a_delivery_that_was_never_made_is_made(world: World) -> None:
    """What an endpoint missed while it was disabled, and what reconcile repairs."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant)
    assert await world.requeue(world.again(event, endpoint)) == 1
    leased = await world.lease_one()
    assert (leased.event.id, leased.fence) == (event.id, 1)
    stored = await world.store.event(merchant.id, event.id)
    assert stored is not None
    assert (stored.status, stored.fan_out) == ("pending", 0)


async def test_nothing_is_sent_of_an_event_that_is_not_there(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.publish(merchant)
    unknown = world.event(merchant)
    expunged = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    await world.store.expunge(merchant.id, expunged.id, world.audit(merchant.id))
    items = [world.again(unknown, endpoint), world.again(expunged, endpoint)]
    assert await world.requeue(*items) == 0
    assert await world.lease() == []


async def test_a_repair_leaves_its_audit_entry_when_it_did_something(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    entry = world.audit(merchant.id, "delivery.retried")
    item = world.again(event, endpoint)
    before = await _entries(world, merchant)
    await world.store.requeue([item], replay_id=None, bulk=False, audit=entry)
    [latest] = await world.store.audit_latest(merchant.id, before=None, limit=1)
    assert latest.entry == entry
    assert latest.number == before + 1


async def test_an_ordered_replay_comes_last_of_its_object(world: World) -> None:
    """A replay counts as new: what is newer has overtaken it already."""
    merchant, endpoint = await _lane(world)
    old = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.fail(await world.lease_one())
    newer = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.requeue(world.again(old, endpoint, OBJECT))
    leased = await world.lease_one()
    assert leased.event.id == newer.id
    await world.deliver(leased)
    assert events_of(await world.lease()) == [old.id]


async def test_nothing_is_sent_again_to_a_deleted_endpoint(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.requeue(world.again(event, endpoint)) == 0
    assert (await world.delivery(event, endpoint)).state is State.FAILED


async def test_sending_again_to_a_paused_endpoint_waits(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    await world.fail(await world.lease_one())
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    assert await world.requeue(world.again(event, endpoint)) == 1
    assert (await world.delivery(event, endpoint)).held
    assert await world.lease() == []


# --- jobs


async def _job(world: World, merchant: Merchant, **members: object) -> Replay:
    job = world.job(merchant, **members)
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=job))
    return job


async def _failed(world: World, merchant: Merchant, *endpoints: Endpoint) -> Event:
    event = await world.publish(merchant, *endpoints)
    await world.fail(*await world.lease())
    return event


async def test_a_job_reads_back_as_it_was_written(world: World) -> None:
    merchant, endpoint = await _lane(world)
    job = await _job(
        world,
        merchant,
        filter=ReplayFilter(endpoint_id=endpoint.id, event_types=("a.*",), created_gte=world.now()),
        include=(Include.FAILED, Include.MISSED),
        matched=7,
        cursor=b"c" * 16,
    )
    other = await _job(world, merchant)
    stranger = await world.merchant()
    assert await world.store.replay(merchant.id, job.id) == job
    assert await world.store.replay(stranger.id, job.id) is None
    assert await world.store.replays(merchant.id, Window(limit=10)) == [other, job]
    assert await world.store.replays(merchant.id, Window(limit=10, after=other.id)) == [job]


@pytest.mark.shows("F67")
async def test_a_job_is_advanced_by_one_process_at_a_time(world: World) -> None:
    """Two would send twice what one was asked to."""
    merchant, _ = await _lane(world)
    job = await _job(world, merchant)
    await _job(world, merchant, state=ReplayState.DONE, finished_at=world.now())
    claim = world.store.claim_replays
    assert await claim(owner=OWNER, limit=10, for_s=30) == [job]
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == []
    await world.advance(31)
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == [job]


async def test_a_process_claims_no_more_jobs_than_asked(world: World) -> None:
    merchant, _ = await _lane(world)
    for _ in range(3):
        await _job(world, merchant)
    claim = world.store.claim_replays
    taken = [len(await claim(owner=OWNER, limit=2, for_s=30)) for _ in range(1)]
    taken.append(len(await claim(owner=OTHER_OWNER, limit=2, for_s=30)))
    assert taken == [2, 1]


async def test_a_job_advances_its_cursor_with_what_it_sends(world: World) -> None:
    """In one transaction, so that a kill neither skips nor repeats a slice."""
    merchant, endpoint = await _lane(world)
    event = await _failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    item = world.again(event, endpoint)
    advanced = msgspec.structs.replace(job, queued=1, cursor=item.delivery_id)
    assert await world.store.advance_replay(advanced, after=job.cursor, items=[item], bulk=True)
    assert await world.store.replay(merchant.id, job.id) == advanced
    assert await world.store.replay_backlog(job.id) == [(endpoint.id, 1)]
    leased = await world.lease_one()
    assert (leased.replay_id, leased.replay_bulk) == (job.id, True)
    assert await world.store.replay_backlog(job.id) == [(endpoint.id, 1)]
    await world.deliver(leased)
    assert await world.store.replay_backlog(job.id) == []
    assert (await world.delivery(event, endpoint)).replay_id == job.id


@pytest.mark.shows("F67")
async def test_a_cancelled_job_advances_no_more(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await _failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    advanced = msgspec.structs.replace(job, queued=1)
    item = world.again(event, endpoint)
    assert not await world.store.advance_replay(advanced, after=job.cursor, items=[item], bulk=True)
    assert await world.store.replay(merchant.id, job.id) == over
    assert await world.lease() == []


@pytest.mark.shows("F67")
async def test_a_job_that_moved_on_before_it_was_cancelled_keeps_its_count(world: World) -> None:
    """What was sent again has to be on record, also the slice of the last moment."""
    merchant, endpoint = await _lane(world)
    event = await _failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    item = world.again(event, endpoint)
    moved = msgspec.structs.replace(job, queued=1, cursor=item.delivery_id)
    assert await world.store.advance_replay(moved, after=job.cursor, items=[item], bulk=True)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    assert await world.store.replay(merchant.id, job.id) == msgspec.structs.replace(
        over, queued=1, cursor=item.delivery_id
    )


async def test_a_job_that_is_over_is_not_changed_any_more(world: World) -> None:
    """Its last worker ends it while a person cancels it: the first of them wins."""
    merchant, _ = await _lane(world)
    job = await _job(world, merchant)
    done = msgspec.structs.replace(job, state=ReplayState.DONE, finished_at=world.now())
    assert await world.store.advance_replay(done, after=job.cursor, items=[], bulk=True)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    with pytest.raises(WrongStateError):
        await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    assert await world.store.replay(merchant.id, job.id) == done


@pytest.mark.shows("F67")
async def test_a_cancelled_job_takes_back_what_still_waits(world: World) -> None:
    """Each reads again as it ended before; what nobody had sent before ends cancelled."""
    merchant, endpoint = await _lane(world)
    failed = await _failed(world, merchant, endpoint)
    succeeded = await world.publish(merchant, endpoint)
    await world.deliver(*await world.lease())
    ended = [await world.delivery(one, endpoint) for one in (failed, succeeded)]
    missed = await world.publish(merchant)
    job = await _job(world, merchant)
    items = [world.again(one, endpoint) for one in (failed, succeeded, missed)]
    assert await world.store.advance_replay(job, after=job.cursor, items=items, bulk=True)
    assert await world.store.cancel_replay_backlog(job.id) == 3
    assert [await world.delivery(one, endpoint) for one in (failed, succeeded)] == ended
    assert (await world.delivery(missed, endpoint)).state is State.CANCELLED
    assert await world.store.replay_backlog(job.id) == []
    assert await world.lease() == []


async def test_taking_a_job_back_leaves_what_is_being_sent(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await _failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    await world.store.advance_replay(
        job, after=job.cursor, items=[world.again(event, endpoint)], bulk=False
    )
    leased = await world.lease_one()
    assert not leased.replay_bulk
    assert await world.store.cancel_replay_backlog(job.id) == 0
    await world.deliver(leased)


async def test_taking_a_job_back_lets_those_behind_it_go(world: World) -> None:
    merchant, endpoint = await _lane(world)
    old = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.fail(await world.lease_one())
    job = await _job(world, merchant)
    item = world.again(old, endpoint, OBJECT)
    await world.store.advance_replay(job, after=job.cursor, items=[item], bulk=True)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    assert await world.lease() == []
    assert await world.store.cancel_replay_backlog(job.id) == 1
    assert events_of(await world.lease()) == [behind.id]


async def test_a_replay_that_is_abandoned_is_taken_back_like_any_other(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await _failed(world, merchant, endpoint)
    await world.requeue(world.again(event, endpoint))
    await world.lease_one()
    await world.advance(LEASE_S + 1)
    assert len(await world.store.expire(limit=10)) == 1
    assert (await world.lease_one()).fence == 3

"""What ControlStore promises of replays as jobs: claimed, advanced, cancelled."""

import msgspec
import pytest
from tests.support.replays import all_failed, blocking_lane, lane
from tests.support.world import World, events_of

from payhooks.errors import WrongStateError
from payhooks.ids import ReplayId
from payhooks.model.delivery import State
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Behind, Include, Replay, ReplayFilter, ReplayState
from payhooks.ports.controlling import Change, LaneBacklog, Window

OBJECT = b"o" * 16
OWNER, OTHER_OWNER = 1, 2


async def _job(world: World, merchant: Merchant, **members: object) -> Replay:
    job = world.job(merchant, **members)
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=job))
    return job


async def test_a_job_reads_back_as_it_was_written(world: World) -> None:
    merchant, endpoint = await lane(world)
    job = await _job(
        world,
        merchant,
        filter=ReplayFilter(endpoint_id=endpoint.id, event_types=("a.*",), created_gte=world.now()),
        include=(Include.FAILED, Include.MISSED),
        matched=7,
        cursor=b"c" * 16,
        behind=Behind(front=b"f" * 16, lanes=((endpoint.id, b"c" * 16),)),
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
    merchant, _ = await lane(world)
    job = await _job(world, merchant)
    await _job(world, merchant, state=ReplayState.DONE, finished_at=world.now())
    claim = world.store.claim_replays
    assert await claim(owner=OWNER, limit=10, for_s=30) == [job]
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == []
    await world.advance(31)
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == [job]


async def test_a_process_claims_no_more_jobs_than_asked(world: World) -> None:
    merchant, _ = await lane(world)
    for _ in range(3):
        await _job(world, merchant)
    claim = world.store.claim_replays
    taken = [len(await claim(owner=OWNER, limit=2, for_s=30)) for _ in range(1)]
    taken.append(len(await claim(owner=OTHER_OWNER, limit=2, for_s=30)))
    assert taken == [2, 1]


async def test_each_job_has_its_turn_when_there_are_more_than_are_held(world: World) -> None:
    """The oldest may wait for an endpoint that is paused for days; the others must not with it."""
    merchant, _ = await lane(world)
    first, second, third = [await _job(world, merchant) for _ in range(3)]
    claim = world.store.claim_replays
    turns = []
    for _ in range(3):
        turns.append(await claim(owner=OWNER, limit=2, for_s=30))
        await world.advance(31)
    assert turns[0] == [first, second]
    assert third in turns[1]
    assert {job.id for job in (*turns[1], *turns[2])} == {first.id, second.id, third.id}


async def test_merchants_have_their_jobs_claimed_in_turn(world: World) -> None:
    """Who begins sixty replays must not keep those of all others waiting until they had theirs."""
    noisy, quiet = await world.merchant(), await world.merchant()
    many = [await _job(world, noisy) for _ in range(5)]
    few = [await _job(world, quiet) for _ in range(2)]
    claim = world.store.claim_replays
    assert {one.id for one in await claim(owner=OWNER, limit=2, for_s=30)} == {
        many[0].id,
        few[0].id,
    }
    another = await world.merchant()
    new = [await _job(world, another) for _ in range(2)]
    claimed = [await claim(owner=OTHER_OWNER, limit=1, for_s=30) for _ in range(3)]
    # Of the others one is held already; then they are even, and the oldest is the first.
    assert claimed == [[new[0]], [many[1]], [few[1]]]


async def test_a_job_advances_its_cursor_with_what_it_sends(world: World) -> None:
    """In one transaction, so that a kill neither skips nor repeats a slice."""
    merchant, endpoint = await lane(world)
    event = await all_failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    item = world.again(event, endpoint)
    advanced = msgspec.structs.replace(job, queued=1, cursor=item.delivery_id)
    assert await world.store.advance_replay(advanced, after=job, items=[item], bulk=True)
    assert await world.store.replay(merchant.id, job.id) == advanced
    one = LaneBacklog(endpoint_id=endpoint.id, undone=1, ahead=1)
    assert await world.store.replay_backlog(job.id) == [one]
    leased = await world.lease_one()
    assert (leased.replay_id, leased.replay_bulk) == (job.id, True)
    assert await world.store.replay_backlog(job.id) == [one]
    await world.deliver(leased)
    assert await world.store.replay_backlog(job.id) == []
    assert (await world.delivery(event, endpoint)).replay_id == job.id


@pytest.mark.shows("F67")
async def test_a_cancelled_job_advances_no_more(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await all_failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    advanced = msgspec.structs.replace(job, queued=1)
    item = world.again(event, endpoint)
    assert not await world.store.advance_replay(advanced, after=job, items=[item], bulk=True)
    assert await world.store.replay(merchant.id, job.id) == over
    assert await world.lease() == []


@pytest.mark.shows("F67")
async def test_a_job_that_moved_on_before_it_was_cancelled_keeps_its_count(world: World) -> None:
    """What was sent again has to be on record, also the slice of the last moment."""
    merchant, endpoint = await lane(world)
    event = await all_failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    item = world.again(event, endpoint)
    behind = Behind(front=item.delivery_id, lanes=((endpoint.id, b"c" * 16),))
    moved = msgspec.structs.replace(job, queued=1, cursor=b"c" * 16, behind=behind)
    assert await world.store.advance_replay(moved, after=job, items=[item], bulk=True)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    assert await world.store.replay(merchant.id, job.id) == msgspec.structs.replace(
        over, queued=1, cursor=b"c" * 16, behind=behind
    )


async def test_a_job_that_is_over_is_not_changed_any_more(world: World) -> None:
    """Its last worker ends it while a person cancels it: the first of them wins."""
    merchant, _ = await lane(world)
    job = await _job(world, merchant)
    done = msgspec.structs.replace(job, state=ReplayState.DONE, finished_at=world.now())
    assert await world.store.advance_replay(done, after=job, items=[], bulk=True)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    with pytest.raises(WrongStateError):
        await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    assert await world.store.replay(merchant.id, job.id) == done


@pytest.mark.shows("F67")
async def test_a_cancelled_job_takes_back_what_still_waits(world: World) -> None:
    """Each reads again as it ended before; what nobody had sent before ends cancelled."""
    merchant, endpoint = await lane(world)
    failed = await all_failed(world, merchant, endpoint)
    succeeded = await world.publish(merchant, endpoint)
    await world.deliver(*await world.lease())
    ended = [await world.delivery(one, endpoint) for one in (failed, succeeded)]
    missed = await world.publish(merchant)
    job = await _job(world, merchant)
    items = [world.again(one, endpoint) for one in (failed, succeeded, missed)]
    assert await world.store.advance_replay(job, after=job, items=items, bulk=True)
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 3
    assert [await world.delivery(one, endpoint) for one in (failed, succeeded)] == ended
    assert (await world.delivery(missed, endpoint)).state is State.CANCELLED
    assert await world.store.replay_backlog(job.id) == []
    assert await world.lease() == []


async def test_a_cancelled_job_is_taken_back_in_slices(world: World) -> None:
    """A hundred thousand may wait; in one statement they would be too much for the store."""
    merchant, endpoint = await lane(world)
    events = [await all_failed(world, merchant, endpoint) for _ in range(5)]
    ended = [await world.delivery(one, endpoint) for one in events]
    job = await _job(world, merchant)
    items = [world.again(one, endpoint) for one in events]
    assert await world.store.advance_replay(job, after=job, items=items, bulk=True)
    take_back = world.store.cancel_replay_backlog
    assert [await take_back(merchant.id, job.id, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [await world.delivery(one, endpoint) for one in events] == ended
    assert await world.lease() == []


async def test_a_cancelled_job_is_claimed_until_all_of_it_is_taken_back(world: World) -> None:
    """Who cancelled it may have died half-way; what waits would go out by and by."""
    merchant, endpoint = await lane(world)
    events = [await all_failed(world, merchant, endpoint) for _ in range(3)]
    job = await _job(world, merchant)
    items = [world.again(one, endpoint) for one in events]
    assert await world.store.advance_replay(job, after=job, items=items, bulk=True)
    over = msgspec.structs.replace(job, state=ReplayState.CANCELLED, finished_at=world.now())
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=over))
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=2) == 2
    claim = world.store.claim_replays
    assert await claim(owner=OWNER, limit=10, for_s=30) == [over]
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == []
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=2) == 1
    await world.advance(31)
    assert await claim(owner=OTHER_OWNER, limit=10, for_s=30) == []


async def test_a_job_is_taken_back_by_its_own_merchant_only(world: World) -> None:
    merchant, endpoint = await lane(world)
    stranger, _ = await lane(world)
    event = await all_failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    items = [world.again(event, endpoint)]
    assert await world.store.advance_replay(job, after=job, items=items, bulk=True)
    take_back = world.store.cancel_replay_backlog
    assert await take_back(stranger.id, job.id, limit=10) == 0
    assert await take_back(merchant.id, job.id, limit=10) == 1


async def test_taking_a_job_back_leaves_what_is_being_sent(world: World) -> None:
    merchant, endpoint = await lane(world)
    event = await all_failed(world, merchant, endpoint)
    job = await _job(world, merchant)
    await world.store.advance_replay(
        job, after=job, items=[world.again(event, endpoint)], bulk=False
    )
    leased = await world.lease_one()
    assert not leased.replay_bulk
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 0
    await world.deliver(leased)


@pytest.mark.parametrize(
    "pin", [("stripe", 1), ("standard", 2)], ids=["another dialect", "another version"]
)
async def test_what_is_taken_back_leaves_no_body_that_is_not_its_own(
    world: World, pin: tuple[str, int]
) -> None:
    """Sent again later it went out as the replay had written it, which nobody reads there."""
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    job = await _job(world, merchant)
    item = world.again(event, endpoint)
    moved = msgspec.structs.replace(item, dialect=pin[0], dialect_version=pin[1])
    assert await world.store.advance_replay(job, after=job, items=[moved], bulk=True)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600, rendered=b"as moved"))
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert await world.requeue(item) == 1
    again = await world.lease_one()
    assert (again.dialect, again.dialect_version, again.rendered) == ("standard", 1, None)


async def test_what_is_taken_back_keeps_the_body_that_is_its_own(world: World) -> None:
    """What a receiver has been sent once is sent to it so again, to the byte."""
    merchant, endpoint = await lane(world)
    event = await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=0, rendered=b"as sent"))
    await world.fail(await world.lease_one())
    job = await _job(world, merchant)
    item = world.again(event, endpoint)
    assert await world.store.advance_replay(job, after=job, items=[item], bulk=True)
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert await world.requeue(item) == 1
    assert (await world.lease_one()).rendered == b"as sent"


async def test_taking_a_job_back_lets_those_behind_it_go(world: World) -> None:
    merchant, endpoint = await lane(world)
    old = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.fail(await world.lease_one())
    job = await _job(world, merchant)
    item = world.again(old, endpoint, OBJECT)
    await world.store.advance_replay(job, after=job, items=[item], bulk=True)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    assert await world.lease() == []
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert events_of(await world.lease()) == [behind.id]


async def test_a_head_that_is_taken_back_holds_its_object_up_again(world: World) -> None:
    """Nobody has dealt with it: a job that was begun and cancelled decides nothing."""
    merchant, endpoint = await blocking_lane(world)
    head = await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.settle(world.given_up(await world.lease_one(), block_order=True))
    ended = await world.delivery(head, endpoint)
    job = await _job(world, merchant)
    item = world.again(head, endpoint, OBJECT)
    assert await world.store.advance_replay(job, after=job, items=[item], bulk=True)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert msgspec.structs.replace(await world.delivery(head, endpoint), fence=ended.fence) == ended
    assert await world.lease() == []
    assert await world.requeue(item) == 1
    again = await world.lease_one()
    assert again.event.id == head.id
    await world.deliver(again)
    assert events_of(await world.lease()) == [behind.id]


@pytest.mark.parametrize("key", [None, b"p" * 16], ids=["no order", "another object"])
async def test_a_head_that_is_taken_back_from_another_order_holds_nothing_up(
    world: World, key: bytes | None
) -> None:
    """What it had held up went when it was sent again; what comes now is not behind it."""
    merchant, endpoint = await blocking_lane(world)
    head = await world.publish(merchant, endpoint, order_key=OBJECT)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.settle(world.given_up(await world.lease_one(), block_order=True))
    job = await _job(world, merchant)
    item = world.again(head, endpoint, key)
    assert await world.store.advance_replay(job, after=job, items=[item], bulk=True)
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert events_of(await world.lease()) == [behind.id]


async def test_a_head_that_held_nothing_up_holds_nothing_up_when_it_is_taken_back(
    world: World,
) -> None:
    merchant, endpoint = await blocking_lane(world)
    head = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.fail(await world.lease_one())
    job = await _job(world, merchant)
    item = world.again(head, endpoint, OBJECT)
    assert await world.store.advance_replay(job, after=job, items=[item], bulk=True)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert events_of(await world.lease()) == [behind.id]


async def test_a_backlog_tells_what_goes_before_what_is_made_now(world: World) -> None:
    """What waits for a retry, or behind such a one, is in nobody's way."""
    merchant, endpoint = await lane(world)
    keys = [None, b"1" * 16, b"1" * 16, b"2" * 16, b"2" * 16, None]
    events = [await world.publish(merchant) for _ in keys]
    items = [world.again(*one) for one in zip(events, [endpoint] * len(keys), keys, strict=True)]
    job = await _job(world, merchant)
    assert await world.store.advance_replay(job, after=job, items=items[:5], bulk=True)
    assert await world.store.replay_backlog(job.id) == [
        LaneBacklog(endpoint_id=endpoint.id, undone=5, ahead=5)
    ]
    alone, first, second = sorted(await world.lease(), key=lambda one: one.event.id)
    await world.settle(
        world.failed(alone, delay_s=3_600),
        world.failed(first, delay_s=3_600),
        world.given_up(second, block_order=True),
    )
    assert await world.store.advance_replay(job, after=job, items=items[5:], bulk=True)
    # Two wait for a retry, and one behind the second of them; one is held up by what failed.
    assert await world.store.replay_backlog(job.id) == [
        LaneBacklog(endpoint_id=endpoint.id, undone=5, ahead=1)
    ]
    assert events_of(await world.lease()) == [events[5].id]
    assert await world.store.replay_backlog(job.id) == [
        LaneBacklog(endpoint_id=endpoint.id, undone=5, ahead=1)
    ]
    assert await world.store.replay_backlog(ReplayId(world.ids.new())) == []

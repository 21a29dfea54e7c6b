"""A job of a replay goes once: its slices, and the leases of what it had put on its way."""

import msgspec
from tests.support.world import World, attempts_of

from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Behind, Replay, ReplayState
from payhooks.ports.controlling import Change


async def _failed(world: World) -> tuple[Merchant, Endpoint, Event, Replay]:
    """Return an event that has failed, and a job that nobody has advanced."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    await world.fail(*await world.lease())
    job = world.job(merchant)
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=job))
    return merchant, endpoint, event, job


async def test_a_slice_of_a_job_is_put_on_its_way_once(world: World) -> None:
    """Its answer was lost, so it is sent again; by then what it was about has failed once more."""
    _, endpoint, event, job = await _failed(world)
    item = world.again(event, endpoint)
    advanced = msgspec.structs.replace(job, queued=1, cursor=item.delivery_id)
    advance = world.store.advance_replay
    assert await advance(advanced, after=job, items=[item], bulk=True)
    await world.settle(world.given_up(await world.lease_one()))
    assert not await advance(advanced, after=job, items=[item], bulk=True)
    assert await world.lease() == []
    done = msgspec.structs.replace(advanced, state=ReplayState.DONE, finished_at=world.now())
    assert await advance(done, after=advanced, items=[], bulk=True)


async def test_a_slice_is_put_on_its_way_once_also_while_a_lane_is_behind(world: World) -> None:
    """The cursor stays where that lane is, whatever the others are sent."""
    _, endpoint, event, job = await _failed(world)
    item = world.again(event, endpoint)
    behind = Behind(front=item.delivery_id, lanes=((endpoint.id, b"c" * 16),))
    before = msgspec.structs.replace(job, cursor=b"c" * 16, behind=behind)
    advance = world.store.advance_replay
    assert await advance(before, after=job, items=[], bulk=True)
    advanced = msgspec.structs.replace(before, queued=1)
    assert await advance(advanced, after=before, items=[item], bulk=True)
    await world.settle(world.given_up(await world.lease_one()))
    assert not await advance(advanced, after=before, items=[item], bulk=True)
    assert await world.lease() == []


async def test_what_was_taken_back_never_gets_a_lease_of_the_same_number_again(
    world: World,
) -> None:
    """Else the word of a process that overslept would pass for that of the present owner."""
    merchant, endpoint, event, job = await _failed(world)
    item = world.again(event, endpoint)
    assert await world.store.advance_replay(job, after=job, items=[item], bulk=True)
    first = await world.lease_one()
    await world.settle(world.failed(first, delay_s=3_600))
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert await world.requeue(item) == 1
    second = await world.lease_one()
    assert second.fence > first.fence
    await world.deliver(second)
    fences = [each.fence for each in await attempts_of(world.store, merchant.id, item.delivery_id)]
    assert fences[-2:] == [first.fence, second.fence]

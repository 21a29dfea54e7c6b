"""What every port promises of objects that an endpoint held up when it was edited."""

import msgspec
import pytest
from tests.support.replays import blocking_lane
from tests.support.world import World, events_of

from payhooks.model.endpoint import Endpoint, OnFailed, Ordering
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Change
from payhooks.ports.sweeping import Mended

OBJECT = b"o" * 16

EDITS = [
    pytest.param({"on_failed": OnFailed.SKIP}, id="skips"),
    pytest.param({"ordering": Ordering.NONE}, id="orders nothing"),
]


async def _two(world: World, merchant: Merchant, endpoint: Endpoint) -> tuple[Event, Event]:
    """Publish two events of one object."""
    head = await world.publish(merchant, endpoint, order_key=OBJECT)
    return head, await world.publish(merchant, endpoint, order_key=OBJECT)


@pytest.mark.parametrize("edit", EDITS)
async def test_taken_back_at_an_endpoint_that_blocks_no_more_it_holds_nothing_up(
    world: World, edit: dict[str, object]
) -> None:
    """The edit freed its object; nobody would look for what holds it up again."""
    merchant, endpoint = await blocking_lane(world)
    head, behind = await _two(world, merchant, endpoint)
    await world.settle(world.given_up(await world.lease_one(), block_order=True))
    job = world.job(merchant)
    await world.store.apply(Change(audit=world.audit(merchant.id), replay=job))
    queued = msgspec.structs.replace(job, queued=1)
    again = [world.again(head, endpoint, OBJECT)]
    assert await world.store.advance_replay(queued, after=job, items=again, bulk=True)
    await world.edit(endpoint, **edit)
    assert await world.store.cancel_replay_backlog(merchant.id, job.id, limit=10) == 1
    assert events_of(await world.lease()) == [behind.id]


@pytest.mark.parametrize("edit", EDITS)
async def test_a_settle_that_comes_after_the_edit_holds_its_object_up_for_a_moment(
    world: World, edit: dict[str, object]
) -> None:
    """The worker judged by what the endpoint said while it sent; lanes are mended all the time."""
    merchant, endpoint = await blocking_lane(world)
    _, behind = await _two(world, merchant, endpoint)
    given_up = world.given_up(await world.lease_one(), block_order=True)
    await world.edit(endpoint, **edit)
    assert await world.settle(given_up) == [True]
    mended = await world.store.mend_lanes(limit=10, after=None)
    assert mended == Mended(looked=1, drifted=0, last=None)
    assert events_of(await world.lease()) == [behind.id]


async def test_lanes_that_are_mended_keep_what_waits_for_a_person(world: World) -> None:
    """Only an endpoint that blocks no more lets its objects go by itself."""
    merchant, endpoint = await blocking_lane(world)
    await _two(world, merchant, endpoint)
    await world.settle(world.given_up(await world.lease_one(), block_order=True))
    await world.edit(endpoint, label="Another name")
    assert (await world.store.mend_lanes(limit=10, after=None)).drifted == 0
    assert await world.lease() == []

"""What replays read of the store: about as much as they send, however wide the events are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks import ids, limits
from payhooks.control.replay import Replayer
from payhooks.control.replay_walk import DELIVERIES_PER_WALK_MAX, Walk
from payhooks.ids import DeliveryId, EventId, MerchantId, ReplayId
from payhooks.model.delivery import State, Trigger
from payhooks.model.replay import Include, Replay, ReplayFilter, ReplayState
from payhooks.ports.reading import DeliveryFacts, EventFacts, FactsPage

_Asked = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _all_failed(world: World, *, endpoints: int, events: int) -> str:
    """Return a merchant whose events failed at all of the endpoints."""
    merchant = await world.merchant()
    for _ in range(endpoints):
        await world.endpoint(merchant)
    for _ in range(events):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    return merchant


async def _replay(world: World, merchant: str, *, rate_per_s: float) -> dict[str, Any]:
    wish = {"include": ["failed"], "rate_per_s": rate_per_s}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/replays", wish)
    assert answer.status == 202, answer.body
    job: dict[str, Any] = answer.json
    return job


async def _progress(world: World, merchant: str, job: dict[str, Any]) -> tuple[str, int]:
    told = (await world.call("GET", f"/v1/merchants/{merchant}/replays/{job['id']}")).json
    return told["state"], told["queued"]


def _read(world: World, asked: _Asked = lambda bounds: bounds) -> list[FactsPage]:
    """Return a list into which every page goes that is read from now on; *asked* may change it."""
    read: list[FactsPage] = []
    facts = world.store.event_facts

    async def noted(*whose: Any, **bounds: Any) -> FactsPage:  # noqa: ANN401 - passed on
        page = await facts(*whose, **asked(bounds))
        read.append(page)
        return page

    world.break_store("event_facts", noted)
    return read


async def test_a_slow_replay_reads_about_what_it_sends(world: World) -> None:
    """Several times a second, for days: a slice that sends one must not read hundreds of events."""
    merchant = await _all_failed(world, endpoints=3, events=100)
    job = await _replay(world, merchant, rate_per_s=5)
    read = _read(world)
    replayer = Replayer(world.control, owner=OWNER)
    for _ in range(100):
        await replayer.step()
        world.clock.advance(timedelta(seconds=0.2))
        await finish(world, Trigger.SUCCEED)
    _, queued = await _progress(world, merchant, job)
    assert queued >= 100
    assert sum(len(event.deliveries) for page in read for event in page.events) < 5 * queued


async def test_pages_that_are_cut_short_end_nothing(world: World) -> None:
    """With many endpoints each event comes alone; all of them are counted and sent."""
    merchant = await _all_failed(world, endpoints=2, events=30)
    read = _read(world, lambda bounds: bounds | {"deliveries_max": 1})
    job = await _replay(world, merchant, rate_per_s=100)
    assert job["matched"] == 60
    assert [len(page.events) for page in read] == [1] * 30
    replayer = Replayer(world.control, owner=OWNER)
    arrived = 0
    for _ in range(20):
        await replayer.step()
        world.clock.advance(timedelta(seconds=1))
        arrived += await finish(world, Trigger.SUCCEED)
    assert (arrived, await _progress(world, merchant, job)) == (60, ("done", 60))


async def test_a_walk_over_wide_events_leaves_the_rest_to_the_next_slice(world: World) -> None:
    """Where nothing of it is to be sent: other jobs wait for this one meanwhile."""
    merchant_id = MerchantId(world.ids.new())
    asked: list[int] = []

    async def wide(_: MerchantId, *, limit: int, deliveries_max: int, **_bounds: Any) -> FactsPage:  # noqa: ANN401 - passed by
        assert limit <= limits.SLICE_ROWS_MAX
        asked.append(deliveries_max)
        event_id = world.ids.new_event()
        known = DeliveryFacts(id=DeliveryId(event_id), state=State.DELIVERED, reason=None)
        event = EventFacts(
            id=event_id,
            type="payment.paid",
            routing_version=1,
            fan_out=limits.FACTS_DELIVERIES_MAX,
            order_of=None,
            deliveries=(known,) * limits.FACTS_DELIVERIES_MAX,
        )
        return FactsPage(events=(event,), ended=False)

    world.break_store("event_facts", wide)
    walk = Walk(world.control, _job(world, merchant_id), reached=None, budget=1)
    pages = 0
    while await walk.page():
        pages += 1
    assert pages * limits.FACTS_DELIVERIES_MAX == DELIVERIES_PER_WALK_MAX
    assert not walk.ended
    assert max(asked) <= limits.FACTS_DELIVERIES_MAX


async def test_a_walk_begins_behind_an_event_that_is_done(world: World) -> None:
    """And at one of which more is to do."""
    merchant_id = MerchantId(world.ids.new())
    event_id = world.ids.new_event()
    after: list[EventId] = []

    async def nothing(_: MerchantId, **bounds: Any) -> FactsPage:  # noqa: ANN401 - passed by
        after.append(bounds["after"])
        return FactsPage(events=(), ended=True)

    world.break_store("event_facts", nothing)
    for reached in (ids.last_delivery_id_of(event_id), ids.delivery_id(event_id, 1)):
        walk = Walk(world.control, _job(world, merchant_id), reached=reached, budget=1)
        assert not await walk.page()
        assert walk.ended
    assert after[0] == event_id > after[1]


def _job(world: World, merchant_id: MerchantId) -> Replay:
    return Replay(
        id=ReplayId(world.ids.new()),
        merchant_id=merchant_id,
        filter=ReplayFilter(),
        include=(Include.FAILED,),
        rate_per_s=1.0,
        state=ReplayState.RUNNING,
        matched=0,
        queued=0,
        cursor=None,
        created_at=world.clock.now(),
        finished_at=None,
    )

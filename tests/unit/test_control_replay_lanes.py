"""Replays to several endpoints: each at its own pace, whatever becomes of the others."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks import ids
from payhooks.control.replay import HELD_S, Replayer
from payhooks.control.replay_room import AHEAD_PER_LANE_MIN, Room
from payhooks.control.replay_scope import Scope
from payhooks.control.replay_slice import LANES_BEHIND_MAX, Slice
from payhooks.ids import DeliveryId, EndpointId
from payhooks.model.delivery import Trigger
from payhooks.model.replay import Behind, Replay, ReplayState
from payhooks.storage import documents


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _all_failed(world: World, merchant: str, *, endpoints: int, events: int) -> list[str]:
    """Make endpoints, and events that failed at all of them; return where the endpoints are."""
    made = [await world.endpoint(merchant) for _ in range(endpoints)]
    for _ in range(events):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    return [f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}" for endpoint in made]


async def _replay(world: World, merchant: str, *, rate_per_s: float) -> str:
    """Begin a replay of what failed; return where it is."""
    wish = {"include": ["failed"], "rate_per_s": rate_per_s}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/replays", wish)
    assert answer.status == 202, answer.body
    return f"/v1/merchants/{merchant}/replays/{answer.json['id']}"


async def _progress(world: World, path: str) -> tuple[Any, ...]:
    job = (await world.call("GET", path)).json
    return job["state"], job["matched"], job["queued"]


async def _run(world: World, replayer: Replayer, *, seconds: int) -> int:
    """Let a job go on at endpoints that answer; return how many deliveries arrived."""
    arrived = 0
    for _ in range(seconds):
        await replayer.step()
        world.clock.advance(timedelta(seconds=1))
        arrived += await finish(world, Trigger.SUCCEED)
    return arrived


async def test_an_endpoint_that_takes_nothing_holds_up_no_other(world: World) -> None:
    """A replay after an outage meets endpoints that are still down: the others must have theirs."""
    merchant = await world.merchant()
    count = AHEAD_PER_LANE_MIN + 50
    paused, _ = await _all_failed(world, merchant, endpoints=2, events=count)
    await world.call("POST", f"{paused}/pause")
    job = await _replay(world, merchant, rate_per_s=100)
    replayer = Replayer(world.control, owner=OWNER)
    assert await _run(world, replayer, seconds=20) == count
    assert await _progress(world, job) == ("running", 2 * count, count + AHEAD_PER_LANE_MIN)
    await world.call("POST", f"{paused}/resume")
    assert await _run(world, replayer, seconds=20) == count
    assert await _progress(world, job) == ("done", 2 * count, 2 * count)


async def test_another_process_goes_on_in_each_lane_where_it_was(world: World) -> None:
    """The first one died: what it had put on its way is sent once, and nothing is left out."""
    merchant = await world.merchant()
    count = AHEAD_PER_LANE_MIN + 50
    paused, _ = await _all_failed(world, merchant, endpoints=2, events=count)
    await world.call("POST", f"{paused}/pause")
    job = await _replay(world, merchant, rate_per_s=100)
    arrived = await _run(world, Replayer(world.control, owner=OWNER), seconds=3)
    await world.call("POST", f"{paused}/resume")
    world.clock.advance(timedelta(seconds=HELD_S))
    arrived += await _run(world, Replayer(world.control, owner=OWNER + 1), seconds=20)
    assert arrived == 2 * count
    assert await _progress(world, job) == ("done", 2 * count, 2 * count)


async def test_a_job_that_waits_for_one_endpoint_can_be_cancelled(world: World) -> None:
    merchant = await world.merchant()
    count = AHEAD_PER_LANE_MIN + 50
    paused, _ = await _all_failed(world, merchant, endpoints=2, events=count)
    await world.call("POST", f"{paused}/pause")
    job = await _replay(world, merchant, rate_per_s=100)
    replayer = Replayer(world.control, owner=OWNER)
    await _run(world, replayer, seconds=10)
    assert (await world.call("POST", f"{job}/cancel")).json["state"] == "cancelled"
    await world.call("POST", f"{paused}/resume")
    assert await _run(world, replayer, seconds=5) == 0
    assert await _progress(world, job) == ("cancelled", 2 * count, count + AHEAD_PER_LANE_MIN)


async def test_a_job_that_only_waits_writes_nothing(world: World) -> None:
    """It may do so for days, several times a second."""
    merchant = await world.merchant()
    [paused] = await _all_failed(world, merchant, endpoints=1, events=AHEAD_PER_LANE_MIN + 5)
    await world.call("POST", f"{paused}/pause")
    await _replay(world, merchant, rate_per_s=100)
    replayer = Replayer(world.control, owner=OWNER)
    await _run(world, replayer, seconds=3)
    written: list[object] = []
    advance = world.store.advance_replay

    async def counted(replay: Replay, **rest: Any) -> bool:  # noqa: ANN401 - passed on
        written.append(replay)
        return await advance(replay, **rest)

    world.break_store("advance_replay", counted)
    await _run(world, replayer, seconds=5)
    assert written == []
    await world.call("POST", f"{paused}/resume")
    await _run(world, replayer, seconds=5)
    assert len(written) == 1


async def test_a_job_that_only_waits_looks_at_nothing_but_its_lanes(world: World) -> None:
    """A merchant's 5,000 endpoints were read and decoded five times a second, for days."""
    merchant = await world.merchant()
    count = AHEAD_PER_LANE_MIN + 5
    [paused] = await _all_failed(world, merchant, endpoints=1, events=count)
    await world.call("POST", f"{paused}/pause")
    job = await _replay(world, merchant, rate_per_s=100)
    replayer = Replayer(world.control, owner=OWNER)
    await _run(world, replayer, seconds=3)
    asked: list[str] = []
    for name in ("routing", "subscriptions", "event_facts"):
        world.break_store(name, _counted(asked, name, getattr(world.store, name)))
    for _ in range(5):
        await replayer.step()
        world.clock.advance(timedelta(seconds=1))
    assert asked == []
    await world.call("POST", f"{paused}/resume")
    asked.clear()
    assert await _run(world, replayer, seconds=5) == count
    assert asked.count("subscriptions") == 1
    assert (await _progress(world, job))[0] == "done"


def _counted(
    asked: list[str], name: str, method: Callable[..., Awaitable[object]]
) -> Callable[..., Awaitable[object]]:
    async def counted(*args: object, **named: object) -> object:
        asked.append(name)
        return await method(*args, **named)

    return counted


async def test_a_job_does_not_wait_for_an_endpoint_that_is_deleted(world: World) -> None:
    merchant = await world.merchant()
    count = AHEAD_PER_LANE_MIN + 50
    paused, _ = await _all_failed(world, merchant, endpoints=2, events=count)
    await world.call("POST", f"{paused}/pause")
    job = await _replay(world, merchant, rate_per_s=100)
    replayer = Replayer(world.control, owner=OWNER)
    await _run(world, replayer, seconds=10)
    await world.call("DELETE", paused)
    await world.store.cancel_orphans(limit=1_000)
    await _run(world, replayer, seconds=3)
    assert await _progress(world, job) == ("done", 2 * count, count + AHEAD_PER_LANE_MIN)


async def _job(world: World, merchant: str, *, rate_per_s: float = 1.0) -> tuple[Replay, Scope]:
    path = await _replay(world, merchant, rate_per_s=rate_per_s)
    merchant_id, replay_id = (
        ids.from_text(kind, text)
        for kind, text in ((ids.MERCHANT, merchant), (ids.REPLAY, path.rsplit("/", 1)[1]))
    )
    assert merchant_id is not None
    assert replay_id is not None
    job = await world.store.replay(ids.MerchantId(merchant_id), ids.ReplayId(replay_id))
    assert job is not None
    return job, await Scope.load(world.control, job.merchant_id, job.filter, job.include)


@pytest.mark.parametrize("seed", range(20))
async def test_every_lane_goes_in_order_once_however_its_room_comes_and_goes(
    world: World, seed: int
) -> None:
    """Slices of every size, lanes that stand still for a while: no delivery twice, none left out.

    The job is read from its document before each slice, as after a crash.
    """
    random = Random(seed)
    merchant = await world.merchant()
    await _all_failed(world, merchant, endpoints=4, events=15)
    job, scope = await _job(world, merchant)
    went = defaultdict[EndpointId, list[DeliveryId]](list)
    undone = Counter[EndpointId]()
    slices = 0
    while job.state is ReplayState.RUNNING:
        room = Room(lambda lane: 2 - undone[lane])
        budget = random.randint(1, 6)
        advanced, items = await Slice(world.control, job, scope, room, budget=budget).walk()
        assert len(items) <= budget
        assert advanced.queued == job.queued + len(items)
        for item in items:
            went[item.endpoint_id].append(item.delivery_id)
            undone[item.endpoint_id] += 1
        assert max(undone.values()) <= 2
        for place, lane in enumerate(sorted(undone)):
            # One answers at once, one now and then, the others hardly ever.
            if random.random() < (1.0, 0.5, 0.1, 0.1)[place]:
                undone[lane] = 0
        job = documents.decode(Replay, documents.encode(advanced))
        slices += 1
        assert slices < 5_000, "the job does not end"
    assert job.behind is None
    assert sorted(len(lane) for lane in went.values()) == [15] * 4
    assert all(lane == sorted(set(lane)) for lane in went.values())
    assert job.queued == job.matched == 60


async def test_one_that_was_away_and_those_that_were_not_go_in_turns(world: World) -> None:
    """Of one a second, too: neither waits until the other is done."""
    merchant = await world.merchant()
    await _all_failed(world, merchant, endpoints=2, events=12)
    job, scope = await _job(world, merchant)
    job, [first] = await Slice(world.control, job, scope, Room(lambda _: 1), budget=1).walk()
    away = first.endpoint_id
    for _ in range(4):
        room = Room(lambda lane: int(lane != away))
        job, _ = await Slice(world.control, job, scope, room, budget=1).walk()
    went: Counter[bool] = Counter()
    for _ in range(8):
        job, [item] = await Slice(world.control, job, scope, Room(lambda _: 1), budget=1).walk()
        went[item.endpoint_id == away] += 1
    assert went == {True: 4, False: 4}


async def test_what_is_written_down_of_lanes_that_are_behind_is_bounded(world: World) -> None:
    """The job's row is written several times a second: beyond so many, the front waits."""
    merchant = await world.merchant()
    await _all_failed(world, merchant, endpoints=2, events=12)
    job, scope = await _job(world, merchant)
    job, [first] = await Slice(world.control, job, scope, Room(lambda _: 1), budget=1).walk()
    others = [EndpointId(world.ids.new()) for _ in range(LANES_BEHIND_MAX)]
    behind = Behind(front=first.delivery_id, lanes=tuple((lane, bytes(16)) for lane in others))
    job = msgspec.structs.replace(job, behind=behind)
    room = Room(lambda lane: int(lane not in {first.endpoint_id, *others}))
    job, [item] = await Slice(world.control, job, scope, room, budget=10).walk()
    assert item.endpoint_id != first.endpoint_id
    assert job.behind is not None
    assert len(job.behind.lanes) == LANES_BEHIND_MAX
    job, items = await Slice(world.control, job, scope, Room(lambda _: 1), budget=10).walk()
    assert [one.endpoint_id for one in items] == [first.endpoint_id, item.endpoint_id]

"""More replays than a process advances at once: who waits for an endpoint holds nobody up."""

from datetime import timedelta

import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks.control.replay import JOBS_HELD_MAX, WAITED_S_MAX, Replayer
from payhooks.control.replay_room import AHEAD_PER_LANE_MIN
from payhooks.errors import UnavailableError
from payhooks.ids import ReplayId
from payhooks.model.delivery import Trigger
from payhooks.ports.controlling import LaneBacklog


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _all_failed(world: World, *, endpoints: int, events: int) -> tuple[str, list[str]]:
    """Return a merchant whose events failed at all of its endpoints, and the ids of these."""
    merchant = await world.merchant()
    made = [(await world.endpoint(merchant))["id"] for _ in range(endpoints)]
    for _ in range(events):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    return merchant, made


async def _replay(world: World, merchant: str, endpoint: str) -> str:
    """Begin a replay of what failed at an endpoint; return where it is."""
    wish = {"include": ["failed"], "rate_per_s": 100, "filter": {"endpoint_id": endpoint}}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/replays", wish)
    assert answer.status == 202, answer.body
    return f"/v1/merchants/{merchant}/replays/{answer.json['id']}"


async def _queued(world: World, path: str) -> int:
    queued: int = (await world.call("GET", path)).json["queued"]
    return queued


@pytest.mark.parametrize("jobs", [JOBS_HELD_MAX - 1, 6 * JOBS_HELD_MAX])
async def test_a_merchant_does_not_wait_behind_another_ones_jobs_that_wait(
    world: World, jobs: int
) -> None:
    """One whose endpoints are all paused would keep everybody's replays for minutes."""
    count = AHEAD_PER_LANE_MIN + 5
    noisy, paused = await _all_failed(world, endpoints=jobs, events=count)
    quiet, [endpoint] = await _all_failed(world, endpoints=1, events=3)
    for each in paused:
        await world.call("POST", f"/v1/merchants/{noisy}/endpoints/{each}/pause")
        await _replay(world, noisy, each)
    replayer = Replayer(world.control, owner=OWNER)
    await replayer.step()
    mine = await _replay(world, quiet, endpoint)
    waited_s = 0
    while not await _queued(world, mine):
        world.clock.advance(timedelta(seconds=1))
        waited_s += 1
        await replayer.step()
        assert waited_s <= WAITED_S_MAX + 2


async def test_a_job_that_waits_is_kept_while_nobody_else_does(world: World) -> None:
    """It goes on as soon as its endpoint takes more, not when its hold would have run out."""
    count = AHEAD_PER_LANE_MIN + 5
    merchant, [endpoint] = await _all_failed(world, endpoints=1, events=count)
    hook = f"/v1/merchants/{merchant}/endpoints/{endpoint}"
    await world.call("POST", f"{hook}/pause")
    job = await _replay(world, merchant, endpoint)
    replayer = Replayer(world.control, owner=OWNER)
    for _ in range(20):
        await replayer.step()
        world.clock.advance(timedelta(seconds=1))
    assert await _queued(world, job) == AHEAD_PER_LANE_MIN
    await world.call("POST", f"{hook}/resume")
    await finish(world, Trigger.SUCCEED)
    await replayer.step()
    assert await _queued(world, job) == count


async def test_a_job_that_the_store_does_not_answer_for_ends_no_other_ones_turn(
    world: World,
) -> None:
    """It may be too much for one statement, again and again."""
    ill, [of_ill] = await _all_failed(world, endpoints=1, events=1)
    well, [of_well] = await _all_failed(world, endpoints=1, events=1)
    failing = await _replay(world, ill, of_ill)
    other = await _replay(world, well, of_well)
    backlog = world.store.replay_backlog
    asked: list[ReplayId] = []

    async def slow(replay_id: ReplayId) -> list[LaneBacklog]:
        asked.append(replay_id)
        if replay_id == asked[0]:
            raise UnavailableError("The statement took too long.")
        return await backlog(replay_id)

    world.break_store("replay_backlog", slow)
    replayer = Replayer(world.control, owner=OWNER)
    with pytest.raises(UnavailableError):
        await replayer.step()
    assert (await _queued(world, failing), await _queued(world, other)) == (0, 1)
    world.break_store("replay_backlog", backlog)
    world.clock.advance(timedelta(seconds=1))
    assert await replayer.step() == 1

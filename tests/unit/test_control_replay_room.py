"""Live traffic goes first: how much of a replay stands in a lane, by what the lane sends."""

from datetime import timedelta

import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks.control.replay import Replayer
from payhooks.control.replay_room import (
    AHEAD_OF_LIMIT_S,
    AHEAD_PER_LANE_MIN,
    UNDONE_PER_LANE_MAX,
    UNDONE_PER_LANE_S,
    Pace,
)
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.delivery import Trigger
from payhooks.ports.controlling import LaneBacklog, Requeue

LANE = EndpointId(b"l" * 16)
STEP_S = 0.2


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def _replay(world: World, *, events: int, rate_per_s: float, **members: object) -> str:
    """Begin a replay of what failed at an endpoint; return the merchant."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(events):
        await world.publish(merchant)
    await finish(world, Trigger.GIVE_UP)
    world.clock.advance(timedelta(seconds=1))
    if members:
        hook = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
        assert (await world.call("PATCH", hook, members)).status == 200
    wish = {"include": ["failed"], "rate_per_s": rate_per_s}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/replays", wish)
    assert answer.json["matched"] == events
    return merchant


async def test_a_live_event_does_not_wait_for_a_replay_at_an_endpoint_with_a_rate_limit(
    world: World,
) -> None:
    """At one a second, a hundred that were put there before it would take minutes."""
    merchant = await _replay(world, events=60, rate_per_s=100, rate_limit=1)
    replayer = Replayer(world.control, owner=OWNER)
    for step in range(40):
        await replayer.step()
        world.clock.advance(timedelta(seconds=STEP_S))
        if step % 5 == 0:
            await finish(world, Trigger.SUCCEED)
    live = (await world.publish(merchant)).json["id"]
    path = f"/v1/merchants/{merchant}/events/{live}"
    waited_s = 0.0
    while (await world.call("GET", path)).json["status"] != "delivered":
        await replayer.step()
        world.clock.advance(timedelta(seconds=STEP_S))
        waited_s += STEP_S
        await finish(world, Trigger.SUCCEED)
    # And two turns of the limit: its own, and one that has begun.
    assert waited_s <= AHEAD_OF_LIMIT_S + 2


@pytest.mark.shows("F67")
@pytest.mark.parametrize("rate_per_s", [50, 400])
async def test_a_replay_never_overfills_a_lane(world: World, rate_per_s: int) -> None:
    """One that sends nothing has no more than it can have in flight."""
    await _replay(world, events=AHEAD_PER_LANE_MIN + 10, rate_per_s=rate_per_s)
    replayer = Replayer(world.control, owner=OWNER)
    for _ in range(10):
        await replayer.step()
        world.clock.advance(timedelta(seconds=1))
    assert await finish(world, Trigger.SUCCEED) == AHEAD_PER_LANE_MIN
    await replayer.step()
    assert await finish(world, Trigger.SUCCEED) == 10


async def test_a_lane_that_sends_all_it_is_given_is_given_more_until_the_job_has_its_rate(
    world: World,
) -> None:
    await _replay(world, events=500, rate_per_s=400)
    replayer = Replayer(world.control, owner=OWNER)
    sent = []
    for _ in range(10):
        await replayer.step()
        sent.append(await finish(world, Trigger.SUCCEED))
        world.clock.advance(timedelta(seconds=STEP_S))
    assert sent[:3] == [1, AHEAD_PER_LANE_MIN, 2 * AHEAD_PER_LANE_MIN]
    assert max(sent) >= 400 * STEP_S
    assert sum(sent) == 500


def _item(number: int) -> Requeue:
    return Requeue(
        delivery_id=number.to_bytes(16, "big"),  # type: ignore[arg-type] # any will do
        merchant_id=MerchantId(bytes(16)),
        endpoint_id=LANE,
        event_type="payment.succeeded",
        order_key=None,
        dialect="standard",
        dialect_version=1,
    )


def _left(pace: Pace, *, undone: int, ahead: int, limit_per_s: float | None = None) -> int:
    backlog = [LaneBacklog(endpoint_id=LANE, undone=undone, ahead=ahead)]
    room = pace.room(backlog, {} if limit_per_s is None else {LANE: limit_per_s})
    return sum(room.take(LANE) for _ in range(5_000))


@pytest.mark.parametrize(
    ("undone", "ahead", "limit_per_s", "left"),
    [
        pytest.param(0, 0, None, AHEAD_PER_LANE_MIN, id="what it can have in flight"),
        pytest.param(5, 5, None, AHEAD_PER_LANE_MIN - 5, id="less what is there"),
        pytest.param(
            50, 0, None, AHEAD_PER_LANE_MIN, id="what is retried later is in no one's way"
        ),
        pytest.param(UNDONE_PER_LANE_MAX - 3, 0, None, 3, id="but it has a bound of its own"),
        pytest.param(0, 0, 0.1, 1, id="one however slow it is to be"),
        pytest.param(1, 1, 0.1, 0, id="and no second one"),
        pytest.param(0, 0, 7.0, 7, id="a second of its limit"),
        pytest.param(0, 0, 1_000.0, AHEAD_PER_LANE_MIN, id="a limit is no promise to send so much"),
    ],
)
def test_a_lane_has_room_by_what_stands_in_it(
    undone: int, ahead: int, limit_per_s: float | None, left: int
) -> None:
    assert _left(Pace(10.0), undone=undone, ahead=ahead, limit_per_s=limit_per_s) == left


@pytest.mark.parametrize(
    ("ahead", "left"),
    [
        pytest.param(0, 80, id="all were sent: twice as many"),
        pytest.param(10, 60 - 10, id="most were"),
        pytest.param(39, 0, id="hardly any: nothing until it is nearly empty"),
    ],
)
def test_a_lane_has_room_by_what_it_has_sent_since(ahead: int, left: int) -> None:
    pace = Pace(1_000.0)
    pace.note([], [_item(number) for number in range(40)])
    assert _left(pace, undone=ahead, ahead=ahead) == left


def test_a_job_never_has_more_undone_than_half_a_second_of_its_rate() -> None:
    """However much the lane sends: it must stay cheap to cancel."""
    pace = Pace(1_000.0)
    pace.note([], [_item(number) for number in range(450)])
    assert _left(pace, undone=0, ahead=0) == 1_000 * UNDONE_PER_LANE_S

"""The counts for charts over HTTP: their steps, and which there are."""

import pytest
from tests.support.api_world import World, finish

from payhooks.model.delivery import Trigger

NAMES = ("accepted", "delivered", "failed", "attempts", "attempts_failed")


@pytest.mark.parametrize(
    ("span", "step", "steps"),
    [
        pytest.param("1h", "1m", 60, id="an hour by minutes"),
        pytest.param("24h", "5m", 288, id="a day by five minutes"),
        pytest.param("24h", "1h", 24, id="a day by hours"),
        pytest.param("7d", "1h", 168, id="a week by hours"),
        pytest.param("30d", "6h", 120, id="a month by six hours"),
        pytest.param("30d", "1d", 30, id="a month by days"),
    ],
)
async def test_every_chart_ends_with_now_and_counts_what_was_just_done(
    span: str, step: str, steps: int
) -> None:
    """Whatever the steps, the sums are the same: minutes and hours are counted from one."""
    world = World()
    merchant = await world.merchant()
    await world.endpoint(merchant)
    for _ in range(3):
        await world.publish(merchant)
    assert await finish(world, Trigger.SUCCEED) == 3
    await world.publish(merchant)
    assert await finish(world, Trigger.GIVE_UP) == 1
    answer = await world.call("GET", f"/v1/merchants/{merchant}/stats?range={span}&step={step}")
    assert answer.status == 200
    found = answer.json["data"]
    assert len(found) == steps
    assert {name: found[-1][name] for name in NAMES} == {
        "accepted": 4,
        "delivered": 3,
        "failed": 1,
        "attempts": 4,
        "attempts_failed": 1,
    }
    assert sum(one[name] for one in found[:-1] for name in NAMES) == 0


@pytest.mark.parametrize("query", ["range=7d&step=1m", "range=1h&step=6h", "range=30d&step=1h"])
async def test_a_chart_of_too_many_or_no_steps_is_refused(query: str) -> None:
    """Nobody sees 43,200 bars, and reading them would cost as much as all others together."""
    world = World()
    merchant = await world.merchant()
    answer = await world.call("GET", f"/v1/merchants/{merchant}/stats?{query}")
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "?step")

"""What a run publishes: what the door would take, under keys that no publisher can send."""

from typing import Any

import pytest
from tests.support.api_world import OWNER, World

from payhooks.flow.play import Player
from payhooks.sandbox.script import DATA_DEPTH_MAX

EVENT = {"event": "payment_intent.captured"}
STEPS = 20

pytestmark = pytest.mark.shows("E16")


def _player(world: World) -> Player:
    services = world.services
    return Player(
        world.control,
        services.acceptor,
        services.directory,
        services.book,
        owner=OWNER,
    )


async def _begin(world: World, merchant: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    path = f"/v1/merchants/{merchant}/sandbox/runs"
    answer = await world.call("POST", path, {**EVENT, **members})
    assert answer.status == 202, answer.body
    return answer.json


async def _read(world: World, merchant: str, run: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    path = f"/v1/merchants/{merchant}/sandbox/runs/{run['id']}"
    return (await world.call("GET", path)).json


async def test_nobody_publishes_with_the_key_of_a_run() -> None:
    """Who knows a run's id could else put an event of their own in the place of its first."""
    world = World()
    merchant = await world.merchant(families=["owlpay"])
    run = await _begin(world, merchant)
    key = f"{run['id']}:0"
    path = f"/v1/merchants/{merchant}/events"
    said = {"type": "payment_succeeded", "data": {"amount": 1}}
    first = await world.call("POST", path, said, headers={"idempotency-key": key})
    assert first.status == 202, first.body
    player = _player(world)
    for _ in range(STEPS):
        await player.step()
    told = await _read(world, merchant, run)
    assert told["state"] == "finished"
    assert told["events"][0]["id"] != first.json["id"]
    refused = await world.call("POST", path, said, headers={"idempotency-key": f"\x1f{key}"})
    assert refused.status == 422


async def test_a_path_and_what_is_put_there_nest_no_deeper_together_than_at_the_door() -> None:
    """Neither is too deep alone; no publisher could have sent both together."""
    world = World()
    merchant = await world.merchant(families=["owlpay"])
    runs = f"/v1/merchants/{merchant}/sandbox/runs"
    value: object = 1
    for _ in range(DATA_DEPTH_MAX - 8):
        value = [value]
    path = "a.b.c.d.e.f.g.h"
    assert (await world.call("POST", runs, {**EVENT, "set": {path: value}})).status == 202
    refused = await world.call("POST", runs, {**EVENT, "set": {path: [value]}})
    assert refused.json["errors"][0]["code"] == "too_deep"


async def test_the_door_takes_the_same_depth() -> None:
    """So the two bounds are one."""
    world = World()
    merchant = await world.merchant()
    data: dict[str, object] = {}
    for _ in range(DATA_DEPTH_MAX - 1):
        data = {"a": data}
    assert (await world.publish(merchant, data=data)).status == 202
    assert (await world.publish(merchant, data={"a": data})).status in {400, 422}

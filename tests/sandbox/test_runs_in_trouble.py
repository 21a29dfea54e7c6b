"""Runs that should not be: what goes wrong in one is that one's alone."""

from typing import Any

import msgspec
import pytest
from tests.support.api_world import OWNER, World

from payhooks import ids
from payhooks.flow.play import Player
from payhooks.flow.routing import RoutingTable
from payhooks.ids import MerchantId, RunId
from payhooks.model.sandbox_run import RunState

SCENARIO = "card-payment-3ds"
STEPS_MAX = 1_000


async def _read(world: World, merchant: str, run: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    path = f"/v1/merchants/{merchant}/sandbox/runs/{run['id']}"
    return (await world.call("GET", path)).json


async def _begin(world: World, merchant: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    answer = await world.call("POST", f"/v1/merchants/{merchant}/sandbox/runs", members)
    assert answer.status == 202, answer.body
    return answer.json


@pytest.mark.shows("E16")
async def test_trouble_with_one_run_is_that_runs_alone() -> None:
    """A fault of ours that one merchant's play brings about must not end everybody's."""
    world = World()
    first, second = await world.merchant(), await world.merchant()
    broken = await _begin(world, first, scenario=SCENARIO)
    sound = await _begin(world, second, scenario=SCENARIO)
    services = world.services
    find = services.directory.find

    async def stumbling(id_or_reference: str) -> RoutingTable:
        if id_or_reference == first:
            raise ArithmeticError("nobody thought of it")
        return await find(id_or_reference)

    services.directory.find = stumbling  # type: ignore[method-assign] # A fault of ours.
    player = Player(
        world.control, services.acceptor, services.directory, services.book, owner=OWNER
    )
    with pytest.raises(ArithmeticError):
        await player.step()
    for _ in range(STEPS_MAX):
        if await player.step():
            break
    services.directory.find = find  # type: ignore[method-assign] # As it was.

    ended = await _read(world, first, broken)
    assert (ended["state"], ended["published"]) == ("failed", 0)
    assert "on our side" in ended["reason"]
    assert (await _read(world, second, sound))["state"] == "finished"


@pytest.mark.shows("E16")
async def test_a_run_whose_story_cannot_be_written_is_over_and_the_others_go_on() -> None:
    """It is claimed again and again: while it stops the claim, no run begins anywhere."""
    world = World()
    first, second = await world.merchant(), await world.merchant()
    broken = await _begin(world, first, event="payment_intent.created")
    sound = await _begin(world, second, scenario=SCENARIO)
    merchant_id, run_id = ids.from_text(ids.MERCHANT, first), ids.from_text(ids.RUN, broken["id"])
    assert merchant_id is not None
    assert run_id is not None
    stored = await world.store.run(MerchantId(merchant_id), RunId(run_id))
    assert stored is not None
    cut = msgspec.structs.replace(stored, members="{", revision=stored.revision + 1)
    assert await world.store.write_run(cut)
    services = world.services
    player = Player(
        world.control, services.acceptor, services.directory, services.book, owner=OWNER
    )

    with pytest.raises(msgspec.DecodeError):
        await player.step()
    for _ in range(STEPS_MAX):
        if await player.step():
            break

    ended = await world.store.run(stored.merchant_id, stored.id)
    assert ended is not None
    assert (ended.state, ended.played) == (RunState.FAILED, ())
    assert "on our side" in str(ended.reason)
    assert (await _read(world, second, sound))["state"] == "finished"


@pytest.mark.shows("E16")
async def test_a_member_may_be_only_so_deep() -> None:
    """What no event may have at the door, no play may have either."""
    world = World()
    merchant = await world.merchant()
    said = {"event": "payment_intent.created", "set": {".".join("a" * 4_000): 1}}
    refused = await world.call("POST", f"/v1/merchants/{merchant}/sandbox/runs", said)
    assert refused.status == 422
    assert refused.json["errors"][0]["code"] == "too_deep"

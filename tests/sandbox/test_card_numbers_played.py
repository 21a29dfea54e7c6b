"""Card data in what the sandbox plays, which passes the door that everybody passes."""

from typing import Any, Final

import pytest
from tests.support.api_world import OWNER, World

from payhooks.flow.play import Player

NUMBER: Final = "4111111111111111"
_STEPS_MAX: Final = 100


async def _begun(world: World, merchant: str, **members: object) -> Any:  # noqa: ANN401 - JSON
    run = {"event": "payment_succeeded", "family": "owngateway", "set": members}
    return await world.call("POST", f"/v1/merchants/{merchant}/sandbox/runs", run)


async def _played(world: World, merchant: str) -> Any:  # noqa: ANN401 - JSON
    """Play all there is; return the event that came of it."""
    services = world.services
    player = Player(
        world.control, services.acceptor, services.directory, services.book, owner=OWNER
    )
    for _ in range(_STEPS_MAX):
        await player.step()
        listed = await world.call("GET", f"/v1/merchants/{merchant}/events")
        found = [each for each in listed.json["data"] if each["type"] == "payment_succeeded"]
        if found:
            target = f"/v1/merchants/{merchant}/events/{found[0]['id']}"
            return (await world.call("GET", target)).json
    raise AssertionError("nothing was published")


@pytest.mark.shows("S41")
async def test_what_is_played_is_looked_through_as_anybodys_event_is() -> None:
    """What works in the sandbox must work live, and not the other way round."""
    world = World()
    merchant = await world.merchant()
    assert (await _begun(world, merchant, note=NUMBER)).status == 202
    # Chosen while the run waits to be played.
    await world.call("PATCH", f"/v1/merchants/{merchant}", {"card_numbers": "mask"})
    event = await _played(world, merchant)
    assert NUMBER not in str(event)
    assert ("/data/note", "card_number_masked") in [
        (each["pointer"], each["code"]) for each in event["findings"]
    ]


@pytest.mark.shows("S41")
@pytest.mark.parametrize("choice", ["mask", "reject"])
async def test_a_run_is_not_kept_with_card_data_where_no_event_is(choice: str) -> None:
    """A run is stored with what was set, and shown with it."""
    world = World()
    merchant = await world.merchant(card_numbers=choice)
    answer = await _begun(world, merchant, **{"note": NUMBER, "card.cvv": "123"})
    assert answer.status == 422
    assert [(each["pointer"], each["code"]) for each in answer.json["errors"]] == [
        ("/set/note", "card_number"),
        ("/set/card.cvv", "security_code"),
    ]
    assert NUMBER not in answer.body.decode()
    assert (await _begun(world, merchant, note="4111")).status == 202

"""Numbers in what the sandbox plays: to the digit as they were set."""

import re
from typing import Final

import pytest
from tests.support.api_world import OWNER, World

from payhooks.flow.play import Player

_STEPS: Final = 20


@pytest.mark.parametrize(
    "said",
    [
        b'{"amount":10.00,"fee.net":12345678901234567.89}',
        b'{"rate":1e5,"lines":[{"amount":0.10000000000000000001}],"count":3}',
    ],
)
async def test_amounts_are_published_as_they_are_set(said: bytes) -> None:
    """Whoever tries out how an amount is read sends that one, and no double that is near it."""
    world = World()
    merchant = await world.merchant()
    path = f"/v1/merchants/{merchant}/sandbox/runs"
    whole = b'{"event":"payment_succeeded","family":"owngateway","set":%b}' % said
    run = (await world.call("POST", path, raw=whole)).json
    services = world.services
    player = Player(
        world.control, services.acceptor, services.directory, services.book, owner=OWNER
    )

    for _ in range(_STEPS):
        await player.step()

    listed = (await world.call("GET", f"{path}/{run['id']}")).body
    assert b'"set":%b' % said in listed
    published = (await world.call("GET", f"/v1/merchants/{merchant}/events")).body
    for number in re.findall(rb"[0-9][0-9.e]+", said):
        assert b":%b" % number in published


async def test_a_variable_may_be_a_number_with_a_point() -> None:
    """It is its text, whose digits say what is charged."""
    world = World()
    path = f"/v1/merchants/{await world.merchant()}/sandbox/runs"

    run = await world.call(
        "POST", path, raw=b'{"scenario":"card-payment-3ds","set":{"amount":80.10}}'
    )

    assert run.json["set"] == {"amount": "80.10"}

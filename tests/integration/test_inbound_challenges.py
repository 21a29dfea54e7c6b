"""A provider that asks with a GET whether we are there is answered as he wants, and no more."""

from urllib.parse import parse_qs

import pytest
from tests.support.api_world import Answer as Answered
from tests.support.inbound_world import InboundWorld

from payhooks.connectors.contract import Answer, Incoming, Keys, Options
from payhooks.connectors.owngateway import OwnGateway

pytestmark = pytest.mark.shows("I8")


class _Challenging:
    """What a provider has who challenges: his word comes back, if he says one."""

    methods = frozenset({"POST", "GET"})

    def challenge(self, incoming: Incoming, keys: Keys, options: Options) -> Answer | None:
        if incoming.method != "GET":
            return None
        words = parse_qs(incoming.query).get("challenge")
        return Answer(400, b"Which?") if words is None else Answer(200, words[0].encode())


@pytest.fixture
def challenging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a provider challenge, as none of those that are heard does today."""
    monkeypatch.setattr(OwnGateway, "methods", _Challenging.methods)
    monkeypatch.setattr(OwnGateway, "challenge", _Challenging.challenge)


async def _asked(world: InboundWorld, merchant: str, method: str, query: str) -> Answered:
    return await world.call(method, f"/webhooks/{merchant}/owngateway{query}", key=None)


@pytest.mark.usefixtures("challenging")
async def test_a_challenge_is_echoed_and_is_no_receipt() -> None:
    """It is no news, whoever asks; nor is what is no challenge."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owngateway")
    answer = await _asked(world, merchant, "GET", "?challenge=a-word")
    assert (answer.status, answer.body) == (200, b"a-word")
    assert (await _asked(world, merchant, "GET", "")).status == 400
    assert await world.stored(merchant) == []


async def test_whoever_does_not_challenge_is_not_asked_with_get() -> None:
    """The answer says how he may."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owngateway")
    answer = await _asked(world, merchant, "GET", "?challenge=a-word")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, PUT")
    assert await world.stored(merchant) == []

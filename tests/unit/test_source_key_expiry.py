"""A Source Key that has expired: no way in any more, but still a signature."""

from datetime import timedelta

import pytest
from tests.support.api_world import World

from payhooks import ids
from payhooks.dialects.contract import HmacSecret


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def test_an_expired_source_key_goes_on_signing(world: World) -> None:
    """Unsigned deliveries would be refused by every receiver that verifies, for ever."""
    merchant = await world.merchant()
    ends = (world.clock.now() + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    text = await world.key(merchant, "events:read", signing=True, expires_at=ends)
    [key] = (await world.call("GET", f"/v1/merchants/{merchant}/keys")).json["data"]
    signature = {"type": "source_key", "key_id": key["id"]}
    made = await world.endpoint(merchant, signature=signature)
    world.advance(7_200)
    target = f"/v1/merchants/{merchant}/events"
    assert (await world.call("GET", target, key=text)).status == 401

    table = await world.directory.find(merchant)
    raw = ids.from_text(ids.ENDPOINT, made["id"])
    assert raw is not None
    endpoint = table.endpoint(ids.EndpointId(raw))
    assert endpoint is not None
    [secret] = table.signing_secrets(endpoint, endpoint.dialect, world.clock.now())
    assert isinstance(secret, HmacSecret)

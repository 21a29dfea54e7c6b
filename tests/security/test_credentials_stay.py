"""A credential that was given for one server reaches no other, and nobody reads it here."""

import pytest
from tests.support.api_world import World

_BEARER = {"type": "bearer", "token": "canary-7711"}
_HOOK = "https://shop.example.com/hook"


@pytest.mark.shows("S13")
@pytest.mark.parametrize(
    ("url", "status"),
    [
        pytest.param("https://shop.example.com/other?a=b", 200, id="another path"),
        pytest.param("https://SHOP.example.com:443/hook", 200, id="the same, spelt otherwise"),
        pytest.param("https://attacker.example/hook", 422, id="another host"),
        pytest.param("https://shop.example.com:8443/hook", 422, id="another port"),
        pytest.param("http://shop.example.com/hook", 422, id="without TLS"),
    ],
)
async def test_a_stored_credential_is_not_taken_along_to_another_server(
    url: str, status: int
) -> None:
    """Whoever may edit an endpoint, but not read its credential, had it sent to his own server."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, url=_HOOK, authentication=_BEARER)
    at = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    key = await world.key(merchant, "endpoints:write")
    moved = await world.call("PATCH", at, {"url": url}, key=key)
    assert moved.status == status, moved.body
    if status == 422:
        assert [fault["pointer"] for fault in moved.json["errors"]] == ["/authentication"]
        assert (await world.call("GET", at)).json["url"] == _HOOK
        anew = {"url": url, "authentication": {**_BEARER, "token": "another"}}
        assert (await world.call("PATCH", at, anew, key=key)).status == 200


async def test_without_a_credential_an_endpoint_moves_freely() -> None:
    """Nothing would be given away, so nothing is asked for."""
    world = World()
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, url=_HOOK)
    at = f"/v1/merchants/{merchant}/endpoints/{endpoint['id']}"
    moved = await world.call("PATCH", at, {"url": "https://new.example.com/hook"})
    assert moved.status == 200

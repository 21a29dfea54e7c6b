"""Two merchants with everything, and the ids of each in every place where the other may write."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.support.api_world import World
from tests.support.tenants import furnished, state_of

_ACK = {"delivery_id": "del_00000000000000000000000000", "fence": 1, "status": 200}
# Of routes that look at their body before they look for the thing in their path.
_BODIES: Mapping[tuple[str, str], Any] = {
    ("patch", "/endpoints/{endpoint_id}"): {"label": "mine now"},
    ("patch", "/users/{user_id}"): {"role": "viewer"},
    ("post", "/listen/{endpoint_id}/acks"): _ACK,
    ("patch", "/connectors/{connector_id}"): {"events": []},
    ("post", "/connectors/{connector_id}/rotate-secret"): {"secret": "mine now"},
    ("post", "/connectors/{connector_id}/reprocess"): {"states": ["quarantined"]},
}
# What is the same for everybody, and may be read with any key.
_SHARED = {("get", "event-types"), ("get", "providers"), ("get", "sandbox")}
_EVENT = {"type": "payment_succeeded", "data": {}}


async def _routes(api: World) -> list[tuple[str, str]]:
    document = (await api.call("GET", "/openapi.json")).json
    return [
        (method, path)
        for path, methods in document["paths"].items()
        for method in methods
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def _body(method: str, path: str) -> Any:  # noqa: ANN401 - JSON is anything
    if path.endswith(("/events", "/events/batch")) and method == "post":
        return _EVENT
    return _BODIES.get((method, path.removeprefix("/v1/merchants/{m}")))


@pytest.mark.shows("S26")
async def test_the_ids_of_one_merchant_open_nothing_for_the_key_of_another(api: World) -> None:
    """Swapped in every route, in either half of the path: it reads as if there were nothing."""
    mine, other = await furnished(api), await furnished(api)
    before = await state_of(api, other)
    asked = 0
    for method, path in await _routes(api):
        if "{m}" not in path:
            continue
        names = re.findall(r"\{(\w+)\}", path)
        swapped = [{**mine.ids, "m": other.ids["m"]}, dict(other.ids)]
        # Of the merchant alone there is nothing more to swap in.
        swapped += [{**mine.ids, name: other.ids[name]} for name in names if name != "m"]
        for given in swapped:
            target = path.format_map(given)
            answer = await api.call(method.upper(), target, _body(method, path), key=mine.key)
            operator_only = method == "patch" and path == "/v1/merchants/{m}"
            assert answer.status == (403 if operator_only else 404), (method, target, answer.body)
            asked += 1
    assert asked > 80
    assert await state_of(api, other) == before
    assert api.bugs == []


@pytest.mark.shows("S26", "S24")
async def test_no_merchants_key_opens_what_belongs_to_the_operator(api: World) -> None:
    """With every permission that a merchant can have."""
    mine = await furnished(api)
    refused = set()
    for method, path in await _routes(api):
        if path.startswith("/v1/") and "{m}" not in path:
            target = path.format_map({"family": "shop", "name": "a.b"})
            answer = await api.call(method.upper(), target, {}, key=mine.key)
            if answer.status == 403:
                refused.add((method, path))
            else:
                assert (method, path.split("/")[2]) in _SHARED, answer.body
    assert refused == {
        ("post", "/v1/merchants"),
        ("get", "/v1/merchants"),
        ("post", "/v1/event-types"),
        ("patch", "/v1/event-types/{family}/{name}"),
    }


@pytest.mark.shows("S26")
async def test_ids_of_another_merchant_in_bodies_and_queries_find_nothing(api: World) -> None:
    """The path is not the only place for an id."""
    mine, other = await furnished(api), await furnished(api)
    at = f"/v1/merchants/{mine.ids['m']}"
    source = (await api.call("GET", f"/v1/merchants/{other.ids['m']}/keys")).json["data"][0]
    assert source["signing"]
    signature = {"signature": {"type": "source_key", "key_id": source["id"]}}
    made = await api.call("PATCH", f"{at}/endpoints/{mine.ids['endpoint_id']}", signature)
    assert (made.status, made.json["errors"][0]["code"]) == (422, "unknown_key")
    filter_ = {"include": ["failed"], "filter": {"endpoint_id": other.ids["endpoint_id"]}}
    assert (await api.call("POST", f"{at}/replays", filter_)).status == 404
    listed = await api.call("GET", f"{at}/deliveries?endpoint_id={other.ids['endpoint_id']}")
    assert (listed.status, listed.json["data"]) == (200, [])
    # A listener's word about a delivery that is not its own: the endpoint is, so the id decides.
    acks = f"{at}/listen/{mine.ids['endpoint_id']}/acks"
    acknowledged = await api.call("POST", acks, {**_ACK, "delivery_id": other.ids["delivery_id"]})
    assert acknowledged.status in {404, 409}


@pytest.mark.shows("S26")
async def test_a_cursor_of_another_merchants_list_is_none(api: World) -> None:
    """It holds an id; taken as it is, it would tell whether that exists by what follows it."""
    mine, other = await furnished(api), await furnished(api)
    theirs = await api.call("GET", f"/v1/merchants/{other.ids['m']}/events?limit=1")
    cursor = theirs.json["next"]
    assert cursor
    at = f"/v1/merchants/{mine.ids['m']}/events?limit=1&after={cursor}"
    answer = await api.call("GET", at, key=mine.key)
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "invalid_cursor")

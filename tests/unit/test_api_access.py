"""Who gets in: keys, scopes, tenants; and that no route forgot to ask."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from tests.support.api_world import OPERATOR_KEY, World

from payhooks.api.auth import FAILURES_FREE, demand_declared

ALL = (
    "events:write", "events:read", "endpoints:read", "endpoints:write", "secrets:read",
    "deliveries:read", "deliveries:write", "connectors:read", "connectors:write", "keys:read",
    "keys:write", "audit:read", "merchant:read", "merchant:write", "team:read", "team:write",
)  # fmt: skip


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


@pytest.mark.shows("C1", "C2", "S14")
async def test_every_invalid_credential_gets_the_same_401(world: World) -> None:
    """C1, C2: an attacker learns nothing about which part of a guess was wrong."""
    merchant = await world.merchant()
    revoked = await world.key(merchant, "events:read")
    listed = await world.call("GET", f"/v1/merchants/{merchant}/keys")
    await world.call("DELETE", f"/v1/merchants/{merchant}/keys/{listed.json['data'][0]['id']}")
    soon = (world.clock.now() + timedelta(seconds=5)).isoformat()
    expired = await world.key(merchant, "events:read", "events:write", expires_at=soon)
    world.clock.advance(timedelta(seconds=5))
    good = await world.key(merchant, "events:read")
    wrong = [
        None,
        "",
        "x",
        revoked,
        expired,
        good[:-1],
        good.swapcase(),
        f"{good} ",
        OPERATOR_KEY[:-1],
    ]
    answers = [
        await world.call(method, f"/v1/merchants/{merchant}/events", body, key=key)
        for key in wrong
        for method, body in (("GET", None), ("POST", {"type": "a", "data": {}}))
    ]
    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer realm="payhooks"'}
    documents = [{**answer.json, "request_id": ""} for answer in answers]
    assert all(document == documents[0] for document in documents)
    assert (await world.call("GET", f"/v1/merchants/{merchant}/events", key=good)).status == 200


@pytest.mark.shows("S14")
async def test_a_key_in_the_query_is_no_key(world: World) -> None:
    """C1: URLs end up in logs, so a key there must never work."""
    merchant = await world.merchant()
    key = await world.key(merchant, "events:read")
    answer = await world.call("GET", f"/v1/merchants/{merchant}/events?key={key}", key=None)
    assert answer.status == 401


@pytest.mark.shows("S14")
async def test_a_key_without_the_permission_is_told_so(world: World) -> None:
    """C3: the caller is known, so it may learn what it lacks."""
    merchant = await world.merchant()
    reader = await world.key(merchant, "events:read")
    published = await world.call(
        "POST", f"/v1/merchants/{merchant}/events", {"type": "a", "data": {}}, key=reader
    )
    made = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/keys",
        {"label": "k", "scopes": ["events:read"]},
        key=reader,
    )
    assert (published.status, made.status) == (403, 403)


@pytest.mark.shows("S14")
async def test_a_feed_is_read_by_who_may_read_events(world: World) -> None:
    """It has their payloads, which a key that sees what became of deliveries need not know."""
    merchant = await world.merchant()
    feed = f"/v1/merchants/{merchant}/endpoints/{(await world.endpoint(merchant))['id']}/feed"
    kinds = [("deliveries:read",), ("events:read",), ("deliveries:read", "events:read")]
    keys = [await world.key(merchant, *scopes) for scopes in kinds]
    assert [(await world.call("GET", feed, key=key)).status for key in keys] == [403, 403, 200]


@pytest.mark.shows("S14")
async def test_a_key_that_may_publish_removes_no_payload(world: World) -> None:
    """It cannot be undone: of people only owners may, and a shop's key is no owner."""
    merchant = await world.merchant()
    said = {"amount": 5}
    target = (
        f"/v1/merchants/{merchant}/events/{(await world.publish(merchant, data=said)).json['id']}"
    )
    shop = await world.key(merchant, *(set(ALL) - {"merchant:write"}))

    refused = await world.call("POST", f"{target}/expunge", key=shop)

    assert (refused.status, refused.json["type"]) == (403, "/problems/forbidden")
    assert (await world.call("GET", target)).json["data"] == said
    owner = await world.key(merchant, "merchant:write")
    assert (await world.call("POST", f"{target}/expunge", key=owner)).json["expunged"] is True


@pytest.mark.shows("S26")
async def test_another_merchants_things_read_as_if_they_never_were(world: World) -> None:
    """C8: which ids exist is nobody else's business."""
    mine, other = await world.merchant(), await world.merchant(reference="other")
    key = await world.key(mine, *ALL)
    endpoint = await world.endpoint(other)
    event = (await world.publish(other)).json["id"]
    never = "mer_00000000000000000000000000"
    targets = [
        f"/v1/merchants/{who}{rest}"
        for who in (other, "other", never, "nobody")
        for rest in ("", "/events", "/endpoints")
    ]
    targets += [
        f"/v1/merchants/{mine}/endpoints/{endpoint['id']}",
        f"/v1/merchants/{mine}/events/{event}",
        f"/v1/merchants/{mine}/events/' OR 1=1",
        f"/v1/merchants/{mine}/deliveries/0",
        f"/v1/merchants/{mine}/deliveries/del_{event[4:]}",
    ]
    for target in targets:
        answer = await world.call("GET", target, key=key)
        assert (answer.status, answer.json["type"]) == (404, "/problems/not-found"), target
    published = await world.call(
        "POST", "/v1/merchants/other/events", {"type": "a", "data": {}}, key=key
    )
    assert published.status == 404


@pytest.mark.shows("S14")
async def test_a_key_cannot_make_a_key_that_may_more(world: World) -> None:
    """Else keys:write would be every permission."""
    merchant = await world.merchant()
    key = await world.key(merchant, "keys:write")
    answer = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/keys",
        {"label": "k", "scopes": ["events:write"]},
        key=key,
    )
    operator = await world.call(
        "POST", f"/v1/merchants/{merchant}/keys", {"label": "k", "scopes": ["operator"]}
    )
    assert (answer.status, operator.status) == (403, 422)


@pytest.mark.shows("S27")
async def test_a_revoked_key_publishes_nothing_from_the_next_request_on(world: World) -> None:
    """The hot path asks a cached table; the cache must not outlive a revocation."""
    merchant = await world.merchant()
    key = await world.key(merchant, "events:write")
    target, said = f"/v1/merchants/{merchant}/events", {"type": "a", "data": {}}
    assert (await world.call("POST", target, said, key=key)).status == 202
    [made] = (await world.call("GET", f"/v1/merchants/{merchant}/keys")).json["data"]
    await world.call("DELETE", f"/v1/merchants/{merchant}/keys/{made['id']}")
    assert (await world.call("POST", target, said, key=key)).status == 401


@pytest.mark.shows("S33")
async def test_an_address_with_many_invalid_keys_is_told_to_wait_but_a_good_key_passes(
    world: World,
) -> None:
    """C16: guessing is slowed down, a neighbour behind the same address is not shut out."""
    merchant = await world.merchant()
    key = await world.key(merchant, "events:read")
    target = f"/v1/merchants/{merchant}/events"
    statuses = [
        (await world.call("GET", target, key="guess")).status for _ in range(FAILURES_FREE + 1)
    ]
    assert statuses == [401] * FAILURES_FREE + [429]
    waiting = await world.call("GET", target, key="guess")
    assert int(waiting.headers["retry-after"]) >= 1
    assert "ratelimit" in waiting.headers
    assert (await world.call("GET", target, key=key)).status == 200
    assert (await world.call("GET", target, key="guess", client="192.0.2.2")).status == 401


@pytest.mark.shows("S24")
async def test_an_app_with_a_route_that_declares_no_access_does_not_start() -> None:
    """S24: open by omission is the commonest hole there is."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/v1/open")
    async def open_() -> None: ...

    with pytest.raises(AssertionError, match="must declare its access"):
        demand_declared(app)


@pytest.mark.shows("S36")
async def test_a_refused_change_leaves_no_audit_entry(world: World) -> None:
    """The log says what happened; what did not happen is not in it."""
    merchant = await world.merchant()
    before = await world.audit_actions(merchant)
    answer = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/endpoints",
        {"label": "x", "url": "http://127.0.0.1/", "events": ["*"]},
    )
    assert answer.status == 422
    assert await world.audit_actions(merchant) == before

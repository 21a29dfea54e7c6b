"""S36: every route that changes something leaves exactly one audit entry, and none is forgotten."""

from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from tests.support.api_world import World, finish
from tests.support.owlpay_sender import OTHER_SECRET, SECRET, message, signed

from payhooks.model.delivery import Trigger

# Publishing changes no setting: the event is its own record.
# What a listener acknowledges is an attempt, which is kept with its delivery.
_THEIR_OWN_RECORD = {
    ("POST", "/v1/merchants/{m}/events"),
    ("POST", "/v1/merchants/{m}/events/batch"),
    ("POST", "/v1/merchants/{m}/listen/{endpoint_id}/acks"),
}
# Not theirs to change anything, but what they show is worth a line.
_REVEALING = {
    ("GET", "/v1/merchants/{m}/endpoints/{endpoint_id}/secret"),
    ("GET", "/v1/merchants/{m}/signature-key"),
}

Prepare = Callable[[World, dict[str, str]], Awaitable[None]]


async def _nothing(world: World, ids: dict[str, str]) -> None:
    """Take the world as it is."""


async def _failed(world: World, ids: dict[str, str]) -> None:
    await finish(world, Trigger.GIVE_UP)


async def _moved(world: World, ids: dict[str, str], move: str) -> None:
    at = f"/v1/merchants/{ids['m']}/endpoints/{ids['endpoint_id']}/{move}"
    assert (await world.call("POST", at)).status == 200


async def _paused(world: World, ids: dict[str, str]) -> None:
    await _moved(world, ids, "pause")


async def _disabled(world: World, ids: dict[str, str]) -> None:
    await _moved(world, ids, "disable")


async def _replaying(world: World, ids: dict[str, str]) -> None:
    made = await world.call("POST", f"/v1/merchants/{ids['m']}/replays", {"include": ["failed"]})
    assert made.status == 202, made.body
    ids["replay_id"] = made.json["id"]


async def _playing(world: World, ids: dict[str, str]) -> None:
    made = await world.call("POST", f"/v1/merchants/{ids['m']}/sandbox/runs", _PLAY)
    assert made.status == 202, made.body
    ids["run_id"] = made.json["id"]


async def _listening(world: World, ids: dict[str, str]) -> None:
    made = await world.call("POST", f"/v1/merchants/{ids['m']}/sandbox/inboxes")
    assert made.status == 201, made.body
    ids["inbox_id"] = made.json["id"]


async def _typed(world: World, ids: dict[str, str]) -> None:
    made = await world.call("POST", "/v1/event-types", _TYPE)
    assert made.status == 201, made.body
    ids |= {"family": "shop", "name": "basket.left"}


async def _invited(world: World, ids: dict[str, str]) -> None:
    said = {"email": "r@x.example", "role": "viewer"}
    made = await world.call("POST", f"/v1/merchants/{ids['m']}/invitations", said)
    assert made.status == 201, made.body
    ids["invitation_id"] = made.json["id"]


async def _joined(world: World, ids: dict[str, str]) -> None:
    said = {**_USER, "role": "viewer"}
    made = await world.call("POST", f"/v1/merchants/{ids['m']}/users", said)
    assert made.status == 201, made.body
    ids["user_id"] = made.json["id"]


async def _connected(world: World, ids: dict[str, str]) -> None:
    made = await world.call("POST", f"/v1/merchants/{ids['m']}/connectors", _CONNECTOR)
    assert made.status == 201, made.body
    ids["connector_id"] = made.json["id"]


async def _deaf(world: World, ids: dict[str, str]) -> None:
    await _connected(world, ids)
    at = f"/v1/merchants/{ids['m']}/connectors/{ids['connector_id']}/disable"
    assert (await world.call("POST", at)).status == 200


async def _heard(world: World, ids: dict[str, str]) -> None:
    await _connected(world, ids)
    body = message("payment_intent.succeeded", {"uuid": "pi_1"})
    headers = signed(body, world.clock.now(), OTHER_SECRET)
    target = f"/webhooks/{ids['m']}/owlpay"
    assert (await world.call("POST", target, raw=body, key=None, headers=headers)).status == 401
    [receipt] = (await world.call("GET", f"/v1/merchants/{ids['m']}/receipts")).json["data"]
    ids["receipt_id"] = receipt["id"]
    said = {"secret": OTHER_SECRET}
    at = f"/v1/merchants/{ids['m']}/connectors/owlpay/rotate-secret"
    assert (await world.call("POST", at, said)).status == 200


_CONNECTOR = {"name": "owlpay", "dialect": "owlpay", "secrets": [SECRET]}
_TYPE = {"family": "shop", "name": "basket.left", "words": "Somebody left."}
_HOOK = {"label": "Hook", "url": "https://example.com/hook", "events": ["*"]}
_KEY = {"label": "k", "scopes": ["events:read"]}
_USER = {"username": "ines", "email": "i@x.example", "password": "six green bicycles"}
_PLAY = {"scenario": "refund"}
_M = "/v1/merchants/{m}"
_E = _M + "/endpoints/{endpoint_id}"
_C = _M + "/connectors/{connector_id}"

_CALLS: list[tuple[str, str, object, Prepare]] = [
    ("POST", "/v1/merchants", {"name": "Other", "mode": "live"}, _nothing),
    ("PATCH", _M, {"name": "New name"}, _nothing),
    ("POST", "/v1/event-types", _TYPE, _nothing),
    ("PATCH", "/v1/event-types/{family}/{name}", {"words": "Gone."}, _typed),
    ("POST", _M + "/endpoints", _HOOK, _nothing),
    ("PATCH", _E, {"label": "New"}, _nothing),
    ("DELETE", _E, None, _nothing),
    ("POST", _E + "/pause", None, _nothing),
    ("POST", _E + "/resume", None, _paused),
    ("POST", _E + "/disable", None, _nothing),
    ("POST", _E + "/enable", None, _disabled),
    ("POST", _E + "/test", None, _nothing),
    ("POST", _E + "/rotate-secret", {"grace_s": 60}, _nothing),
    ("GET", _E + "/secret", None, _nothing),
    ("POST", _M + "/connectors", _CONNECTOR, _nothing),
    ("PATCH", _C, {"events": ["payment_intent.*"]}, _connected),
    ("DELETE", _C, None, _connected),
    ("POST", _C + "/rotate-secret", {"secret": OTHER_SECRET, "grace_s": 60}, _connected),
    ("POST", _C + "/disable", None, _connected),
    ("POST", _C + "/enable", None, _deaf),
    ("POST", _C + "/reprocess", {"states": ["quarantined"]}, _heard),
    ("POST", _M + "/receipts/{receipt_id}/reprocess", None, _heard),
    ("POST", _M + "/keys", _KEY, _nothing),
    ("DELETE", _M + "/keys/{key_id}", None, _nothing),
    ("POST", _M + "/users", {**_USER, "role": "viewer"}, _nothing),
    ("PATCH", _M + "/users/{user_id}", {"role": "support"}, _joined),
    ("DELETE", _M + "/users/{user_id}", None, _joined),
    ("POST", _M + "/invitations", {"email": "r@x.example", "role": "owner"}, _nothing),
    ("DELETE", _M + "/invitations/{invitation_id}", None, _invited),
    ("GET", _M + "/signature-key", None, _nothing),
    ("POST", _M + "/signature-key/rotate", None, _nothing),
    ("POST", _M + "/deliveries/{delivery_id}/cancel", None, _nothing),
    ("POST", _M + "/deliveries/{delivery_id}/retry", None, _failed),
    ("POST", _M + "/events/{event_id}/expunge", None, _nothing),
    ("POST", _M + "/replays", {"include": ["failed"]}, _failed),
    ("POST", _M + "/replays/{replay_id}/cancel", None, _replaying),
    ("POST", _M + "/sandbox/runs", _PLAY, _nothing),
    ("POST", _M + "/sandbox/runs/{run_id}/stop", None, _playing),
    ("POST", _M + "/sandbox/inboxes", None, _nothing),
    ("DELETE", _M + "/sandbox/inboxes/{inbox_id}", None, _listening),
]


@pytest.mark.shows("S36")
async def test_no_route_that_changes_something_is_missing_here() -> None:
    """A new route must say what it leaves behind before it goes out."""
    document = (await World().call("GET", "/openapi.json", key=None)).json
    mutating = {
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        if method in {"post", "put", "patch", "delete"}
    }
    assert {(method, path) for method, path, _, _ in _CALLS} == (
        mutating - _THEIR_OWN_RECORD
    ) | _REVEALING


@pytest.mark.shows("S36")
@pytest.mark.parametrize(
    ("method", "path", "body", "prepare"), [pytest.param(*c, id=f"{c[0]} {c[1]}") for c in _CALLS]
)
async def test_a_change_leaves_exactly_one_audit_entry(
    method: str, path: str, body: object, prepare: Prepare
) -> None:
    """Who changed what must be known for every change, once; also what follows from it."""
    world = World()
    ids = await _installation(world)
    await prepare(world, ids)
    before = await _entries(world)
    answer = await world.call(method, path.format_map(ids), body)
    assert answer.status < 300, answer.body
    left = await _entries(world) - before
    assert left.total() == 1, left


async def _installation(world: World) -> dict[str, str]:
    merchant = await world.merchant()
    await world.key(merchant, "events:read")
    endpoint = await world.endpoint(merchant)
    event = (await world.publish(merchant)).json
    at = f"/v1/merchants/{merchant}"
    [delivery] = (await world.call("GET", f"{at}/deliveries")).json["data"]
    [key] = (await world.call("GET", f"{at}/keys")).json["data"]
    return {
        "m": merchant,
        "endpoint_id": endpoint["id"],
        "event_id": event["id"],
        "delivery_id": delivery["id"],
        "key_id": key["id"],
    }


async def _entries(world: World) -> Counter[str]:
    """Return the actions of every chain, the installation's too."""
    found: Counter[str] = Counter()
    for merchant in await world.store.audit_chains():
        entries = await world.store.audit(merchant, after=0, limit=99)
        found.update(each.entry.action for each in entries)
    return found

"""Two merchants with everything, and the ids of each in every place where the other may write."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.api_world import OWNER, World, finish

from payhooks import ids
from payhooks.control.context import SYSTEM, audit_entry
from payhooks.control.keys import GRANTABLE
from payhooks.ids import (
    DeliveryId,
    EndpointId,
    EventId,
    InboxId,
    MerchantId,
    ReplayId,
    RunId,
    UserId,
)
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import Trigger
from payhooks.ports.controlling import Cancelled, Window
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.ports.store import Store
from payhooks.ports.tallying import HOUR_S

_ALL = Window(limit=100)
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_LATER = datetime(2100, 1, 1, tzinfo=UTC)
_SCOPES = sorted(str(scope) for scope in GRANTABLE)
_ACK = {"delivery_id": "del_00000000000000000000000000", "fence": 1, "status": 200}
# Of routes that look at their body before they look for the thing in their path.
_BODIES: Mapping[tuple[str, str], Any] = {
    ("patch", "/endpoints/{endpoint_id}"): {"label": "mine now"},
    ("patch", "/users/{user_id}"): {"role": "viewer"},
    ("post", "/listen/{endpoint_id}/acks"): _ACK,
}
# What is the same for everybody, and may be read with any key.
_SHARED = {("get", "event-types"), ("get", "sandbox")}
_EVENT = {"type": "payment_succeeded", "data": {}}


@dataclass(frozen=True)
class _Tenant:
    """What a merchant has, by the name that paths give it, and a key with every permission."""

    ids: Mapping[str, str]
    key: str

    @property
    def merchant_id(self) -> MerchantId:
        return MerchantId(self.raw("m"))

    def raw(self, name: str) -> bytes:
        text = self.ids[name]
        found = ids.from_text(text.partition("_")[0], text)
        assert found is not None
        return found


async def _tenant(api: World) -> _Tenant:
    merchant = await api.merchant()
    at = f"/v1/merchants/{merchant}"
    key = await api.key(merchant, *_SCOPES)
    [listed] = (await api.call("GET", f"{at}/keys")).json["data"]
    await api.key(merchant, "events:read", signing=True)
    endpoint = await api.endpoint(merchant)
    await api.publish(merchant)
    await finish(api, Trigger.GIVE_UP)
    user = await _user(api, at)
    said = {"email": "new@shop.example", "role": "viewer"}
    invited = await api.call("POST", f"{at}/invitations", said)
    about = {"type": f"payment-of-{merchant}", "id": f"object-of-{merchant}"}
    event = (await api.publish(merchant, object=about)).json["id"]
    replay = await api.call("POST", f"{at}/replays", {"include": ["failed"]})
    run = await api.call("POST", f"{at}/sandbox/runs", {"scenario": "refund"})
    inbox = await api.call("POST", f"{at}/sandbox/inboxes")
    await api.call("POST", f"/in/{inbox.json['url'].rpartition('/')[2]}", _EVENT, key=None)
    requests = await api.call("GET", f"{at}/sandbox/inboxes/{inbox.json['id']}/requests")
    [delivery] = (await api.call("GET", f"{at}/events/{event}/deliveries")).json["data"]
    return _Tenant(
        ids={
            "m": merchant,
            "key_id": listed["id"],
            "endpoint_id": endpoint["id"],
            "event_id": event,
            "delivery_id": delivery["id"],
            "replay_id": replay.json["id"],
            "run_id": run.json["id"],
            "inbox_id": inbox.json["id"],
            "heard_id": requests.json["data"][0]["id"],
            "invitation_id": invited.json["id"],
            "user_id": user,
            "object_type": about["type"],
            "object_id": about["id"],
        },
        key=key,
    )


async def _user(api: World, at: str) -> str:
    """Return somebody in the team; names are the whole installation's, so each has another."""
    name = f"user{at[-6:]}"
    said = {
        "username": name,
        "email": f"{name}@x.example",
        "password": "six green bicycles",
        "role": "owner",
    }
    made = await api.call("POST", f"{at}/users", said)
    assert made.status == 201, made.body
    user: str = made.json["id"]
    return user


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


async def _state(api: World, tenant: _Tenant) -> list[bytes]:
    """Return all that can be read of a merchant, as its operator sees it."""
    at = f"/v1/merchants/{tenant.ids['m']}"
    places = ["", "/events", "/endpoints", "/deliveries", "/keys", "/replays", "/audit-log"]
    places += ["/users", "/invitations", "/sandbox/runs", "/sandbox/inboxes"]
    return [(await api.call("GET", f"{at}{place}")).body for place in places]


@pytest.mark.shows("S26")
async def test_the_ids_of_one_merchant_open_nothing_for_the_key_of_another(api: World) -> None:
    """Swapped in every route, in either half of the path: it reads as if there were nothing."""
    mine, other = await _tenant(api), await _tenant(api)
    before = await _state(api, other)
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
    assert await _state(api, other) == before
    assert api.bugs == []


@pytest.mark.shows("S26", "S24")
async def test_no_merchants_key_opens_what_belongs_to_the_operator(api: World) -> None:
    """With every permission that a merchant can have."""
    mine = await _tenant(api)
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
    mine, other = await _tenant(api), await _tenant(api)
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
    mine, other = await _tenant(api), await _tenant(api)
    theirs = await api.call("GET", f"/v1/merchants/{other.ids['m']}/events?limit=1")
    cursor = theirs.json["next"]
    assert cursor
    at = f"/v1/merchants/{mine.ids['m']}/events?limit=1&after={cursor}"
    answer = await api.call("GET", at, key=mine.key)
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "invalid_cursor")


_Ask = Callable[[World, _Tenant, _Tenant], Any]


def _entry(api: World, tenant: _Tenant) -> AuditEntry:
    return audit_entry(api.control, SYSTEM, merchant_id=tenant.merchant_id, action="x", target="x")


# Each method of the store that takes a merchant, asked with this one's id and the other's things,
# and what it says where there is nothing.
_METHODS: Mapping[str, tuple[_Ask, object]] = {
    "endpoint": (
        lambda a, m, o: a.store.endpoint(m.merchant_id, EndpointId(o.raw("endpoint_id"))),
        None,
    ),
    "secrets": (lambda a, m, o: a.store.secrets(m.merchant_id, o.raw("endpoint_id")), []),
    "event": (lambda a, m, o: a.store.event(m.merchant_id, EventId(o.raw("event_id"))), None),
    "deliveries": (
        lambda a, m, o: a.store.deliveries(
            m.merchant_id, DeliveryFilter(endpoint_id=EndpointId(o.raw("endpoint_id"))), _ALL
        ),
        [],
    ),
    "count_deliveries": (
        lambda a, m, o: a.store.count_deliveries(
            m.merchant_id,
            DeliveryFilter(endpoint_id=EndpointId(o.raw("endpoint_id"))),
            at_most=10,
        ),
        0,
    ),
    "deliveries_of": (
        lambda a, m, o: a.store.deliveries_of(m.merchant_id, EventId(o.raw("event_id")), _ALL),
        [],
    ),
    "delivery": (
        lambda a, m, o: a.store.delivery(m.merchant_id, DeliveryId(o.raw("delivery_id"))),
        None,
    ),
    "delivery_with_attempts": (
        lambda a, m, o: a.store.delivery_with_attempts(
            m.merchant_id, DeliveryId(o.raw("delivery_id"))
        ),
        None,
    ),
    "last_statuses": (
        lambda a, m, o: a.store.last_statuses(m.merchant_id, [DeliveryId(o.raw("delivery_id"))]),
        {},
    ),
    "feed": (
        lambda a, m, o: a.store.feed(
            m.merchant_id, EndpointId(o.raw("endpoint_id")), after=0, limit=10
        ),
        [],
    ),
    "endpoint_tallies": (
        lambda a, m, o: a.store.endpoint_tallies(
            m.merchant_id, [EndpointId(o.raw("endpoint_id"))], since=_LONG_AGO
        ),
        [],
    ),
    "replay": (lambda a, m, o: a.store.replay(m.merchant_id, ReplayId(o.raw("replay_id"))), None),
    "run": (lambda a, m, o: a.store.run(m.merchant_id, RunId(o.raw("run_id"))), None),
    "inbox": (lambda a, m, o: a.store.inbox(m.merchant_id, InboxId(o.raw("inbox_id"))), None),
    "heard": (
        lambda a, m, o: a.store.heard(m.merchant_id, InboxId(o.raw("inbox_id")), _ALL),
        [],
    ),
    "member": (lambda a, m, o: a.store.member(m.merchant_id, UserId(o.raw("user_id"))), None),
    "expunge": (
        lambda a, m, o: a.store.expunge(m.merchant_id, o.raw("event_id"), _entry(a, m)),
        False,
    ),
    "cancel": (
        lambda a, m, o: a.store.cancel(
            m.merchant_id, DeliveryId(o.raw("delivery_id")), _entry(a, m)
        ),
        Cancelled.UNKNOWN,
    ),
}
# Lists of everything that a merchant has: no other id is asked for, so the ids of what comes back
# are looked at.
_LISTS: Mapping[str, Callable[[World, _Tenant], Any]] = {
    "events": lambda a, m: a.store.events(m.merchant_id, EventFilter(), _ALL),
    "endpoints": lambda a, m: a.store.endpoints(m.merchant_id, _ALL),
    "keys": lambda a, m: a.store.keys(m.merchant_id, _ALL),
    "replays": lambda a, m: a.store.replays(m.merchant_id, _ALL),
    "runs": lambda a, m: a.store.runs(m.merchant_id, _ALL),
    "inboxes": lambda a, m: a.store.inboxes(m.merchant_id, _ALL),
    "members": lambda a, m: a.store.members(m.merchant_id, _ALL),
    "invitations": lambda a, m: a.store.invitations(m.merchant_id, _ALL),
    "subscriptions": lambda a, m: a.store.subscriptions(m.merchant_id),
    "event_facts": lambda a, m: a.store.event_facts(
        m.merchant_id, after=None, before=EventId(b"\xff" * 16), limit=100
    ),
    "subjects": lambda a, m: a.store.subjects(m.merchant_id, after=EventId(bytes(16)), limit=100),
    "audit": lambda a, m: a.store.audit(m.merchant_id, after=0, limit=100),
    "audit_head": lambda a, m: a.store.audit_head(m.merchant_id),
    "audit_latest": lambda a, m: a.store.audit_latest(m.merchant_id, before=None, limit=100),
    "merchant_tallies": lambda a, m: a.store.merchant_tallies(
        m.merchant_id, step_s=HOUR_S, since=_LONG_AGO, until=_LATER
    ),
    "endpoint_totals": lambda a, m: a.store.endpoint_totals(
        m.merchant_id, since=_LONG_AGO, limit=100
    ),
}
# What publishers name, and no ids of ours.
_WORDS = {"object_type", "object_id"}
# Take the next number of a counter, or note which merchant a session looks at, and tell nothing:
# what a session may see is read from its user's memberships.
_TELLS_NOTHING = {"next_number", "look_at"}


@pytest.mark.shows("S26")
async def test_every_method_of_the_store_looks_at_whose_it_is(api: World) -> None:
    """The routes ask for the merchant's own things only; the rows must insist on it too."""
    mine, other = await _tenant(api), await _tenant(api)
    before = await _state(api, other)
    for name, (ask, nothing) in _METHODS.items():
        # That delivery waits for its first attempt.
        assert await ask(api, other, other) != nothing or name == "last_statuses", name
        if name in {"expunge", "cancel"}:
            before = await _state(api, other)  # their own word counts
        assert await ask(api, mine, other) == nothing, name
    for name, list_ in _LISTS.items():
        found = await list_(api, mine)
        assert found, name
        text = repr(found)
        for theirs in other.ids.keys() - {"delivery_id", "invitation_id", *_WORDS}:
            assert repr(other.raw(theirs))[2:-1] not in text, (name, theirs)
            assert other.ids[theirs] not in text, (name, theirs)
    assert await _state(api, other) == before


@pytest.mark.shows("S26")
def test_no_method_of_the_store_that_takes_a_merchant_is_missing_here() -> None:
    """A new one must be asked the same question before it goes out."""
    taking = {
        name
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if "merchant_id" in inspect.signature(method).parameters
    }
    assert taking == {*_METHODS, *_LISTS, *_TELLS_NOTHING}


@pytest.mark.shows("S26")
async def test_an_outcome_is_not_written_under_another_merchants_name(api: World) -> None:
    """A lease's own ids decide; one delivery's answer must not become another merchant's news."""
    mine, other = await _tenant(api), await _tenant(api)
    lease = await api.store.lease(owner=OWNER, lanes_max=50, per_lane_max=50, skip=())
    assert {leased.merchant_id for leased in lease.leased} <= {
        mine.merchant_id,
        other.merchant_id,
    }
    for leased in lease.leased:
        endpoint = await api.store.endpoint(leased.merchant_id, leased.endpoint_id)
        assert endpoint is not None
        assert leased.event.merchant_id == leased.merchant_id == endpoint.merchant_id

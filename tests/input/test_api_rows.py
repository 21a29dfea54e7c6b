"""Group C: requests that are good HTTP and good JSON, and still must not be done."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.bad_input import CANARY, GOOD, Ground, case, read
from tests.support.server import EVENT_TYPE, OPERATOR_KEY, Tenant

from payhooks.api.auth import FAILURES_FREE
from payhooks.limits import BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX

_ENDPOINT: Final = "<m>/endpoints/<endpoint>"
_BATCH: Final = "<m>/events/batch"
_NOBODY: Final = "ep_" + "0" * 26


@dataclass(frozen=True)
class World:
    """What the cases are about."""

    ground: Ground
    endpoint: str  # paused, selects nothing that is published here
    strangers_endpoint: str
    stranger: Tenant
    reader: str  # a key that may read events and nothing else
    event: str

    def at(self, target: str) -> str:
        """Return the path, with ids for the names in it."""
        named = {
            "<m>": self.ground.path,
            "<endpoint>": self.endpoint,
            "<theirs>": self.strangers_endpoint,
            "<event>": self.event,
        }
        for name, value in named.items():
            target = target.replace(name, value)
        return target


@pytest.fixture(scope="module")
def world(served_ground: Ground) -> World:
    """Furnish the process once."""
    stranger = Tenant(served_ground.api, "Stranger")
    reader = served_ground.api.post(
        f"{served_ground.path}/keys", {"label": "reader", "scopes": ["events:read"]}
    )
    published = served_ground.api.post(
        f"{served_ground.path}/events", {"type": EVENT_TYPE, "data": {"a": 1}}, idempotency_key="k1"
    )
    return World(
        ground=served_ground,
        endpoint=_endpoint(served_ground.tenant),
        strangers_endpoint=_endpoint(stranger),
        stranger=stranger,
        reader=reader["key"],
        event=published["id"],
    )


def _endpoint(tenant: Tenant) -> str:
    made = tenant.endpoint("https://example.com/a", events=["nothing.else"])
    tenant.api.post(f"{tenant.path}/endpoints/{made}/pause")
    return made


_KEY: Final = f"Bearer {OPERATOR_KEY}"
# The Authorization headers, in words that the table can name.
_CREDENTIALS: Final = [
    case("C1", "none", [], 401),
    case("C1", "empty", [""], 401),
    case("C1", "nonsense", ["Bearer \xff\xfe"], 401),
    case("C1", "another scheme", [f"Basic {OPERATOR_KEY}"], 401),
    case("C1", "no scheme", [OPERATOR_KEY], 401),
    case("C1", "two", [_KEY, _KEY], 401),
    case("C1", "two, one of them good", ["Bearer x", _KEY], 401),
    case("C1", "a good one in a list", [f"{_KEY}, {_KEY}"], 401),
    case("C1", "10 KB", ["Bearer " + "x" * 10_000], 401),
    case("C2", "truncated", [_KEY[:-1]], 401),
    case("C2", "longer", [_KEY + "x"], 401),
    case("C2", "in capitals", [_KEY.upper()], 401),
    case("C2", "a space before", [_KEY.replace(" ", "  ")], 401),
    case("C2", "a tab between", [_KEY.replace(" ", "\t")], 401),
    case("C2", "shaped like a key", ["Bearer phk_live_" + "a" * 49], 401),
    case("C2", "shaped like the operator's", ["Bearer phk_operator_" + "0" * 49], 401),
]


@pytest.mark.parametrize(("credentials", "status"), _CREDENTIALS)
@pytest.mark.parametrize("target", ["<m>/events", "<m>/events/batch", "<m>/endpoints"])
def test_who_shows_no_good_key_gets_the_one_answer(
    world: World, target: str, credentials: list[str], status: int
) -> None:
    """Told what is wrong with a key, a thief would know what to try next."""
    lines = [f"authorization: {credential}" for credential in credentials]
    reply = world.ground.refuses(
        lambda: world.ground.call("POST", world.at(target), GOOD, *lines, key=None), {status}
    )
    assert reply.json["detail"] == "Send a valid key as Authorization: Bearer <key>."


@pytest.mark.shows("C1")
@pytest.mark.parametrize("name", ["key", "api_key", "access_token", "token"])
def test_a_key_in_the_url_is_no_key_and_in_no_log(world: World, name: str) -> None:
    """URLs are in the logs of everything on the way."""
    for method, body in (("GET", None), ("POST", GOOD)):
        target = f"{world.ground.path}/events?{name}={OPERATOR_KEY}"
        world.ground.refuses(
            partial(world.ground.call, method, target, body, key=None),
            {401},
        )
        # With a good key beside it, so that somebody notices what the URL has.
        world.ground.refuses(
            partial(world.ground.call, method, target, body),
            {422},
        )


@pytest.mark.shows("C2")
def test_a_key_opens_its_own_mode_and_merchant_and_only_until_it_is_revoked(world: World) -> None:
    """Another merchant's things read as if they never were."""
    ground = world.ground
    made = ground.api.post(f"{ground.path}/keys", {"label": "k", "scopes": ["events:write"]})
    target = f"{ground.path}/events"
    assert ground.call("POST", target, GOOD, key=made["key"]).status == 202
    theirs = f"{world.stranger.path}/events"
    ground.refuses(lambda: ground.call("POST", theirs, GOOD, key=made["key"]), {404})
    other_mode = made["key"].replace("_sandbox_", "_live_")
    ground.refuses(lambda: ground.call("POST", target, GOOD, key=other_mode), {401})
    ground.api.call("DELETE", f"{ground.path}/keys/{made['id']}")
    ground.refuses(lambda: ground.call("POST", target, GOOD, key=made["key"]), {401})


@pytest.mark.shows("C3")
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "<m>/events"),
        ("POST", "<m>/events/batch"),
        ("POST", "<m>/endpoints"),
        ("POST", "<m>/replays"),
        ("POST", "<m>/keys"),
        ("PATCH", "<m>/endpoints/<endpoint>"),
        ("DELETE", "<m>/endpoints/<endpoint>"),
        ("GET", "<m>/endpoints/<endpoint>/secret"),
        ("GET", "<m>/audit-log"),
        ("POST", "<m>/events/<event>/expunge"),
        ("POST", "/v1/merchants"),
        ("POST", "/v1/event-types"),
        ("PATCH", "<m>"),
    ],
)
def test_a_key_that_may_read_may_only_read(world: World, method: str, target: str) -> None:
    """A leaked key opens what it was made for."""
    body = None if method in {"GET", "DELETE"} else b'{"name":"x"}'
    world.ground.refuses(
        lambda: world.ground.call(method, world.at(target), body, key=world.reader), {403}
    )


# The header lines, the body, the status.
_KEYS: Final = [
    case("C4", "empty", ["idempotency-key:"], GOOD, {422}),
    case("C4", "empty in quotes", ['idempotency-key: ""'], GOOD, {422}),
    case("C4", "256 characters", ["idempotency-key: " + "k" * 256], GOOD, {422}),
    case("C4", "1 KB", ["idempotency-key: " + "k" * 1_024], GOOD, {422}),
    case("C4", "a tab", ["idempotency-key: a\tb"], GOOD, {422}),
    case("C4", "a control character", ["idempotency-key: a\x01b"], GOOD, {400, 422}),
    case("C4", "beyond ASCII", ["idempotency-key: \xe4"], GOOD, {422}),
    case("C4", "two", ["idempotency-key: a", "idempotency-key: b"], GOOD, {422}),
    case("C4", "used with other content", ["idempotency-key: k1"], GOOD, {409}),
    case("C6", "a message id", [], b'{"type":"a","data":{},"id":"msg.1"}', {422}),
    case("C6", "a webhook id", [], b'{"type":"a","data":{},"webhook_id":"a.b"}', {422}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "body", "allowed"), _KEYS)
def test_a_key_or_id_that_cannot_be_one_is_refused(
    world: World, lines: list[str], body: bytes, allowed: set[int]
) -> None:
    """Cut or cleaned instead, two keys could become one, and an event be taken for another."""
    target = f"{world.ground.path}/events"
    world.ground.refuses(lambda: world.ground.call("POST", target, body, *lines), allowed)


@pytest.mark.shows("C4")
def test_a_key_may_have_just_as_many_characters_as_the_docs_say(world: World) -> None:
    """The good case, twice: the second is the first one's answer."""
    ground, target = world.ground, f"{world.ground.path}/events"
    line = "idempotency-key: " + "~" * 255
    with ground.unharmed(stores=True):
        first, second = (ground.call("POST", target, GOOD, line) for _ in range(2))
    assert (first.status, second.status) == (202, 202)
    assert first.json["id"] == second.json["id"]
    assert second.headers["idempotent-replayed"] == "true"


_LARGE: Final = [
    case("C5", "300 characters", "POST", "<m>/events", {"type": "a" * 300, "data": {}}, {422}),
    case("C9", "5,000 digits", "GET", "<m>/events?limit=" + "9" * 5_000, None, {422}),
    case("C10", "10 KB", "GET", "<m>/events?type=" + "a" * 8_000, None, {422}),
    case("C10", "101 patterns", "PATCH", _ENDPOINT, {"events": ["a"] * 101}, {422}),
    case("C11", "one too many", "POST", _BATCH, {"events": [0] * (BATCH_EVENTS_MAX + 1)}, {413}),
    case("C11", "too large", "POST", _BATCH, {"events": ["x" * BATCH_BODY_BYTES_MAX]}, {413}),
]


def _written() -> Iterator[object]:
    """Yield the cases of the table beside this file."""
    path = Path(__file__).with_name("api_requests.toml")
    for row, cases in tomllib.loads(path.read_text("utf-8")).items():
        for name, said in cases.items():
            method, _, target = said["send"].partition(" ")
            body = json.loads(said["body"]) if "body" in said else None
            yield case(row, name, method, target, body, set(said["allowed"]))


@pytest.mark.parametrize(("method", "target", "body", "allowed"), [*_LARGE, *_written()])
def test_a_request_that_cannot_be_meant_is_refused(
    world: World, method: str, target: str, body: object, allowed: set[int]
) -> None:
    """Nothing is cut, rounded or guessed until it fits."""
    text = None if body is None else world.at(json.dumps(body)).encode()
    world.ground.refuses(lambda: world.ground.call(method, world.at(target), text), allowed)


@pytest.mark.shows("C8")
def test_a_strangers_thing_and_nobodys_thing_read_the_same(world: World) -> None:
    """Else ids could be tried out until one is there."""

    def told(endpoint: str) -> dict[str, Any]:
        reply = world.ground.call("GET", f"{world.ground.path}/endpoints/{endpoint}")
        problem: dict[str, Any] = reply.json
        return {name: problem[name] for name in problem if name not in {"request_id", "instance"}}

    assert told(world.strangers_endpoint) == told(_NOBODY)


@pytest.mark.shows("C9")
def test_a_cursor_fits_only_the_list_that_gave_it(world: World) -> None:
    """Moved to another list it would skip what nobody has seen."""
    ground = world.ground
    target = f"{ground.path}/events?limit=1"
    cursor = ground.api.get(target)["next"]
    assert ground.call("GET", f"{target}&after={cursor}").status == 200
    for other in (
        f"{target}&status=pending&after={cursor}",
        f"{world.stranger.path}/events?limit=1&after={cursor}",
        f"{ground.path}/endpoints?after={cursor}",
        f"{target}&after={cursor[:-4]}AAAA",
        f"{target}&after={cursor.swapcase()}",
    ):
        ground.refuses(partial(ground.call, "GET", other), {422})


@pytest.mark.shows("C11")
def test_a_batch_has_one_result_for_each_event(world: World) -> None:
    """A bad one does not refuse the others, the same key twice is one event."""
    ground = world.ground
    good = {"type": EVENT_TYPE, "data": {"card": CANARY}}
    events: list[object] = [
        good,
        {"type": "a..b", "data": {}},
        {**good, "idempotency_key": "twice"},
        {**good, "idempotency_key": "twice"},
        {**good, "idempotency_key": ""},
        {**good, "data": {"big": "x" * 300_000}},
        None,
        [],
    ]
    body = json.dumps({"events": events}).encode()
    with ground.unharmed(stores=True):
        results = ground.call("POST", f"{ground.path}/events/batch", body).json["data"]
        largest = json.dumps({"events": [good] * BATCH_EVENTS_MAX}).encode()
        assert ground.call("POST", f"{ground.path}/events/batch", largest).status == 202
    statuses = [result["error"]["status"] if "error" in result else 202 for result in results]
    assert statuses == [202, 422, 202, 202, 422, 413, 422, 422]
    assert results[2]["id"] == results[3]["id"]


@pytest.mark.shows("C13")
def test_a_time_that_has_not_come_selects_nothing(world: World) -> None:
    """It is a question, and its answer is an empty list."""
    for name in ("events", "deliveries"):
        target = f"{world.ground.path}/{name}?created[gte]=9999-01-01T00:00:00Z"
        assert world.ground.api.get(target)["data"] == []


@pytest.mark.shows("C14")
@pytest.mark.parametrize(
    "version", ['"999"', "x", '"-1"', '"0"', "", '"1", "2"', '"' + "9" * 50 + '"', 'W/"x"', "\xff"]
)
def test_an_edit_of_what_nobody_has_read_changes_nothing(world: World, version: str) -> None:
    """Two people at one form: the second must see what the first one did."""
    target = f"{world.ground.path}/endpoints/{world.endpoint}"
    for method, body in (("PATCH", b'{"label":"other"}'), ("DELETE", None)):
        world.ground.refuses(
            partial(world.ground.call, method, target, body, f"if-match: {version}"),
            {412, 422},
        )


@pytest.mark.shows("C16")
def test_an_address_that_tries_keys_is_told_to_wait(world: World) -> None:
    """And a good key passes from there all the same: others may be behind it."""
    ground = world.ground
    bad = ground.head("content-length: 0", method="GET", target=f"{ground.path}/events", key="x")
    with ground.unharmed(), ground.connect() as connection:
        statuses = []
        for _ in range(FAILURES_FREE + 5):
            connection.sendall(bad)
            reply = read(connection)
            ground.judge(reply, {401, 429})
            statuses.append(reply.status)
        assert statuses == [401] * FAILURES_FREE + [429] * 5
        assert int(reply.headers["retry-after"]) >= 1
        connection.sendall(bad.replace(b"Bearer x", _KEY.encode()))
        assert read(connection).status == 200


@pytest.mark.shows("C17")
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1"])
def test_a_page_of_another_site_gets_no_permission(world: World, origin: str) -> None:
    """Without these headers no browser hands an answer to a stranger's page."""
    asked = ["access-control-request-method: POST", "access-control-request-headers: authorization"]
    for method, lines in (("OPTIONS", asked), ("GET", [])):
        reply = world.ground.call(
            method, f"{world.ground.path}/events", None, f"origin: {origin}", *lines
        )
        assert reply.status == (405 if method == "OPTIONS" else 200)
        assert not any(name.startswith("access-control") for name in reply.headers)


@pytest.mark.shows("C20")
def test_an_endpoint_is_tested_five_times_a_minute(world: World) -> None:
    """The button that sends a request must not be a gun."""
    ground = world.ground
    target = f"{ground.path}/endpoints/{world.endpoint}/test"
    for _ in range(5):
        assert ground.call("POST", target).status == 202
    reply = ground.refuses(lambda: ground.call("POST", target), {429})
    assert int(reply.headers["retry-after"]) >= 1
    theirs = f"{ground.path}/endpoints/{world.strangers_endpoint}/test"
    ground.refuses(lambda: ground.call("POST", theirs), {404})

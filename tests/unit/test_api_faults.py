"""What is told of a body that has the wrong shape: the place in it, our code, our sentence."""

from typing import Any, Final

import msgspec
import pytest
from tests.support.api_world import Answer, World

from payhooks.api.faults import of_event

_ENDPOINT: Final = {"label": "a", "url": "https://example.com/", "events": ["*"]}
_TIME: Final = "Write it as 2026-01-31T12:00:00Z."
_TEXT: Final = "This must be text."
_LIST: Final = "This must be a list."
_OBJECT: Final = "This must be an object."
_UNKNOWN: Final = "This member is not known."
_NUMBER: Final = "This must be a number."

Told = list[tuple[str, str, str]]


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


def _told(answer: Answer) -> Told:
    assert answer.status == 422, answer.body
    return [(each["pointer"], each["code"], each["detail"]) for each in answer.json["errors"]]


_OF_ENDPOINTS: Final[list[tuple[dict[str, Any], Told]]] = [
    ({"retry_policy": [5, "abc"]}, [("/retry_policy/1", "wrong_type", _NUMBER)]),
    ({"retry_policy": [[], True]}, [(f"/retry_policy/{n}", "wrong_type", _NUMBER) for n in (0, 1)]),
    ({"retry_policy": 5}, [("/retry_policy", "wrong_type", "This must be text or a list.")]),
    ({"timeout_s": "5"}, [("/timeout_s", "wrong_type", _NUMBER)]),
    ({"rate_limit": True}, [("/rate_limit", "wrong_type", _NUMBER)]),
    (
        {"authentication": {"type": "basic", "password": "p"}},
        [("/authentication/username", "required", "This member is required.")],
    ),
    (
        {"authentication": {"type": "basic", "username": 1, "password": "p"}},
        [("/authentication/username", "wrong_type", _TEXT)],
    ),
    ({"authentication": {}}, [("/authentication/type", "required", "This member is required.")]),
    ({"authentication": "basic"}, [("/authentication", "wrong_type", _OBJECT)]),
    (
        {"authentication": {"type": "digest"}},
        [
            (
                "/authentication/type",
                "invalid_choice",
                "This must be none, basic, bearer or header.",
            )
        ],
    ),
    ({"events": [1]}, [("/events/0", "wrong_type", _TEXT)]),
    ({"events": "x"}, [("/events", "wrong_type", _LIST)]),
    ({"events": []}, [("/events", "too_few", "At least 1 must be given.")]),
    ({"headers": {"a/b~c": 1}}, [("/headers/a~1b~0c", "wrong_type", _TEXT)]),
    (
        {"headers": {"\u202e" * 99: 1}},
        [("/headers/" + r"\u202e" * 10 + r"\u20", "wrong_type", _TEXT)],
    ),
    (
        {"ordering": "foo"},
        [("/ordering", "invalid_choice", "This must be none, object or strict.")],
    ),
    ({"lable": "x"}, [("/lable", "unknown_field", _UNKNOWN)]),
    (
        {"signature": {"type": "none", "keyId": 1}},
        [("/signature/keyId", "unknown_field", _UNKNOWN)],
    ),
    (
        {"signature": {"type": "none", "whsec_MfKQ9r8GKYqrTwjU": 1}},
        [("/signature", "unknown_field", "There is a member that is not known.")],
    ),
    (
        {"authentication": {"type": "bearer", "token": "t", "user": "u"}},
        [("/authentication/user", "unknown_field", _UNKNOWN)],
    ),
    ({"label": ""}, [("/label", "empty", "This must not be empty.")]),
    ({"label": "x" * 81}, [("/label", "too_long", "At most 80 characters are allowed.")]),
]  # fmt: skip


@pytest.mark.parametrize(("members", "told"), _OF_ENDPOINTS)
async def test_a_wrong_member_is_told_once_at_its_place(
    world: World, members: dict[str, Any], told: Told
) -> None:
    """A form puts the sentence beside the field that the pointer names."""
    at = f"/v1/merchants/{await world.merchant()}/endpoints"
    assert _told(await world.call("POST", at, {**_ENDPOINT, **members})) == told


@pytest.mark.parametrize("target", ["/v1/merchants", "{m}/endpoints", "{m}/events", "{m}/keys"])
async def test_a_body_that_is_no_object_is_told_as_such(world: World, target: str) -> None:
    """The same on the way of events, which has a reader of its own."""
    at = target.format(m=f"/v1/merchants/{await world.merchant()}")
    assert _told(await world.call("POST", at, [])) == [("", "wrong_type", _OBJECT)]


async def test_a_body_that_did_not_come_is_asked_for(world: World) -> None:
    """The commonest slip with curl."""
    assert _told(await world.call("POST", "/v1/merchants")) == [("", "required", "Send a body.")]


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"type": 1}, ("/type", "wrong_type", _TEXT)),
        ({"family": "x" * 41}, ("/family", "too_long", "At most 40 characters are allowed.")),
        ({"object": 5}, ("/object", "wrong_type", _OBJECT)),
        ({"object": {"type": "", "id": "1"}}, ("/object/type", "empty", "This must not be empty.")),
        ({"object": {"type": "a", "id": None}}, ("/object/id", "wrong_type", _TEXT)),
        ({"lable": 1}, ("/lable", "unknown_field", _UNKNOWN)),
        (
            {"object": {"type": "a", "id": "1", "b` - at `$.data": 1}},
            ("/object", "unknown_field", "There is a member that is not known."),
        ),
        ({"occurred_at": 5}, ("/occurred_at", "invalid", _TIME)),
        ({"occurred_at": "yesterday"}, ("/occurred_at", "invalid", _TIME)),
        ({"occurred_at": "2026-01-01T00:00:00"}, ("/occurred_at", "invalid", _TIME)),
    ],
)
async def test_a_wrong_member_of_an_event_is_told_in_the_same_words(
    world: World, members: dict[str, Any], told: tuple[str, str, str]
) -> None:
    """Whoever reads them does not know that events have a reader of their own."""
    assert _told(await world.publish(await world.merchant(), **members)) == [told]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("events?created[gte]=2026-01-31T12:00:00", ("?created[gte]", "invalid", _TIME)),
        ("events?created[gte]=yesterday", ("?created[gte]", "invalid", _TIME)),
        ("events?created[gte]=2026-13-01T00:00:00Z", ("?created[gte]", "invalid", _TIME)),
        ("events?limit=x", ("?limit", "wrong_type", "This must be a whole number.")),
        ("events?limit=0", ("?limit", "out_of_range", "This must be at least 1.")),
        ("events?limit=101", ("?limit", "out_of_range", "This must be at most 100.")),
        ("events?limit=" + "9" * 5_000, ("?limit", "out_of_range", "This has too many digits.")),
        (
            "events?status=bogus",
            (
                "?status",
                "invalid_choice",
                "This must be unsubscribed, pending, delivered, failed or cancelled.",
            ),
        ),
        ("events?limit=1&limit=2", ("?limit", "duplicate", "This parameter is given once.")),
        ("events?limit=1&limit=1", ("?limit", "duplicate", "This parameter is given once.")),
        ("events?type=a&type=b", ("?type", "duplicate", "This parameter is given once.")),
        (
            "endpoints/" + "x" * 65,
            ("{endpoint_id}", "too_long", "At most 64 characters are allowed."),
        ),
    ],
)
async def test_a_wrong_parameter_is_told_in_the_same_words(
    world: World, query: str, told: tuple[str, str, str]
) -> None:
    """A query is read by the same reader as a body, and is no body."""
    merchant = await world.merchant()
    assert _told(await world.call("GET", f"/v1/merchants/{merchant}/{query}")) == [told]


async def test_a_parameter_that_takes_several_is_given_several_times(world: World) -> None:
    """How lists are written in a query."""
    merchant = await world.merchant()
    target = f"/v1/merchants/{merchant}/receipts?state=processed&state=ignored"
    assert (await world.call("GET", target)).status == 200


async def test_a_wrong_header_is_told_by_its_name(world: World) -> None:
    """It is in no document that a pointer could lead into."""
    merchant = await world.merchant()
    headers = {"If-Match": "9" * 65}
    answer = await world.call("PATCH", f"/v1/merchants/{merchant}", {}, headers=headers)
    assert _told(answer) == [("If-Match", "too_long", "At most 64 characters are allowed.")]


_ACTIONS: Final = [
    ("POST", "{at}/endpoints/{endpoint}/pause", 200),
    ("POST", "{at}/endpoints/{endpoint}/test", 202),
    ("POST", "{at}/sandbox/inboxes", 201),
    ("DELETE", "{at}/endpoints/{endpoint}", 204),
]


_SAID: Final[list[Any]] = [{"foo": 1}, [], "x", False, 0]


async def test_a_body_where_nothing_is_to_be_said_is_refused(world: World) -> None:
    """Who sends {"grace_s": 60} along with a deletion believes that it is heard."""
    at = f"/v1/merchants/{await world.merchant()}"
    endpoint = (await world.endpoint(at.rpartition("/")[2]))["id"]
    before = await world.audit_actions(at.rpartition("/")[2])
    for method, path, _ in _ACTIONS:
        target = path.format(at=at, endpoint=endpoint)
        for body in _SAID:
            told = _told(await world.call(method, target, body))
            assert [(pointer, code) for pointer, code, _ in told] == [("", "not_allowed")], target
    assert await world.audit_actions(at.rpartition("/")[2]) == before
    for method, path, status in _ACTIONS:
        # What clients send that always send a body.
        answer = await world.call(method, path.format(at=at, endpoint=endpoint), {})
        assert answer.status == status, answer.body


_NONSENSE: Final[list[Any]] = [
    None, True, 0, -1, 1e300, 10**30, 10**400, "", "x", "x" * 9_000, [], [[]], {}, {"type": "x"},
    [None],
]  # fmt: skip


async def test_nothing_that_a_library_says_is_passed_on(world: World) -> None:
    """Its words are Python's, change with its version, and some repeat what came."""
    document = (await world.call("GET", "/openapi.json", key=None)).json
    merchant = await world.merchant(reference="shop")
    endpoint = await world.endpoint(merchant)
    asked = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" not in operation:
                continue
            said = operation["requestBody"]["content"]["application/json"]["schema"]
            name = (said.get("$ref") or said["anyOf"][0]["$ref"]).rpartition("/")[2]
            ids = {"m": "shop", "endpoint_id": endpoint["id"], "family": "own", "name": "a"}
            target = path.format_map(_Anything(ids))
            for member in document["components"]["schemas"][name]["properties"]:
                for value in _NONSENSE:
                    answer = await world.call(method.upper(), target, {member: value})
                    for fault in answer.json.get("errors", ()):
                        assert "nput should" not in fault["detail"]
                        assert fault["detail"] != "This is not valid."
                        assert not set("[(,") & set(fault["pointer"]), fault
                        assert not fault["code"].endswith(("_parsing", "_error", "_type_type"))
                        asked += 1
    assert asked > 500


class _Anything(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "x"


async def test_what_values_mean_is_looked_at_once_their_shapes_are_right(world: World) -> None:
    """As docs/problems.md says: a body is mended in two rounds at most."""
    at = f"/v1/merchants/{await world.merchant()}/endpoints"
    shapes = _told(await world.call("POST", at, {"url": "", "events": []}))
    meanings = _told(await world.call("POST", at, {**_ENDPOINT, "url": "", "events": ["a..b"]}))
    assert [pointer for pointer, _, _ in shapes] == ["/label", "/events"]
    assert [pointer for pointer, _, _ in meanings] == ["/url", "/events/0"]


@pytest.mark.parametrize("said", ["Expected `set`, got `int`", "Something else"])
def test_what_the_reader_of_events_says_for_the_first_time_is_no_bug(said: str) -> None:
    """Its next version may have words that this one does not."""
    [fault] = of_event(msgspec.ValidationError(f"{said} - at `$.object[0].id`")).faults
    assert (fault.pointer, fault.code, fault.detail) == (
        "/object/0/id",
        "invalid",
        "This is not valid.",
    )

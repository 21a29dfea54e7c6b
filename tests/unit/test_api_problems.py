"""Problems: one table, told the same way everywhere, and none that gives something away."""

from pathlib import Path

import pytest
from tests.support.api_world import World

from payhooks import errors
from payhooks.api.problems import INTERNAL, TABLE, body_of, of_error, shown
from payhooks.errors import (
    ConflictError,
    IdempotencyConflictError,
    InputError,
    InvalidError,
    PayhooksError,
    RateLimitedError,
    UnavailableError,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "problems.md"


def test_every_problem_is_explained_with_its_status_and_title() -> None:
    """A type that nobody explains is a support ticket."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for kind, (status, title) in TABLE.items():
        assert f"## {kind}\n\n**{status} · {title}.**" in text


def _instance(type_: type[PayhooksError]) -> PayhooksError:
    if type_ is InvalidError:
        return InvalidError.at("/a", "required", "This member is required.")
    if type_ is IdempotencyConflictError:
        return IdempotencyConflictError("what happened", content=bytes(16))
    return type_("what happened")


_LEAVES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type)
    and issubclass(value, PayhooksError)
    and value not in {PayhooksError, InputError}
]


@pytest.mark.parametrize("type_", _LEAVES)
def test_every_error_has_a_problem_that_says_who_must_act(type_: type[PayhooksError]) -> None:
    """The tree of errors is split by who must act; the statuses must be too."""
    problem = of_error(_instance(type_))
    assert problem is not INTERNAL
    if issubclass(type_, UnavailableError):
        status = 429 if issubclass(type_, RateLimitedError) else 503
        assert (problem.status, problem.retry_after_s) == (status, 1.0)
        assert b'"retryable":true' in body_of(problem, request_id="req_1")
    elif issubclass(type_, ConflictError):
        assert problem.status in {409, 412}
    else:
        assert 400 <= problem.status < 500


def test_a_callers_text_is_shown_short_and_escaped() -> None:
    """What comes back in an answer may end up in a terminal or a page."""
    assert shown("\x1b[31m\u202e" + "x" * 100).startswith("\\x1b[31m\\u202e")
    assert len(shown("\x00" * 100)) == 64


@pytest.mark.shows("S34")
async def test_a_bug_is_told_the_same_way_whatever_it_was() -> None:
    """S34: an exception's text can hold a secret, a query or a path."""
    world = World()
    merchant = await world.merchant()

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM /etc/passwd")

    world.break_store("events", broken)
    world.break_store("accept", broken)
    listed = await world.call("GET", f"/v1/merchants/{merchant}/events")
    published = await world.publish(merchant)
    for answer in (listed, published):
        assert (answer.status, answer.json["type"]) == (500, "/problems/internal")
        assert b"SELECT" not in answer.body
        assert answer.json["detail"] == INTERNAL.detail
    assert [str(bug) for bug in world.bugs] == ["SELECT secret FROM /etc/passwd"] * 2


@pytest.mark.shows("S34")
async def test_a_store_that_is_down_is_a_503_and_nothing_is_accepted() -> None:
    """Never worse than late: the publisher keeps the event and asks again."""
    world = World()
    merchant = await world.merchant()

    async def down(*_: object, **__: object) -> None:
        raise UnavailableError("connection refused to 10.0.0.5:5432", retry_after_s=2.5)

    world.break_store("accept", down)
    answer = await world.publish(merchant)
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")
    assert (answer.json["retryable"], answer.json["type"]) == (True, "/problems/store-unavailable")
    assert b"10.0.0.5" not in answer.body


async def test_a_problems_type_resolves_and_a_stranger_does_not() -> None:
    """RFC 9457 wants the type to be worth following."""
    world = World()
    found = await world.call("GET", "/problems/validation", key=None)
    assert (found.status, found.json["title"]) == (200, "The request is not valid")
    assert (await world.call("GET", "/problems/nothing", key=None)).status == 404


async def test_a_method_that_is_not_there_is_told_with_those_that_are() -> None:
    """The header has them too, and few look at headers."""
    answer = await World().call("PUT", "/v1/merchants")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json["detail"] == "This takes GET, POST."


async def test_health_readiness_and_descriptions_need_no_key() -> None:
    """A load balancer has none."""
    world = World()
    for target in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json"):
        answer = await world.call("GET", target, key=None)
        assert answer.status == 200, target
        assert answer.headers["x-request-id"].startswith("req_")


async def test_every_operation_has_a_name_of_its_own_and_every_event_type_is_described() -> None:
    """Clients are generated from this document; two equal names would overwrite each other."""
    document = (await World().call("GET", "/openapi.json", key=None)).json
    names = [
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    ]
    assert len(names) == len(set(names))
    assert {"publish_an_event", "publish_events", "make_an_endpoint"} < set(names)
    assert document["openapi"] == "3.1.0"
    assert "owngateway/payment_succeeded" in document["webhooks"]

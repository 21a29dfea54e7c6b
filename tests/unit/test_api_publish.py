"""Publishing: what is accepted, what is refused, and what the answer promises."""

import asyncio

import pytest
from tests.support.api_world import World
from tests.support.shipped import example_of

from payhooks.control import merchants
from payhooks.control.merchants import MerchantDraft
from payhooks.limits import BATCH_EVENTS_MAX, EVENT_BODY_BYTES_MAX
from payhooks.model.merchant import TypeCheck


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def test_the_payload_is_read_back_byte_for_byte(world: World) -> None:
    """Receivers verify signatures over these bytes; 1.0 must not become 1."""
    merchant = await world.merchant()
    body = b'{"type":"payment_succeeded","data":{"z":1.0,"a":1e2,  "n":12345678901234567890}}'
    accepted = await world.call("POST", f"/v1/merchants/{merchant}/events", raw=body)
    read = await world.call("GET", f"/v1/merchants/{merchant}/events/{accepted.json['id']}")
    assert b'"data":{"z":1.0,"a":1e2,  "n":12345678901234567890}' in read.body


async def test_the_same_key_gets_the_same_answer_and_other_content_a_conflict(
    world: World,
) -> None:
    """A publisher that lost an answer must be able to ask again."""
    merchant = await world.merchant()
    await world.endpoint(merchant)
    target = f"/v1/merchants/{merchant}/events"
    said = {"type": "payment_succeeded", "data": {"a": 1}}
    first = await world.call("POST", target, said, headers={"Idempotency-Key": "once"})
    again = await world.call("POST", target, said, headers={"Idempotency-Key": '"once"'})
    other = await world.call(
        "POST", target, {**said, "data": {"a": 2}}, headers={"Idempotency-Key": "once"}
    )
    assert first.status == again.status == 202
    assert first.body == again.body
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status, other.json["type"]) == (409, "/problems/idempotency-conflict")


@pytest.mark.parametrize("key", [pytest.param('""', id="C4 empty"), "x" * 256, "a\tb", "caf\xe9"])
async def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    """C4: a key that two proxies could write differently protects nobody."""
    merchant = await world.merchant()
    answer = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/events",
        {"type": "a", "data": {}},
        headers={"Idempotency-Key": key},
    )
    assert answer.status == 422
    [fault] = answer.json["errors"]
    assert (fault["pointer"], fault["code"]) == ("Idempotency-Key", "invalid_idempotency_key")


async def test_a_key_of_an_item_is_told_where_it_stands(world: World) -> None:
    """In a batch it is a member, and in no header."""
    merchant = await world.merchant()
    events = [{"type": "payment_succeeded", "data": {}, "idempotency_key": ""}]
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", {"events": events})
    [result] = answer.json["data"]
    assert [fault["pointer"] for fault in result["error"]["errors"]] == ["/idempotency_key"]


@pytest.mark.parametrize(
    ("members", "pointer", "code"),
    [
        ({"type": ""}, "/type", "invalid_event_type"),
        ({"type": "a" * 300}, "/type", "invalid_event_type"),
        ({"type": "a..b"}, "/type", "invalid_event_type"),
        ({"type": "a b"}, "/type", "invalid_event_type"),
        ({"type": "zahlung.\u00fcber"}, "/type", "invalid_event_type"),
        ({"data": None}, "/data", "wrong_type"),
        ({"data": []}, "/data", "wrong_type"),
        ({"occurred_at": "1970-01-01T00:00:00Z"}, "/occurred_at", "out_of_range"),
        ({"occurred_at": "9999-12-31T00:00:00Z"}, "/occurred_at", "out_of_range"),
        ({"occurred_at": "2026-01-01T00:00:00"}, "/occurred_at", "invalid"),
        ({"occurred_at": "2026-01-01T00:00:00+25:00"}, "/occurred_at", "invalid"),
        ({"occurred_at": "2026-06-30T23:59:60Z"}, "/occurred_at", "invalid"),
        ({"occurred_at": 10**40}, "/occurred_at", "invalid"),
        ({"metadata": [1]}, "/metadata", "wrong_type"),
        ({"metadata": {"a": "x" * 9_000}}, "/metadata", "too_long"),
        ({"object": {"type": "payment"}}, "/object/id", "required"),
        ({"object": {"type": "payment", "id": "1", "x": 1}}, "/object/x", "unknown_field"),
        ({"id": "evt_mine"}, "/id", "unknown_field"),
        ({"merchant_id": "mer_other"}, "/merchant_id", "unknown_field"),
        ({"type": "webhook.test"}, "/family", "not_allowed"),
        ({"family": "payhooks"}, "/family", "not_allowed"),
    ],
)
async def test_an_event_that_is_wrong_is_refused_and_nothing_is_stored(
    world: World, members: dict[str, object], pointer: str, code: str
) -> None:
    """C5, C7, C15: the answer names the member and the rule, and the store stays empty."""
    merchant = await world.merchant()
    answer = await world.publish(merchant, **members)
    assert answer.status == 422
    assert [(e["pointer"], e["code"]) for e in answer.json["errors"]] == [(pointer, code)]
    listed = await world.call("GET", f"/v1/merchants/{merchant}/events")
    assert listed.json["data"] == []
    good = await world.publish(merchant)
    assert good.status == 202


@pytest.mark.parametrize(
    ("type_check", "status", "finds"),
    [("strict", 422, False), ("warn", 202, True), ("off", 202, False)],
)
async def test_an_unknown_type_is_refused_remarked_or_taken_as_the_merchant_chose(
    world: World,
    type_check: str,
    status: int,
    finds: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A typo in an event type is the commonest way to tell nobody."""
    merchant = await world.merchant(type_check=type_check)
    answer = await world.publish(merchant, type="payment_succeded")
    assert answer.status == status
    assert ("findings" in answer.json) is finds
    if finds:
        assert "payment_succeeded" in answer.json["findings"][0]["detail"]


_TYPO = {"type": "payment_succeded"}


@pytest.mark.parametrize(
    ("families", "said", "pointer", "words"),
    [
        ([], {"family": "nope"}, "/family", "This family does not have this event type; these"),
        ([], {"family": "owlpay"}, "/family", "; these have it: owngateway."),
        (["owlpay"], {}, "/family", "None of the merchant's families has this event type; these"),
        (["foloosi"], {"type": "cardupdate.created"}, "/family", "it: merchant-console."),
        (["owlpay"], _TYPO, "/type", "Did you mean payment_succeeded of family owngateway?"),
        (["owngateway"], _TYPO, "/type", "Did you mean payment_succeeded?"),
        ([], _TYPO, "/type", "Did you mean payment_succeeded?"),
        (["owlpay"], {"type": "webhook.disabld"}, "/type", "No such event type is known."),
    ],
)
async def test_a_type_of_another_family_is_told_by_the_family(
    world: World, families: list[str], said: dict[str, str], pointer: str, words: str
) -> None:
    """The type is spelled rightly, and to propose it again helps nobody."""
    strict = await world.merchant(families=families, type_check="strict")
    [fault] = (await world.publish(strict, **said)).json["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, "unknown_event_type")
    assert words in fault["detail"]
    warned = await world.publish(await world.merchant(families=families), **said)
    assert warned.json["findings"] == [fault]


async def test_a_bad_item_of_a_batch_does_not_refuse_the_others(world: World) -> None:
    """C11: a batch is a convenience, not a transaction; each item has its own result."""
    merchant = await world.merchant()
    good = {"type": "payment_succeeded", "data": {"n": 1}, "idempotency_key": "k"}
    events = [good, {"type": "a..b", "data": {}}, good, {**good, "data": {"n": 2}}, "x"]
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", {"events": events})
    assert answer.status == 202
    first, bad, repeated, conflict, no_object = answer.json["data"]
    assert bad["error"]["status"] == 422
    assert (repeated["id"], repeated["repeated"]) == (first["id"], True)
    assert conflict["error"]["type"] == "/problems/idempotency-conflict"
    assert no_object["error"]["status"] == 422


@pytest.mark.parametrize(("count", "status"), [(0, 422), (1, 202), (BATCH_EVENTS_MAX + 1, 413)])
async def test_a_batch_has_a_first_and_a_last_size(world: World, count: int, status: int) -> None:
    """C11: a batch is bounded, and an empty one is a mistake."""
    merchant = await world.merchant()
    events = [{"type": "a", "data": {}}] * count
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", {"events": events})
    assert answer.status == status


@pytest.mark.parametrize(("extra", "status"), [(-1, 202), (0, 202), (1, 413)])
async def test_a_body_may_be_just_as_large_as_the_limit(
    world: World, extra: int, status: int
) -> None:
    """B9: the limit in the documents is the limit in the code."""
    merchant = await world.merchant()
    head, tail = b'{"type":"a","data":{"x":"', b'"}}'
    filling = b"x" * (EVENT_BODY_BYTES_MAX + extra - len(head) - len(tail))
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events", raw=head + filling + tail)
    assert answer.status == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=utf-8", 202),
        ("application/vnd.shop+json", 202),
    ],
)
async def test_only_json_in_utf8_is_read(world: World, content_type: str, status: int) -> None:
    """B13, B14: what a page on another site can make a browser send is refused."""
    merchant = await world.merchant()
    answer = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/events",
        {"type": "a", "data": {}},
        headers={"Content-Type": content_type},
    )
    assert answer.status == status


async def test_a_compressed_body_is_refused_unread(world: World) -> None:
    """A19: a bomb costs nothing if nobody unpacks it."""
    merchant = await world.merchant()
    answer = await world.call(
        "POST",
        f"/v1/merchants/{merchant}/events",
        {"type": "a", "data": {}},
        headers={"Content-Encoding": "gzip"},
    )
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


async def test_who_publishes_after_an_endpoint_was_made_is_heard_by_it(world: World) -> None:
    """Subscribed at accept time is a promise; a cached table must not break it."""
    merchant = await world.merchant()
    assert (await world.publish(merchant)).json["deliveries"] == 0
    await world.endpoint(merchant, events=["payment_*"])
    assert (await world.publish(merchant)).json["deliveries"] == 1


async def test_callers_at_the_same_time_each_get_their_own_answer(world: World) -> None:
    """Group commit gathers strangers; nobody may get another's id."""
    merchant = await world.merchant()
    answers = await asyncio.gather(*(world.publish(merchant, metadata={"n": n}) for n in range(50)))
    assert len({answer.json["id"] for answer in answers}) == 50


async def test_stricter_rules_hold_for_the_next_event_and_batch(world: World) -> None:
    """An operator who has been told 200 believes that typos are refused from now on."""
    merchant = await world.merchant()
    typo = {"type": "payment_succeded", "data": {}}
    assert (await world.call("POST", f"/v1/merchants/{merchant}/events", typo)).status == 202
    await world.call("PATCH", f"/v1/merchants/{merchant}", {"type_check": "strict"})
    batch = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", {"events": [typo]})
    assert batch.json["data"][0]["error"]["status"] == 422
    assert (await world.call("POST", f"/v1/merchants/{merchant}/events", typo)).status == 422


async def test_rules_that_another_process_changed_hold_too(world: World) -> None:
    """Two processes serve one merchant; only one of them was asked to change it."""
    merchant = await world.merchant()
    target, typo = f"/v1/merchants/{merchant}/events", {"type": "payment_succeded", "data": {}}
    assert (await world.call("POST", target, typo)).status == 202
    known = await merchants.find(world.control, world.caller, merchant)
    stricter = MerchantDraft(type_check=TypeCheck.STRICT)
    await merchants.edit(world.control, world.caller, known, stricter, if_version=None)
    assert (await world.call("POST", target, typo)).status == 422
    said = {
        "type": "payment_succeeded",
        "data": example_of("owngateway", "payment_succeeded"),
    }
    good = await world.call("POST", target, said)
    assert good.status == 202
    listed = await world.call("GET", target)
    assert len(listed.json["data"]) == 2

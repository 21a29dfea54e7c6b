"""Batches of a publisher, and what is held against the server's rules before it is sent."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.support.publishing import STORED, Script

from payhooks.errors import InvalidError, TooLargeError
from payhooks.limits import BATCH_BODY_BYTES_MAX
from payhooks.publisher import Answer, Client, NewEvent, Published, RefusedError, UnansweredError
from payhooks.publisher.event import keyed


def _batch(*results: dict[str, object]) -> Answer:
    return Answer(status=202, headers={}, body=json.dumps({"data": list(results)}).encode())


def _error(status: int, **members: object) -> dict[str, object]:
    return {"error": {"status": status, "title": "No", **members}}


def _keys_of(body: bytes) -> list[str]:
    return [event["idempotency_key"] for event in json.loads(body)["events"]]


def _event(key: str, **fields: object) -> NewEvent:
    return NewEvent(type="a.b", data={}, idempotency_key=key, **fields)  # type: ignore[arg-type]  # any field


def test_a_batch_has_one_result_per_event_and_one_bad_event_refuses_no_other() -> None:
    """Whoever publishes a day's list must learn which line it was."""
    script = Script(_batch(STORED, _error(422, detail="no"), STORED | {"repeated": True}))
    first, second, third = script.client().publish_batch([_event("1"), _event("2"), _event("3")])
    assert isinstance(first, Published)
    assert not first.replayed
    assert isinstance(second, RefusedError)
    assert not second.of_request
    assert isinstance(third, Published)
    assert third.replayed
    assert third.idempotency_key == "3"
    assert script.requests[0][0] == "https://hooks.example.com/v1/merchants/shop%2F17/events/batch"


def test_of_a_batch_only_what_was_not_answered_is_sent_again() -> None:
    """What is stored is stored; asking for it again is work for nothing."""
    script = Script(_batch(STORED, _error(503, retryable=True), _error(422)), _batch(STORED))
    results = script.client().publish_batch([_event("1"), _event("2"), _event("3")])
    assert [type(result) for result in results] == [Published, Published, RefusedError]
    assert [_keys_of(body) for _, _, body in script.requests] == [["1", "2", "3"], ["2"]]
    assert len(script.waits) == 1


def test_a_batch_that_nobody_answers_says_so_of_each_event() -> None:
    """A result, not an exception: others of the same batch may be stored."""
    script = Script(*[ConnectionResetError("reset")] * 5)
    results = script.client().publish_batch([_event("1"), _event('q"\\')])
    assert [type(result) for result in results] == [UnansweredError] * 2
    assert _keys_of(script.requests[0][2]) == ["1", 'q"\\']
    assert "reset" in str(results[0])


@pytest.mark.parametrize(
    "body", [b"", b'{"data":[]}', b'{"data":[{"id":"x"}]}', b'{"data":[7]}', b'{"data":7}', b"[]"]
)
def test_an_answer_that_fits_no_batch_is_none(body: bytes) -> None:
    """Counting one result for another event would lose one of them."""
    script = Script(Answer(status=202, headers={}, body=body), _batch(STORED))
    [result] = script.client().publish_batch([_event("1")])
    assert isinstance(result, Published)


def test_a_batch_of_large_events_goes_in_several_requests() -> None:
    """The limit of bytes is the server's; whoever publishes need not count."""
    script = Script(*[_batch(*[STORED] * 20)] * 3)
    large = [NewEvent(type="a.b", data={"x": "y" * 200_000}) for _ in range(60)]
    assert len(script.client().publish_batch(large)) == 60
    assert len(script.requests) == 3
    assert max(len(body) for _, _, body in script.requests) <= BATCH_BODY_BYTES_MAX


def test_of_several_requests_none_is_made_after_one_that_nobody_answers() -> None:
    """Ten seconds each: a batch of large events to a server that is away would take an hour."""
    script = Script(*[TimeoutError("slow")] * 5)
    large = [NewEvent(type="a.b", data={"x": "y" * 200_000}) for _ in range(60)]
    results = script.client().publish_batch(large)
    assert len(script.requests) == 5
    assert [type(result) for result in results] == [UnansweredError] * 60
    keys = {result.idempotency_key for result in results if isinstance(result, UnansweredError)}
    assert len(keys) == 60


def test_a_bad_event_of_a_batch_is_named_by_its_place_and_nothing_is_sent() -> None:
    script = Script()
    with pytest.raises(InvalidError) as caught:
        script.client().publish_batch([_event("1"), _event("2", ordering_key="")])
    assert caught.value.faults[0].pointer == "/events/1/ordering_key"
    with pytest.raises(TooLargeError):
        script.client().publish_batch([_event("1")] * 1001)
    assert script.client().publish_batch([]) == []
    assert not script.requests


def _nested(levels: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for _ in range(levels - 1):
        found = {"a": found}
    return found


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"type": "a..b"}, "/type"),
        ({"type": "x" * 129}, "/type"),
        ({"type": None}, "/type"),
        ({"data": []}, "/data"),
        ({"data": b'{"a":1,"a":2}'}, "/data"),
        ({"data": {1: "a", "1": "b"}}, "/data"),
        ({"data": b'{"a":1e999}'}, "/data"),
        ({"data": b'{"a":NaN}'}, "/data"),
        ({"data": rb'{"a":"\u0000"}'}, "/data"),
        ({"data": rb'{"a":"\ud83d"}'}, "/data"),
        ({"data": b'\xef\xbb\xbf{"a":1}'}, "/data"),
        ({"data": '{"a":1}'.encode("utf-16")}, "/data"),
        ({"data": b"{" * 100_000}, "/data"),
        ({"data": _nested(30)}, "/data"),
        ({"metadata": {"a": {1, 2}}}, "/metadata"),
        ({"object_type": "t" * 65, "object_id": "1"}, "/object/type"),
        ({"object_type": "t", "object_id": "i" * 256}, "/object/id"),
        ({"object_type": "t", "object_id": "a\0"}, "/object/id"),
        ({"ordering_key": "\ud800"}, "/ordering_key"),
        ({"occurred_at": datetime(1969, 1, 1, tzinfo=UTC)}, "/occurred_at"),
        ({"idempotency_key": 7}, "/idempotency_key"),
        ({"family": ""}, "/family"),
    ],
    ids=str,
)
def test_what_the_server_would_refuse_is_refused_before_it(
    fields: dict[str, object], pointer: str
) -> None:
    """In an outbox it would be found when the payment is long booked."""
    with pytest.raises(InvalidError) as caught:
        keyed(NewEvent(**({"type": "a.b", "data": {}} | fields)))  # type: ignore[arg-type]  # on purpose
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    "fields", [{"data": {"x": "y" * 262_000}}, {"metadata": {"x": "y" * 8_200}}]
)
def test_what_is_too_large_is_refused_before_the_server(fields: dict[str, object]) -> None:
    with pytest.raises(TooLargeError):
        keyed(NewEvent(**({"type": "a.b", "data": {}} | fields)))  # type: ignore[arg-type]  # on purpose


def test_what_the_server_takes_is_not_refused() -> None:
    """The rules at both ends must be the same ones."""
    event = NewEvent(
        type="a.b",
        data=rb'{"n":123456789012345678901234567890.10,"e":"\ud83d\ude00\\u0000","a":[[{}]]}',
        metadata={},
        occurred_at=datetime(2030, 1, 1, tzinfo=timezone(timedelta(seconds=53))),
    )
    assert json.loads(keyed(event).body)["occurred_at"] == "2029-12-31T23:59:07+00:00"
    assert json.loads(keyed(NewEvent(type="a", data=_nested(29))).body)


@pytest.mark.parametrize(
    "base_url",
    ["https://", "https://[", "https://a b", "https://x?y=1", "https://u:p@x", "https://x:99999"],
)
def test_a_url_that_leads_nowhere_is_found_at_start(base_url: str) -> None:
    with pytest.raises(InvalidError):
        Client(base_url, "k", merchant="m")


@pytest.mark.parametrize("merchant", ["", ".", "..", "a\n"])
def test_a_merchant_that_cannot_be_one_is_found_at_start(merchant: str) -> None:
    """Two dots would ask another route."""
    with pytest.raises(InvalidError):
        Client("https://x", "k", merchant=merchant)

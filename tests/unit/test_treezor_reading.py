"""The dialect of Treezor, reading: its samples, four generations of envelope, drift, garbage."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.envelope_vectors import as_case, vectors

from payhooks.dialects.treezor import TREEZOR
from payhooks.errors import InvalidError

pytestmark = pytest.mark.shows("V03")

READ: Final = vectors("treezor", "read")


def _envelope(**members: object) -> bytes:
    """Return a message of the numbered generation, changed; … takes a member away."""
    message: dict[str, object] = {
        "webhook": "payin.update",
        "webhook_id": "20830341",
        "object": "payin",
        "object_id": "707206",
        "object_payload": {"payins": [{"payinId": "707206", "createdDate": "2021-04-12 16:10:04"}]},
        "object_payload_signature": "KB9S",
        **members,
    }
    return json.dumps({name: said for name, said in message.items() if said is not ...}).encode()


@pytest.mark.parametrize("case", READ, ids=lambda case: case["name"])
def test_reads_every_sample(case: dict[str, Any]) -> None:
    """As Treezor prints them, type drift included."""
    read = as_case(TREEZOR.read({}, case["body"].encode()))
    payload = read.pop("payload")
    assert read == case["reading"]
    assert payload in case["body"]
    assert json.loads(payload) == json.loads(case["body"])["object_payload"]


def test_the_samples_are_of_four_generations() -> None:
    assert {case["generation"] for case in READ} == {"numbered", "half-numbered", "keyed", "timed"}
    assert len(READ) == 12


@pytest.mark.parametrize(
    ("created_at", "at"),
    [
        pytest.param(16867326126402, "2023-06-14T08:50:12.640200+00:00", id="a number"),
        pytest.param("16867326126402", "2023-06-14T08:50:12.640200+00:00", id="a text"),
        pytest.param(None, "2021-04-12T14:10:04+00:00", id="null: the payload's"),
        pytest.param(..., "2021-04-12T14:10:04+00:00", id="none: the payload's"),
        pytest.param(999999999999999, "5138-11-16T09:46:39.999900+00:00", id="the last"),
    ],
)
def test_reads_when_it_was(created_at: object, at: str) -> None:
    """In ten-thousandths of a second; it orders the states of an object."""
    read = TREEZOR.read({}, _envelope(webhook_created_at=created_at))
    assert read.occurred_at == read.ordered_at == datetime.fromisoformat(at)


@pytest.mark.parametrize(
    "created_at", [-1, 1.5, "", "soon", "١٦", True, [1], {}, 10**15, "9" * 5_000]
)
def test_refuses_a_time_that_is_none(created_at: object) -> None:
    with pytest.raises(InvalidError) as caught:
        TREEZOR.read({}, _envelope(webhook_created_at=created_at))
    assert caught.value.faults[0].pointer == "/webhook_created_at"


@pytest.mark.parametrize(
    ("dates", "at"),
    [
        pytest.param({"createdDate": "2021-04-12 16:10:04"}, "2021-04-12T14:10:04", id="summer"),
        pytest.param({"createdDate": "2022-01-19 16:06:01"}, "2022-01-19T15:06:01", id="winter"),
        pytest.param(
            {"createdDate": "2021-01-01 00:00:00", "modifiedDate": "2021-06-01 11:30:11"},
            "2021-06-01T09:30:11",
            id="modified counts before created",
        ),
        pytest.param(
            {"createdDate": "2023-06-14 10:50:08", "updatedDate": "2023-06-14 10:50:50"},
            "2023-06-14T08:50:50",
            id="cards call it updated",
        ),
        pytest.param(
            {"createdDate": "2021-04-12 16:10:04", "modifiedDate": "0000-00-00 00:00:00"},
            "2021-04-12T14:10:04",
            id="noughts are no time",
        ),
        pytest.param(
            {"createdDate": "2021-04-12 16:10:04", "modifiedDate": None},
            "2021-04-12T14:10:04",
            id="nor is null",
        ),
        pytest.param(
            {"createdDate": "2021-09-17T09:32:49+00:00"}, "2021-09-17T09:32:49", id="zone"
        ),
        pytest.param({"createdDate": "2021-04-12"}, "2021-04-11T22:00:00", id="a day alone"),
        pytest.param({"createdDate": "0000-00-00"}, None, id="nothing but noughts"),
        pytest.param({"createdDate": 7}, None, id="a number"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_payload_says_when_where_the_envelope_does_not(
    dates: dict[str, object], at: str | None
) -> None:
    """Without any order, an update that came late would undo the one that came before it."""
    read = TREEZOR.read({}, _envelope(object_payload={"payins": [{"payinId": "707206", **dates}]}))
    expected = None if at is None else datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert read.ordered_at == read.occurred_at == expected


def test_a_date_after_all_time_is_invalid() -> None:
    """Signed or not, it must not stop a worker."""
    dated = {"payins": [{"payinId": "707206", "createdDate": "9999-12-31T23:59:59-23:00"}]}
    with pytest.raises(InvalidError):
        TREEZOR.read({}, _envelope(object_payload=dated))


@pytest.mark.parametrize(
    ("members", "about"),
    [
        pytest.param({"object_id": 707206}, ("payin", "707206"), id="a number outside"),
        pytest.param(
            {"object_payload": {"payins": [{"payinId": 707206}]}}, ("payin", "707206"), id="inside"
        ),
        pytest.param({"object_id": ...}, ("payin", "707206"), id="no id outside"),
        pytest.param({"object_id": ""}, ("payin", "707206"), id="an empty id outside"),
        pytest.param({"object": ...}, ("payin", "707206"), id="no object outside"),
        pytest.param({"object_payload": {"payins": [{}]}}, ("payin", "707206"), id="no id inside"),
        pytest.param({"object_payload": {"payins": []}}, ("payin", "707206"), id="none at all"),
        pytest.param(
            {"object_payload": {"payins": [{"payinId": "1"}, {"payinId": "707206"}]}},
            ("payin", "707206"),
            id="one of several",
        ),
        pytest.param(
            {"object_payload": {"totalRows": 1, "payins": [{"payinId": "707206"}]}},
            ("payin", "707206"),
            id="more than the list inside",
        ),
        pytest.param(
            {"webhook": "payout.create", "object": "payout", "object_payload": {"payouts": [{}]}},
            ("payout", "707206"),
            id="what we do not know",
        ),
        pytest.param(
            {"webhook": "payment_intent.succeeded", "object": "payment"},
            ("payment", "707206"),
            id="another family's words",
        ),
    ],
)
def test_reads_which_object_it_is_about(members: dict[str, object], about: tuple[str, str]) -> None:
    """Ids went from numbers to UUIDs, and stand in two places."""
    read = TREEZOR.read({}, _envelope(**members))
    assert (read.object_type, read.object_id) == about


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        pytest.param({"object_id": "707207"}, "/object_id", id="another object"),
        pytest.param({"object": "payinrefund"}, "/object", id="another kind of object"),
        pytest.param({"webhook": "payinrefund.update"}, "/webhook", id="another kind of event"),
        pytest.param(
            {"webhook": "card.acquiring.chargeback.create"}, "/webhook", id="a chargeback"
        ),
        pytest.param(
            {"object_payload": {"payouts": [{}]}}, "/webhook", id="a payload of another kind"
        ),
        pytest.param(
            {
                "webhook": "payout.create",
                "object": "payout",
                "object_payload": {"payouts": [{"payoutId": "1"}]},
            },
            "/object_id",
            id="another object of a kind that we do not know",
        ),
    ],
)
def test_what_was_not_signed_must_agree_with_what_was(
    members: dict[str, object], pointer: str
) -> None:
    """Or whoever has one signed payload could have it taken for any event about any object."""
    with pytest.raises(InvalidError) as caught:
        TREEZOR.read({}, _envelope(**members))
    assert caught.value.faults[0].pointer == pointer


def test_the_signature_is_an_id_of_the_content() -> None:
    """A payload that is shown again under a new webhook_id can be told by it."""
    first, again = (TREEZOR.read({}, _envelope(webhook_id=number)).ids for number in ("1", 2))
    assert first == (("webhook_id", "1"), ("object_payload_signature", "KB9S"))
    assert again == (("webhook_id", "2"), ("object_payload_signature", "KB9S"))
    unsigned = TREEZOR.read({}, _envelope(object_payload_signature="")).ids
    assert unsigned == (("webhook_id", "20830341"),)


@pytest.mark.parametrize("data", [{"a": 1}, '{"a":1}'], ids=["an object", "a text"])
def test_the_payload_is_handed_on_as_it_came(data: object) -> None:
    """The sample of one event has text in additionalData, that of another an object."""
    body = _envelope(object_payload={"payins": [{"payinId": 707206, "additionalData": data}]})
    payload = TREEZOR.read({}, body).payload
    assert payload in body
    assert json.loads(payload)["payins"][0]["additionalData"] == data


@pytest.mark.parametrize("name", ["webhook", "webhook_id", "object_payload"])
def test_names_what_is_missing(name: str) -> None:
    with pytest.raises(InvalidError, match=f"The body has no {name}"):
        TREEZOR.read({}, _envelope(**{name: ...}))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(_envelope(webhook=7), id="a type that is no text"),
        pytest.param(_envelope(webhook="a" * 129), id="a type without end"),
        pytest.param(_envelope(webhook_id=None), id="no id"),
        pytest.param(_envelope(webhook_id={}), id="an id that is an object"),
        pytest.param(_envelope(object_payload=[]), id="a payload that is a list"),
        pytest.param(_envelope(object_payload={}), id="a payload of nothing"),
        pytest.param(_envelope(object_payload={"payins": [], "b": []}), id="two lists"),
        pytest.param(_envelope() + b"\xff", id="not UTF-8"),
        pytest.param(b'{"object_payload":' + b"[" * 100_000, id="deep"),
    ],
)
def test_what_cannot_be_read_is_invalid(body: bytes) -> None:
    """A verified sender may still send nonsense, and that must not stop a worker."""
    with pytest.raises(InvalidError):
        TREEZOR.read({}, body)


@given(body=st.binary() | st.text().map(str.encode))
def test_reading_garbage_raises_invalid_and_nothing_else(body: bytes) -> None:
    with pytest.raises(InvalidError):
        TREEZOR.read({}, body)

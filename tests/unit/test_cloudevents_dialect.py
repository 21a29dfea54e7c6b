"""CloudEvents: ids, source and subject; the modes and the data that are not read."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from tests.support.dialect_events import AT, MERCHANT, endpoint_of, new_event_id

from payhooks.dialects.cloudevents import CLOUDEVENTS, CONTENT_TYPE
from payhooks.dialects.contract import SECRET_RANDOM_BYTES, Reading
from payhooks.dialects.standard import STANDARD
from payhooks.errors import InvalidError
from payhooks.ids import DELIVERY, delivery_id, to_text
from payhooks.model.event import Event

pytestmark = pytest.mark.shows("V08")

EVENT = Event(
    id=new_event_id(),
    merchant_id=MERCHANT.id,
    type="payment_intent.captured",
    family="owlpay",
    data=b'{"id": "pi_1",  "amount": 1.10}',
    object_type="payment_intent",
    object_id="pi_1",
    occurred_at=datetime(2029, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
)
ENVELOPE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "C234-1234-1234",
    "source": "/mycontext",
    "type": "com.example.someevent",
    "data": {},
}
# Three that no string of an attribute holds, and what surrounds them in Unicode.
NOT_HELD = ["\x00", "\n", "\x1f", "\x7f", "\x9f", "\ufdd0", "\ufdef", "\uffff", "\U0010fffe"]
HELD = [" ", "~", "\xa0", "\ufdcf", "\ufdf0", "\ufffd", "\U0010fffd", "\U00010000", "%", "/"]


def _body(event: Event = EVENT) -> bytes:
    endpoint = endpoint_of("cloudevents")
    rendered = CLOUDEVENTS.render(event=event, endpoint=endpoint, merchant=MERCHANT)
    assert rendered.content_type == CONTENT_TYPE == "application/cloudevents+json"
    return rendered.body


def _about(object_id: str) -> dict[str, Any]:
    event = msgspec.structs.replace(EVENT, object_id=object_id)
    envelope: dict[str, Any] = json.loads(_body(event))
    return envelope


def _read(headers: dict[str, str] | None = None, **changes: object) -> Reading:
    return CLOUDEVENTS.read(headers or {}, json.dumps({**ENVELOPE, **changes}).encode())


def test_it_has_the_attributes_of_a_cloudevent() -> None:
    """The required four, and those that routers filter by."""
    delivery = to_text(DELIVERY, delivery_id(EVENT.id, 1))
    envelope = json.loads(_body())
    assert envelope.pop("source") == f"/merchants/{to_text('mer', MERCHANT.id)}"
    assert envelope == {
        "specversion": "1.0",
        "id": delivery,
        "type": "payment_intent.captured",
        "subject": "payment_intent/pi_1",
        "time": "2029-02-03T04:05:06.000007Z",
        "datacontenttype": "application/json",
        "data": {"id": "pi_1", "amount": 1.10},
    }


def test_the_source_outlives_a_change_of_the_merchants_reference() -> None:
    """Rules that route by it, and ids that are unique within it, would break."""
    renamed = msgspec.structs.replace(MERCHANT, reference="another")
    endpoint = endpoint_of("cloudevents")
    body = CLOUDEVENTS.render(event=EVENT, endpoint=endpoint, merchant=renamed).body
    assert body == _body()


def test_it_is_signed_as_standard_webhooks_signs() -> None:
    """Their package verifies it as it stands."""
    text = CLOUDEVENTS.new_secret(bytes(range(SECRET_RANDOM_BYTES)))
    secrets = [CLOUDEVENTS.signing_secret(text)]
    body, now = _body(), datetime(2030, 1, 1, tzinfo=UTC)
    signed = CLOUDEVENTS.sign(message_id="del_1", body=body, secrets=secrets, now=now)
    assert signed == STANDARD.sign(message_id="del_1", body=body, secrets=secrets, now=now)
    theirs = standardwebhooks.Webhook(text).sign("del_1", now, body.decode())
    assert dict(signed.headers)["webhook-signature"] == theirs
    headers = dict(signed.headers)
    CLOUDEVENTS.verify(headers, body, [CLOUDEVENTS.verifying_secret(text)], now)


def test_reads_what_it_writes() -> None:
    """One dialect, both ways."""
    reading = CLOUDEVENTS.read({"content-type": CONTENT_TYPE}, _body())
    assert reading.event_type == EVENT.type
    assert (reading.object_type, reading.object_id) == (EVENT.object_type, EVENT.object_id)
    assert reading.payload == EVENT.data
    assert reading.occurred_at == reading.ordered_at == EVENT.occurred_at


@pytest.mark.parametrize("character", NOT_HELD, ids=ascii)
def test_an_id_that_an_attribute_cannot_hold_is_left_out(character: str) -> None:
    """A subject with it would make the whole event invalid; without one it is not."""
    assert "subject" not in _about(f"a{character}b")


@pytest.mark.parametrize("character", HELD, ids=ascii)
def test_every_other_id_is_the_subject(character: str) -> None:
    assert _about(f"a{character}b")["subject"] == f"payment_intent/a{character}b"


@given(object_id=st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs"]), min_size=1))
def test_any_such_id_comes_back(object_id: str) -> None:
    """Slashes and all: the first one ends the kind."""
    event = msgspec.structs.replace(EVENT, object_id=object_id)
    assert CLOUDEVENTS.read({}, _body(event)).object_id == object_id


@pytest.mark.parametrize(
    ("subject", "object_type", "object_id"),
    [
        pytest.param("payment/pi_1", "payment", "pi_1", id="ours"),
        pytest.param("partnerid/5/clientid/100", "partnerid", "5/clientid/100", id="longer"),
        pytest.param("mynewfile.jpg", None, None, id="one part"),
        pytest.param("/pi_1", None, None, id="no kind"),
        pytest.param("payment/", None, None, id="no id"),
        pytest.param(None, None, None, id="none"),
    ],
)
def test_reads_which_object_it_is_about(
    subject: str | None, object_type: str | None, object_id: str | None
) -> None:
    """What a subject means is its sender's; only a kind and an id are an object here."""
    reading = _read(subject=subject)
    assert (reading.object_type, reading.object_id) == (object_type, object_id)


def test_source_and_id_together_are_what_it_is_deduped_by() -> None:
    """Two sources of one sender may count from one, each for itself."""
    first, other = _read(), _read(source="/another")
    assert first.ids[0] != other.ids[0]
    assert first.ids[1] == other.ids[1] == ("id", "C234-1234-1234")


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents+json", "Application/CloudEvents+JSON ; charset=UTF-8", "", "x"],
)
def test_one_event_in_json_is_read_whatever_its_content_type(content_type: str) -> None:
    """Not every sender sets it; the body says what it is."""
    assert _read({"content-type": content_type}).event_type == ENVELOPE["type"]


def test_headers_beside_a_structured_event_do_no_harm() -> None:
    """The binding allows them."""
    assert _read({"content-type": CONTENT_TYPE, "ce-specversion": "1.0"}).payload == b"{}"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        pytest.param({"ce-specversion": "1.0"}, "binary mode", id="binary"),
        pytest.param(
            {"ce-specversion": "1.0", "content-type": "application/json"}, "binary mode", id="json"
        ),
        pytest.param({"content-type": "application/cloudevents-batch+json"}, "batch", id="batch"),
        pytest.param({"content-type": "Application/CloudEvents-Batch"}, "batch", id="capitals"),
        pytest.param({"content-type": "application/cloudevents+avro"}, "only JSON", id="avro"),
        pytest.param({"content-type": "application/cloudevents"}, "only JSON", id="no format"),
    ],
)
def test_another_mode_is_refused_by_name(headers: dict[str, str], reason: str) -> None:
    """In binary mode the type stands in unsigned headers, so anybody could change it."""
    with pytest.raises(InvalidError, match=reason):
        _read(headers)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        pytest.param({"specversion": ""}, "/specversion", id="no version"),
        pytest.param({"specversion": "0.3"}, "/specversion", id="an older version"),
        pytest.param({"id": ""}, "/id", id="no id"),
        pytest.param({"source": ""}, "/source", id="no source"),
        pytest.param({"type": ""}, "/type", id="no type"),
        pytest.param({"datacontenttype": "application/xml"}, "/datacontenttype", id="XML"),
        pytest.param({"datacontenttype": "json"}, "/datacontenttype", id="half a type"),
        pytest.param({"datacontenttype": "a/notjson"}, "/datacontenttype", id="it ends so"),
        pytest.param({"data_base64": "AAAA"}, "/datacontenttype", id="bytes"),
        pytest.param({"time": "yesterday"}, "", id="no time"),
        pytest.param({"time": "2030-01-01T00:00:00"}, "", id="no zone"),
        pytest.param({"time": "9999-12-31T23:59:59-23:00"}, "", id="after all time"),
        pytest.param({"type": "a" * 129}, "", id="a name without end"),
        pytest.param({"id": None}, "", id="null for an id"),
    ],
)
def test_names_what_cannot_be_read(changed: dict[str, Any], pointer: str) -> None:
    """A person reads it beside the kept receipt."""
    with pytest.raises(InvalidError) as caught:
        _read(**changed)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize("name", list(ENVELOPE))
def test_names_what_is_missing(name: str) -> None:
    body = json.dumps({key: value for key, value in ENVELOPE.items() if key != name}).encode()
    with pytest.raises(InvalidError, match=f"/{name}"):
        CLOUDEVENTS.read({}, body)


@pytest.mark.parametrize("kind", ["application/json", "text/json; charset=utf-8", "a/b+JSON", None])
def test_every_type_of_json_is_read(kind: str | None) -> None:
    """The format counts any subtype that is json or ends in +json."""
    assert _read(datacontenttype=kind).payload == b"{}"


def test_a_time_of_another_zone_is_read_in_utc() -> None:
    assert _read(time="2030-01-01T02:00:00+02:00").occurred_at == AT

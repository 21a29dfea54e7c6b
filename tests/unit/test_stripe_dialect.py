"""Stripe: compared with Stripe's own package, both ways; the members that packages need."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from tests.support.dialect_events import AT, MERCHANT, drawn_events, endpoint_of, new_event_id

from payhooks.dialects.contract import SECRET_RANDOM_BYTES, Reading
from payhooks.dialects.stripe import SIGNATURE, STRIPE
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.event import Event
from payhooks.model.merchant import Mode

pytestmark = pytest.mark.shows("V07")

TEXT = STRIPE.new_secret(bytes(range(SECRET_RANDOM_BYTES)))
SECRET = STRIPE.signing_secret(TEXT)
# Long before any machine's clock, and long after: Stripe's package asks the machine.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
EVENT = Event(
    id=new_event_id(),
    merchant_id=MERCHANT.id,
    type="payment_intent.succeeded",
    family="own",
    data=b'{"id":"pi_1","object":"payment_intent","amount":6540,"metadata":{}}',
    object_type="payment_intent",
    object_id="pi_1",
    occurred_at=datetime(2029, 2, 3, 4, 5, 6, 999_999, tzinfo=UTC),
)
SNAPSHOT: dict[str, Any] = {
    "id": "evt_1",
    "object": "event",
    "created": 1686089970,
    "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
    "livemode": False,
    "type": "payment_intent.succeeded",
}


def _body(event: Event = EVENT, *, mode: Mode = Mode.SANDBOX) -> bytes:
    merchant = msgspec.structs.replace(MERCHANT, mode=mode)
    return STRIPE.render(event=event, endpoint=endpoint_of("stripe"), merchant=merchant).body


def _header(body: bytes, now: datetime) -> str:
    [(name, value)] = STRIPE.sign(message_id="m", body=body, secrets=[SECRET], now=now).headers
    assert name == SIGNATURE == "Stripe-Signature"
    return value


def _read(**changes: object) -> Reading:
    return STRIPE.read({}, json.dumps({**SNAPSHOT, **changes}).encode())


# --- Stripe's own package --------------------------------------------------------------


@pytest.mark.shows("V13")
def test_stripes_package_takes_our_event_with_its_object() -> None:
    """A receiver made for Stripe changes the URL and the secret, nothing else."""
    body = _body()

    event = stripe.Webhook.construct_event(body, _header(body, AT), TEXT)

    assert isinstance(event, stripe.Event)
    assert event.type == "payment_intent.succeeded"
    assert isinstance(event.data.object, stripe.PaymentIntent)
    assert event.data.object.id == "pi_1"
    assert event.id.startswith("evt_")
    assert event.created == 1864785906
    assert event.livemode is False


def test_every_member_that_their_package_names_is_there() -> None:
    """It raises AttributeError for one that is not; only a Connect account has the two others."""
    body = _body()
    event = stripe.Webhook.construct_event(body, _header(body, AT), TEXT)
    for name in set(stripe.Event.__annotations__) - {"account", "context"}:
        if not name.isupper() and not name.startswith("_"):
            getattr(event, name)
    assert event.request is not None
    assert event.request.id is None


@pytest.mark.shows("V13")
def test_stripes_package_takes_events_of_every_family() -> None:
    """Whatever is in the data: objects without a kind, numbers without end, any letter."""
    for event in drawn_events("stripe", count=300, seed=6):
        body = _body(event)
        made = stripe.Webhook.construct_event(body, _header(body, AT), TEXT)
        assert made.type == event.type


@pytest.mark.shows("V13")
@given(body=st.text(st.characters(exclude_categories=["Cs"])), seconds=st.integers(0, 10**11))
def test_a_header_made_by_their_package_is_ours(body: str, seconds: int) -> None:
    """Byte for byte, so neither side can tell who signed."""
    theirs = stripe.WebhookSignature.generate_signature_header(body, TEXT, seconds)
    now = datetime.fromtimestamp(seconds, UTC)
    assert theirs == _header(body.encode(), now)
    STRIPE.verify({"stripe-signature": theirs}, body.encode(), [SECRET], now)


@pytest.mark.shows("V13")
def test_both_refuse_an_old_time_a_changed_body_and_another_secret() -> None:
    """The same forgeries get the same answer on either side."""
    body = _body()
    now, old = _header(body, AT), _header(body, LONG_AGO)
    other = STRIPE.new_secret(bytes(SECRET_RANDOM_BYTES))
    for header, said, text in [(old, body, TEXT), (now, body + b" ", TEXT), (now, body, other)]:
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(said, header, text)
        with pytest.raises(SignatureError):
            STRIPE.verify({"stripe-signature": header}, said, [STRIPE.verifying_secret(text)], AT)


@pytest.mark.shows("V13")
def test_their_package_takes_either_secret_while_keys_roll() -> None:
    """Stripe signs with both for a day; so do we for the grace."""
    body, other = _body(), STRIPE.new_secret(bytes(SECRET_RANDOM_BYTES))
    secrets = [STRIPE.signing_secret(other), SECRET]
    [(_, header)] = STRIPE.sign(message_id="m", body=body, secrets=secrets, now=AT).headers
    for text in (TEXT, other):
        assert stripe.Webhook.construct_event(body, header, text).id


# --- writing and reading ---------------------------------------------------------------


def test_a_new_secret_is_letters_and_digits_and_all_of_it_is_the_key() -> None:
    """Unlike the same prefix of Standard Webhooks, where the rest is base64 of the key."""
    assert TEXT.startswith("whsec_")
    assert TEXT.removeprefix("whsec_").isalnum()
    assert SECRET.key == TEXT.encode()


@pytest.mark.parametrize(("mode", "printed"), [(Mode.SANDBOX, False), (Mode.LIVE, True)])
def test_livemode_is_the_merchants_mode(mode: Mode, printed: bool) -> None:  # noqa: FBT001 - a table
    """A receiver that ships goods looks at it first."""
    body = _body(mode=mode)
    assert json.loads(body)["livemode"] is printed
    assert STRIPE.read({}, body).is_test is not printed


def test_reads_what_it_writes() -> None:
    """One dialect, both ways; its time has whole seconds."""
    reading = STRIPE.read({}, _body())
    assert reading.event_type == EVENT.type
    assert (reading.object_type, reading.object_id) == ("payment_intent", "pi_1")
    assert reading.payload == EVENT.data
    assert reading.occurred_at == reading.ordered_at == datetime(2029, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_an_api_version_is_the_endpoints() -> None:
    """Some packages refuse another than the one they were made for."""
    endpoint = msgspec.structs.replace(endpoint_of("stripe"), api_version="2024-06-20")
    body = STRIPE.render(event=EVENT, endpoint=endpoint, merchant=MERCHANT).body
    assert json.loads(body)["api_version"] == "2024-06-20"
    assert json.loads(_body())["api_version"] is None


@pytest.mark.parametrize(
    "created",
    [None, "2024-09-17T06:20:52Z", 1.5, -1, 253402300800, 10**30, "1686089970", True, []],
)
def test_another_time_is_read_as_none(created: object) -> None:
    """It is no reason to refuse the money that moved."""
    assert _read(created=created).occurred_at is None


def test_the_last_second_of_time_is_one() -> None:
    assert _read(created=253402300799).occurred_at == datetime.max.replace(
        microsecond=0, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("about", "object_type", "object_id"),
    [
        pytest.param({"id": "pi_1"}, "charge", "pi_1", id="the kind stands beside"),
        pytest.param({"object": "refund"}, "refund", None, id="inside is nearer, and no id"),
        pytest.param({"id": 17}, "charge", "17", id="a number for an id"),
        pytest.param({"id": {}, "object": []}, "charge", None, id="neither is a name"),
    ],
)
def test_reads_which_object_it_is_about(
    about: dict[str, Any], object_type: str, object_id: str | None
) -> None:
    """As far as it is said; compatible gateways say it elsewhere."""
    reading = _read(data={"type": "charge", "object": about})
    assert (reading.object_type, reading.object_id) == (object_type, object_id)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        pytest.param({"id": ""}, "/id", id="no id"),
        pytest.param({"type": ""}, "/type", id="no type"),
        pytest.param({"data": {}}, "/data/object", id="no object"),
        pytest.param({"object": "list"}, "/object", id="no event"),
        pytest.param({"data": {"object": []}}, "", id="a list for an object"),
        pytest.param({"livemode": 1}, "", id="a number for livemode"),
        pytest.param({"type": "a" * 129}, "", id="a name without end"),
    ],
)
def test_names_what_cannot_be_read(changed: dict[str, Any], pointer: str) -> None:
    """A person reads it beside the kept receipt."""
    with pytest.raises(InvalidError) as caught:
        _read(**changed)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


@pytest.mark.parametrize(
    ("name", "words"), [("id", "no id"), ("type", "no type"), ("data", "no data[.]object")]
)
def test_names_what_is_missing(name: str, words: str) -> None:
    body = json.dumps({key: value for key, value in SNAPSHOT.items() if key != name}).encode()
    with pytest.raises(InvalidError, match=words):
        STRIPE.read({}, body)


def test_a_time_ahead_is_refused_too() -> None:
    """Stripe's package looks back only; a forger's clock may run ahead as well as behind."""
    body = _body()
    header = _header(body, AT + timedelta(minutes=6))
    with pytest.raises(SignatureError):
        STRIPE.verify({"stripe-signature": header}, body, [SECRET], AT)

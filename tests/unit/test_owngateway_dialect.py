"""OwnGateway and Hyperswitch: vectors, one body for all attempts, ids, drift, garbage."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.dialect_events import AT, MERCHANT, drawn_events, endpoint_of, new_event_id

from payhooks.dialects.contract import NO_OPTIONS, Options
from payhooks.dialects.owngateway import HYPERSWITCH, OWNGATEWAY, SIGNATURE, OwnGateway
from payhooks.errors import InvalidError, SignatureError
from payhooks.ids import EventId, MerchantId
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.policy.retry import POLICIES

pytestmark = pytest.mark.shows("V06")

TESTS = Path(__file__).parents[1]


def _cases(name: str) -> list[dict[str, Any]]:
    text = (TESTS / "vectors" / "owngateway" / f"{name}.json").read_text()
    cases: list[dict[str, Any]] = json.loads(text)["cases"]
    return cases


GOLDEN = _cases("verify")[0]
BODY = GOLDEN["body"].encode()
SECRET = OWNGATEWAY.signing_secret(GOLDEN["secret"])
OLD_SECRET = OWNGATEWAY.signing_secret("the-key-before-the-rotation")
HEADERS = {SIGNATURE.lower(): GOLDEN["headers"][SIGNATURE]}
GOOD = HEADERS[SIGNATURE.lower()]
BOTH = [pytest.param(OWNGATEWAY, id="owngateway"), pytest.param(HYPERSWITCH, id="hyperswitch")]


@dataclass(frozen=True)
class _Written:
    event: Event
    options: Options
    merchant: Merchant


def _written(case: dict[str, Any]) -> _Written:
    said, of = case["event"], case["merchant"]
    occurred_at = said.get("occurred_at")
    about = said.get("object", {"type": None, "id": None})
    event = Event(
        id=EventId(bytes.fromhex(said["id"])),
        merchant_id=MERCHANT.id,
        type=said["type"],
        family="owngateway",
        data=said["data"].encode(),
        object_type=about["type"],
        object_id=about["id"],
        occurred_at=None if occurred_at is None else datetime.fromisoformat(occurred_at),
    )
    merchant = _merchant(of.get("provider_ids", {}), of.get("reference"), said["id"])
    return _Written(event, case["dialect_options"], merchant)


def _merchant(provider_ids: dict[str, str], reference: str | None, id_: str) -> Merchant:
    return Merchant(
        id=MerchantId(bytes.fromhex(id_)),
        name=MERCHANT.name,
        mode=MERCHANT.mode,
        reference=reference,
        families=(),
        provider_ids=tuple(provider_ids.items()),
        card_numbers=MERCHANT.card_numbers,
        type_check=MERCHANT.type_check,
        account_id=None,
        version=1,
        created_at=AT,
        updated_at=AT,
    )


def _event(type_: str, data: bytes = b"{}", about: tuple[str, str] | None = None) -> Event:
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=type_,
        family="owngateway",
        data=data,
        object_type=about and about[0],
        object_id=about and about[1],
    )


def _body(event: Event, options: Options = NO_OPTIONS) -> bytes:
    endpoint = endpoint_of("owngateway", options)
    return OWNGATEWAY.render(event=event, endpoint=endpoint, merchant=MERCHANT).body


# --- writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", _cases("write"), ids=lambda case: case["name"])
@pytest.mark.parametrize("dialect", BOTH)
def test_writes_the_vectors(dialect: OwnGateway, case: dict[str, Any]) -> None:
    """Anybody can make these again with a hash function and a text editor."""
    given_ = _written(case)
    endpoint = endpoint_of(dialect.name, given_.options)

    rendered = dialect.render(event=given_.event, endpoint=endpoint, merchant=given_.merchant)
    secret = dialect.signing_secret(case["secret"])
    signed = dialect.sign(message_id="m", body=rendered.body, secrets=[secret], now=AT)

    assert rendered.body.decode() == case["body"]
    assert rendered.content_type == "application/json"
    assert dict(signed.headers) == case["headers"]
    assert signed.body == rendered.body


@pytest.mark.parametrize(
    ("type_", "about", "content_type"),
    [
        ("payment_captured", None, "payment_details"),
        ("refund_failed", None, "refund_details"),
        ("dispute_won", None, "dispute_details"),
        ("mandate_active", None, "mandate_details"),
        ("payout_failed", None, "payout_details"),
        ("invoice_paid", None, "subscription_details"),
        ("action_required", None, "payment_details"),
        ("order.success", None, "order_details"),
        ("topupCard.validate", None, "topupCard_details"),
        ("payment_failed", ("refund", "r"), "refund_details"),
        ("a", ('x"', "r"), 'x"_details'),
    ],
)
def test_content_says_what_the_object_is(
    type_: str, about: tuple[str, str] | None, content_type: str
) -> None:
    """Receivers choose their parser by it: the object's own word goes first."""
    body = _body(_event(type_, about=about))
    assert json.loads(body)["content"]["type"] == content_type


def test_only_the_space_between_tokens_is_removed() -> None:
    """The original's encoder is compact; a sum or a text spelled otherwise is another one."""
    data = (
        rb'{ "a b" : [ 1.10 , 1e400,-0.0E+5 ,{ } ] ,%b"t":"  \" \\" , "u": "\u00e9\/" }'
        % b"\n\t\r "
    )
    body = _body(_event("a", data))
    compact = rb'"object":{"a b":[1.10,1e400,-0.0E+5,{}],"t":"  \" \\","u":"\u00e9\/"}}'
    assert compact in body


_SPACED = st.sampled_from(["", " ", "\n", "\t\r\n "])


@given(
    value=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text('" \\é'),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(' "\\'), inner),
            max_leaves=8,
        ),
    ),
    space=_SPACED,
    as_it_is=st.booleans(),
)
@example(value={' \\" , : ': ["\\\\", " ", '\\"']}, space="\n", as_it_is=True)
def test_spaced_data_becomes_what_a_compact_encoder_writes(
    value: dict[str, Any], space: str, *, as_it_is: bool
) -> None:
    """Strings that look like the end of a string are where a hand-made scan goes wrong."""
    spaced = json.dumps(
        value, ensure_ascii=as_it_is, separators=(f"{space},{space}", f"{space}:{space}")
    )
    compact = json.dumps(value, ensure_ascii=as_it_is, separators=(",", ":"))
    body = _body(_event("a", f"{space}{spaced}{space}".encode()))
    assert b'"object":%b},' % compact.encode() in body


def test_every_event_has_an_id_of_its_own_that_keeps_their_order() -> None:
    """A receiver that dedupes must not take a second capture for the first."""
    bodies = [_body(event) for event in drawn_events("owngateway", count=500, seed=2)]
    found = [json.loads(body)["event_id"] for body in bodies]
    assert len(set(found)) == len(found)
    for text in found:
        version, variant = text[16], text[20]
        assert (text[:4], len(text), version) == ("evt_", 36, "7")
        assert variant in "89ab"
    moments = [text[4:16] for text in found]
    assert moments == sorted(moments)


def test_two_endpoints_of_one_event_are_told_under_two_ids() -> None:
    """They may be two merchants' systems that compare notes; one delivery, one id."""
    event = _event("payment_succeeded")
    first = endpoint_of("owngateway")
    second = type(first)(
        **{name: getattr(first, name) for name in first.__struct_fields__} | {"number": 2}
    )
    ids = [
        json.loads(OWNGATEWAY.render(event=event, endpoint=each, merchant=MERCHANT).body)[
            "event_id"
        ]
        for each in (first, second)
    ]
    assert ids[0] != ids[1]


def test_one_id_for_each_object_and_type_where_asked() -> None:
    """As the original has it; an event of nothing still needs an id of its own."""
    options = {"event_ids": "object"}
    about = ("payment", "pay_6AMmb6rtlPDarBLlotAH")
    first, again, other, none = (
        json.loads(_body(event, options))["event_id"]
        for event in (
            _event("payment_succeeded", about=about),
            _event("payment_succeeded", about=about),
            _event("payment_captured", about=about),
            _event("payment_succeeded"),
        )
    )
    assert first == again == "Q5oFiBIvgx0xeGxAezvcfhD39oOA96j5HkJ5VnV1N8A"
    assert other != first
    assert none.startswith("evt_")


@pytest.mark.parametrize("dialect", BOTH)
def test_no_secret_no_header(dialect: OwnGateway) -> None:
    """As the original does where the profile has no key."""
    assert dialect.sign(message_id="m", body=BODY, secrets=[], now=AT) == ((), BODY)


def test_the_newest_secret_signs_and_every_attempt_is_the_same() -> None:
    """There is room for one signature: a merchant that has just fetched a secret uses it."""
    attempts = {
        OWNGATEWAY.sign(
            message_id="m", body=BODY, secrets=[SECRET, OLD_SECRET], now=AT + timedelta(hours=hours)
        )
        for hours in range(3)
    }
    (signed,) = attempts
    headers = {name.lower(): value for name, value in signed.headers}
    OWNGATEWAY.verify(headers, signed.body, [SECRET], AT)
    OWNGATEWAY.verify(headers, signed.body, [OLD_SECRET, SECRET], AT)
    with pytest.raises(SignatureError):
        OWNGATEWAY.verify(headers, signed.body, [OLD_SECRET], AT)


# --- choices ---------------------------------------------------------------------------


def test_the_two_names_differ_in_how_often_they_try() -> None:
    """The document says three retries; what it was made from does sixteen."""
    retries = [
        len(POLICIES[dialect.retry_policy].delays_s) for dialect in (OWNGATEWAY, HYPERSWITCH)
    ]
    assert retries == [3, 16]


@pytest.mark.parametrize("value", ["each", "object"])
def test_event_ids_can_be_chosen(value: str) -> None:
    OWNGATEWAY.check_options({})
    OWNGATEWAY.check_options({"event_ids": value})


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        pytest.param({"event_ids": "one"}, "/dialect_options/event_ids", id="value"),
        pytest.param({"event_id": "each"}, "/dialect_options", id="name"),
    ],
)
def test_other_choices_are_refused(options: dict[str, str], pointer: str) -> None:
    """A misspelled option that is taken silently is found out by duplicates."""
    with pytest.raises(InvalidError) as caught:
        OWNGATEWAY.check_options(options)
    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_a_new_secret_is_sixty_four_letters_and_digits() -> None:
    """As long as the original's, so that it fits wherever receivers keep that."""
    text = OWNGATEWAY.new_secret(bytes(range(32)))
    assert (len(text), text.isalnum(), text.isascii()) == (64, True, True)
    assert OWNGATEWAY.signing_secret(text) == OWNGATEWAY.verifying_secret(text)
    with pytest.raises(InvalidError):
        OWNGATEWAY.signing_secret("short")


# --- verifying -------------------------------------------------------------------------


@pytest.mark.parametrize("case", _cases("verify"), ids=lambda case: case["name"])
@pytest.mark.parametrize("dialect", BOTH)
def test_verifies_the_vectors(dialect: OwnGateway, case: dict[str, Any]) -> None:
    """However old: nothing in the request says when it was made."""
    headers = {name.lower(): value for name, value in case["headers"].items()}
    secret = dialect.verifying_secret(case["secret"])
    dialect.verify(headers, case["body"].encode(), [secret], AT)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param(GOOD.upper(), id="upper case"),
        pytest.param(GOOD[:-1], id="one cut off"),
        pytest.param(GOOD + "0", id="one too many"),
        pytest.param(GOOD + "," + GOOD, id="twice"),
        pytest.param(GOOD[:64], id="half"),
        pytest.param(" " + GOOD, id="a space"),
        pytest.param("sha512=" + GOOD, id="a prefix"),
        pytest.param(base64.b64encode(bytes.fromhex(GOOD)).decode(), id="base64"),
        pytest.param("\udcff\ud800", id="no UTF-8"),
    ],
)
def test_refuses(value: str) -> None:
    """Each line is a spelling that somebody's loose comparison would take."""
    with pytest.raises(SignatureError):
        OWNGATEWAY.verify({SIGNATURE.lower(): value}, BODY, [SECRET, OLD_SECRET], AT)


def test_refuses_the_header_that_documentation_once_named() -> None:
    """X-Webhook-Signature-256 never existed; a request with nothing else is not signed."""
    with pytest.raises(SignatureError, match=SIGNATURE):
        OWNGATEWAY.verify({"x-webhook-signature-256": GOOD}, BODY, [SECRET], AT)


def test_refuses_every_bit_that_is_not_as_signed() -> None:
    """In the body and in the header alike."""
    for place in range(0, len(BODY) * 8, 5):
        changed = bytearray(BODY)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(SignatureError):
            OWNGATEWAY.verify(HEADERS, bytes(changed), [SECRET], AT)
    for place in range(len(GOOD) * 7):
        spelled = bytearray(GOOD.encode())
        spelled[place // 7] ^= 1 << place % 7
        with pytest.raises(SignatureError):
            OWNGATEWAY.verify({SIGNATURE.lower(): spelled.decode()}, BODY, [SECRET], AT)


@given(headers=st.dictionaries(st.just(SIGNATURE.lower()) | st.text(), st.text()), body=st.binary())
def test_garbage_is_refused_and_never_anything_else(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureError):
        OWNGATEWAY.verify(headers, body, [SECRET], AT)


# --- both ways --------------------------------------------------------------------------


def test_reads_what_it_writes() -> None:
    """One dialect, both ways; what it orders by is the object's own time."""
    data = b'{"payment_id":"pay_1","amount":1.10,"updated":"2029-02-03T04:05:06.007Z"}'
    event = _event("payment_succeeded", data, about=("payment", "pay_1"))

    reading = OWNGATEWAY.read({}, _body(event))

    assert (reading.event_type, reading.payload) == (event.type, data)
    assert (reading.object_type, reading.object_id) == ("payment", "pay_1")
    assert reading.occurred_at == event.created_at
    assert reading.ordered_at == datetime(2029, 2, 3, 4, 5, 6, 7000, tzinfo=UTC)

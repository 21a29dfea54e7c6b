"""The Standard Webhooks dialect: public vectors, another implementation, forgeries, garbage."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.dialects.contract import Ed25519Secret, HmacSecret
from payhooks.dialects.schemes import SIGNATURES_MAX, TOLERANCE
from payhooks.dialects.secret_text import PUBLIC_PREFIX
from payhooks.dialects.standard import STANDARD
from payhooks.errors import InvalidError, SignatureError
from payhooks.ids import EndpointId, EventId, MerchantId, TimeOrderedIds
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.testing.clock import ManualClock

pytestmark = pytest.mark.shows("V01")

VECTORS = Path(__file__).parents[1] / "vectors" / "standard"
CASES: list[dict[str, Any]] = [
    case
    for file in sorted(VECTORS.glob("*.json"))
    for case in json.loads(file.read_text())["cases"]
]
BODY = b'{"test": 2432232314}'
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)
HMAC = HmacSecret(key=base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
OLD_HMAC = HmacSecret(key=b"the key before the rotation")
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
HEADERS = dict(
    STANDARD.sign(message_id=MESSAGE_ID, body=BODY, secrets=[HMAC], now=SIGNED_AT).headers
)
GOOD = HEADERS["webhook-signature"]
URL_SAFE = GOOD.replace("+", "-").replace("/", "_")

AT = datetime(2030, 1, 1, tzinfo=UTC)
IDS = TimeOrderedIds(ManualClock(AT), Random(1))
MERCHANT = Merchant(
    id=MerchantId(IDS.new()),
    name="Corner shop",
    mode=Mode.SANDBOX,
    reference=None,
    families=(),
    provider_ids=(),
    card_numbers=CardNumbers.REPORT,
    type_check=TypeCheck.WARN,
    account_id=None,
    version=1,
    created_at=AT,
    updated_at=AT,
)
ENDPOINT = Endpoint(
    id=EndpointId(IDS.new()),
    merchant_id=MERCHANT.id,
    number=1,
    label="Ledger",
    url="https://example.com/hooks",
    events=("*",),
    status=EndpointStatus.ACTIVE,
    disabled_reason=None,
    version=1,
    created_at=AT,
    updated_at=AT,
)


def _event(data: bytes, *, kind: str = "payment_intent.succeeded", at: datetime | None) -> Event:
    event_id = EventId(IDS.new_event())
    return Event(
        id=event_id, merchant_id=MERCHANT.id, type=kind, family="owlpay", data=data, occurred_at=at
    )


def _body(
    data: bytes, *, kind: str = "payment_intent.succeeded", at: datetime | None = AT
) -> bytes:
    event = _event(data, kind=kind, at=at)
    return STANDARD.render(event=event, endpoint=ENDPOINT, merchant=MERCHANT).body


# --- writing ---------------------------------------------------------------------------


@pytest.mark.shows("S07")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_signs_and_verifies_the_vectors(case: dict[str, Any]) -> None:
    """Anybody can check these against another implementation."""
    now = datetime.fromtimestamp(case["timestamp"], UTC)
    body = case["body"].encode()
    secret = STANDARD.signing_secret(case["secret"])

    headers = dict(
        STANDARD.sign(message_id=case["id"], body=body, secrets=[secret], now=now).headers
    )

    assert headers == {
        "webhook-id": case["id"],
        "webhook-timestamp": str(case["timestamp"]),
        "webhook-signature": case["signature"],
    }
    STANDARD.verify(headers, body, [STANDARD.verifying_secret(case["verifying_secret"])], now)


def test_data_arrives_byte_for_byte() -> None:
    """Decoding and encoding again would turn 1.10 into 1.1, and a merchant's sum with it."""
    data = b'{ "amount": 1.10,\n "big": 12345678901234567890123, "amount": 1e2, "s": "\\u00e9" }'

    assert _body(data) == (
        b'{"type":"payment_intent.succeeded","timestamp":"2030-01-01T00:00:00.000000Z","data":'
        + data
        + b"}"
    )


@pytest.mark.parametrize(
    ("at", "printed"),
    [
        pytest.param(datetime(2029, 2, 3, 4, 5, 6, 7, tzinfo=UTC), "2029-02-03T04:05:06.000007Z"),
        pytest.param(
            datetime(2029, 2, 3, 1, tzinfo=timezone(timedelta(hours=2))),
            "2029-02-02T23:00:00.000000Z",
            id="another zone's midnight",
        ),
        pytest.param(None, "2030-01-01T00:00:00.000000Z", id="none: when it was accepted"),
    ],
)
def test_the_timestamp_is_when_it_happened(at: datetime | None, printed: str) -> None:
    """To the microsecond: receivers order by it."""
    assert json.loads(_body(b"{}", at=at))["timestamp"] == printed


def test_a_type_cannot_break_out_of_the_envelope() -> None:
    """Types come from publishers; a quote in one must stay a quote in one."""
    kind = 'a","data":{},"x":"é'
    assert json.loads(_body(b"1", kind=kind)) == {
        "type": kind,
        "timestamp": "2030-01-01T00:00:00.000000Z",
        "data": 1,
    }


def test_the_body_is_the_same_on_every_attempt() -> None:
    """Receivers that dedupe by a hash of the body, and our own promise, rely on it."""
    event = _event(b'{"n":1}', at=None)
    first = STANDARD.render(event=event, endpoint=ENDPOINT, merchant=MERCHANT)
    again = STANDARD.render(event=event, endpoint=ENDPOINT, merchant=MERCHANT)
    assert first == again
    assert first.content_type == "application/json"


def test_without_secrets_there_is_no_signature_header() -> None:
    """An empty one would read as a broken signature rather than as none."""
    headers = dict(STANDARD.sign(message_id="del_1", body=BODY, secrets=[], now=SIGNED_AT).headers)
    assert headers == {"webhook-id": "del_1", "webhook-timestamp": "1614265330"}


def test_a_dot_in_our_own_message_id_is_a_bug() -> None:
    """With one, two different messages could have the same signed bytes."""
    with pytest.raises(AssertionError, match="dot"):
        STANDARD.sign(message_id="del.1", body=BODY, secrets=[HMAC], now=SIGNED_AT)


@pytest.mark.shows("S10")
@pytest.mark.parametrize("kept", [0, 1], ids=["new secret", "old secret"])
def test_either_secret_verifies_during_a_rotation(kept: int) -> None:
    """The merchant changes over whenever it likes within the grace."""
    secrets = [HMAC, OLD_HMAC]
    headers = dict(STANDARD.sign(message_id="m", body=BODY, secrets=secrets, now=SIGNED_AT).headers)
    STANDARD.verify(headers, BODY, [secrets[kept]], SIGNED_AT)


def test_v1_and_v1a_travel_side_by_side() -> None:
    """Going over from one to the other is a rotation like any other."""
    private = Ed25519Secret(private=Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    raw = private.private.public_key().public_bytes_raw()
    public = STANDARD.verifying_secret(PUBLIC_PREFIX + base64.b64encode(raw).decode())

    headers = dict(
        STANDARD.sign(message_id="m", body=BODY, secrets=[private, HMAC], now=SIGNED_AT).headers
    )

    STANDARD.verify(headers, BODY, [HMAC], SIGNED_AT)
    STANDARD.verify(headers, BODY, [public], SIGNED_AT)
    with pytest.raises(SignatureError):
        STANDARD.verify(headers, BODY + b" ", [public], SIGNED_AT)


@pytest.mark.shows("V14")
@pytest.mark.shows("S07")
@given(
    secret=st.binary(min_size=24, max_size=64),
    body=st.text(st.characters(exclude_categories=["Cs"])),
    message_id=st.text("abcdefgh_0123456789", min_size=1),
)
def test_another_implementation_makes_the_same_signature(
    secret: bytes, body: str, message_id: str
) -> None:
    """Merchants verify with this package, not with ours."""
    ours = dict(
        STANDARD.sign(
            message_id=message_id,
            body=body.encode(),
            secrets=[HmacSecret(key=secret)],
            now=SIGNED_AT,
        ).headers
    )
    theirs = standardwebhooks.Webhook(secret).sign(message_id, SIGNED_AT, body)
    assert ours["webhook-signature"] == theirs


# --- verifying -------------------------------------------------------------------------


@pytest.mark.shows("S08")
@pytest.mark.parametrize("skew", [-TOLERANCE, timedelta(), TOLERANCE])
def test_accepts_up_to_the_very_edge_of_the_tolerance(skew: timedelta) -> None:
    """Published as five minutes, so five minutes must work."""
    STANDARD.verify(HEADERS, BODY, [HMAC], SIGNED_AT + skew)


@pytest.mark.shows("S08")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"webhook-id": "msg_other"}, "no signature matches", id="other id"),
        pytest.param({"webhook-id": ""}, "empty", id="empty id"),
        pytest.param({"webhook-id": "a.1"}, "dot", id="an id with a dot"),
        pytest.param({"webhook-id": "a" * 256}, "too long", id="an id without end"),
        pytest.param({"webhook-timestamp": "1614265331"}, "no signature", id="other time"),
        pytest.param({"webhook-timestamp": "nan"}, "not a number", id="nan"),
        pytest.param({"webhook-timestamp": "-1"}, "not a number", id="before 1970"),
        pytest.param({"webhook-timestamp": "1614265330.0"}, "not a number", id="a fraction"),
        pytest.param({"webhook-timestamp": "١٦"}, "not a number", id="arabic digits"),
        pytest.param({"webhook-timestamp": ""}, "not a number", id="empty time"),
        pytest.param({"webhook-timestamp": "9" * 5000}, "too long", id="huge"),
        pytest.param({"webhook-timestamp": "1614265029"}, "outside the", id="a second late"),
        pytest.param({"webhook-timestamp": "1614265631"}, "outside the", id="a second early"),
        pytest.param({"webhook-signature": ""}, "no signature", id="nothing"),
        pytest.param({"webhook-signature": "garbage"}, "no signature", id="no version"),
        pytest.param({"webhook-signature": "v1,abc"}, "no signature", id="bad base64"),
        pytest.param({"webhook-signature": "v1,"}, "no signature", id="empty"),
        pytest.param({"webhook-signature": GOOD[:-1]}, "no signature", id="one cut off"),
        pytest.param({"webhook-signature": GOOD + "="}, "no signature", id="one too many"),
        pytest.param({"webhook-signature": GOOD.replace(",", "=")}, "no signature", id="v1="),
        pytest.param({"webhook-signature": GOOD.upper()}, "no signature", id="upper case"),
        pytest.param({"webhook-signature": "v2" + GOOD[2:]}, "no signature", id="another version"),
        pytest.param({"webhook-signature": "v1a" + GOOD[2:]}, "no signature", id="v1 as v1a"),
        pytest.param({"webhook-signature": URL_SAFE}, "no signature", id="url-safe base64"),
        # E and F differ in bits that decoding drops.
        pytest.param({"webhook-signature": GOOD[:-2] + "F="}, "no signature", id="loose base64"),
        pytest.param(
            {"webhook-signature": "v1,x " * 99 + GOOD}, "too many", id="the hundredth is right"
        ),
    ],
)
def test_refuses(change: dict[str, str], reason: str) -> None:
    """Each line is a way in that somebody's verifier has had."""
    with pytest.raises(SignatureError) as caught:
        STANDARD.verify({**HEADERS, **change}, BODY, [HMAC], SIGNED_AT)
    assert reason in caught.value.reason


@pytest.mark.shows("S08")
def test_the_last_of_the_allowed_signatures_counts() -> None:
    """A sender in the middle of rotations puts the one we know anywhere."""
    signatures = " ".join(["v1,x"] * (SIGNATURES_MAX - 1) + [GOOD])
    STANDARD.verify({**HEADERS, "webhook-signature": signatures}, BODY, [HMAC], SIGNED_AT)


@pytest.mark.parametrize("name", sorted(HEADERS))
def test_refuses_what_lacks_a_header(name: str) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != name}
    with pytest.raises(SignatureError, match=name):
        STANDARD.verify(headers, BODY, [HMAC], SIGNED_AT)


@pytest.mark.parametrize(
    "body",
    [BODY + b"\n", BODY.replace(b" ", b""), BODY.decode().encode("utf-16"), b""],
    ids=["a newline more", "serialised again", "another charset", "empty"],
)
def test_refuses_a_body_that_only_means_the_same(body: bytes) -> None:
    """Bytes are signed, not meanings: whoever accepts these has parsed before verifying."""
    with pytest.raises(SignatureError):
        STANDARD.verify(HEADERS, body, [HMAC], SIGNED_AT)


ED25519 = STANDARD.verifying_secret(CASES[1]["verifying_secret"])


@given(
    headers=st.fixed_dictionaries({}, optional=dict.fromkeys(HEADERS, st.text())),
    body=st.binary(),
)
def test_garbage_is_refused_and_never_anything_else(headers: dict[str, str], body: bytes) -> None:
    """The contract of every dialect, with bytes nobody would write on purpose."""
    with pytest.raises(SignatureError):
        STANDARD.verify(headers, body, [HMAC, ED25519], SIGNED_AT)


@given(signature=st.text(), message_id=st.text(), version=st.sampled_from(["v1,", "v1a,"]))
# Undecodable header bytes arrive as lone surrogates; random text (almost) never has one.
@example(signature="", message_id="\udcff", version="v1,")
@example(signature="\udcff", message_id="\ud800", version="v1a,")
@example(signature="A" * 86 + "==", message_id="m", version="v1a,")
def test_garbage_is_refused_when_the_timestamp_is_good(
    signature: str, message_id: str, version: str
) -> None:
    """The garbage above rarely gets past the timestamp; this does."""
    headers = {**HEADERS, "webhook-signature": version + signature, "webhook-id": message_id}
    with pytest.raises(SignatureError):
        STANDARD.verify(headers, BODY, [HMAC, ED25519], SIGNED_AT)


@pytest.mark.parametrize("case", CASES[1:], ids=lambda case: case["name"])
def test_v1a_base64_with_loose_ends_is_refused(case: dict[str, Any]) -> None:
    """Bits that decoding drops would give one signature several spellings."""
    now = datetime.fromtimestamp(case["timestamp"], UTC)
    signature = case["signature"]
    loose = signature.removesuffix(signature[-3:]) + chr(ord(signature[-3]) + 1) + "=="
    headers = {
        "webhook-id": case["id"],
        "webhook-timestamp": str(case["timestamp"]),
        "webhook-signature": loose,
    }
    with pytest.raises(SignatureError):
        STANDARD.verify(headers, case["body"].encode(), [ED25519], now)


# --- reading ---------------------------------------------------------------------------


def test_reads_what_it_writes() -> None:
    """One dialect, both ways."""
    at = datetime(2029, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
    data = b'{"id": "pi_1",  "amount": 1.10}'

    reading = STANDARD.read({"webhook-id": "del_1"}, _body(data, at=at))

    assert reading.event_type == "payment_intent.succeeded"
    assert reading.occurred_at == at
    assert reading.payload == data
    assert reading.ids == (("webhook-id", "del_1"),)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b'{"type":"a","timestamp":"2030-01-01T00:00:00Z"}', id="no data"),
        pytest.param(b'{"type":"","timestamp":"2030-01-01T00:00:00Z","data":1}', id="no type"),
        pytest.param(b'{"type":"a","timestamp":"2030-01-01T00:00:00","data":1}', id="no zone"),
        pytest.param(b'{"type":"a","timestamp":"yesterday","data":1}', id="no time"),
        pytest.param(
            b'{"type":"a","timestamp":"9999-12-31T23:59:59-23:00","data":1}', id="after all time"
        ),
        pytest.param(
            b'{"type":"a","timestamp":"2030-01-01T00:00:00Z","data":"\xff"}', id="not UTF-8"
        ),
        pytest.param(
            b'{"type":"a","timestamp":"2030-01-01T00:00:00Z","data":' + b"[" * 100_000, id="deep"
        ),
    ],
)
def test_what_cannot_be_read_is_invalid(body: bytes) -> None:
    """A verified sender may still send nonsense, and that must not stop a worker."""
    with pytest.raises(InvalidError):
        STANDARD.read({}, body)


@given(body=st.one_of(st.binary(), st.text().map(str.encode)))
def test_reading_garbage_raises_invalid_and_nothing_else(body: bytes) -> None:
    """See above."""
    with pytest.raises(InvalidError):
        STANDARD.read({}, body)

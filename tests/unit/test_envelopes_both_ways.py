"""owlpay, stripe and cloudevents: vectors, ids, rotations, garbage, foreign code.

What holds for every dialect is asked in test_every_dialect.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.dialect_events import AT, MERCHANT, drawn_events, endpoint_of, new_event_id
from tests.support.envelope_vectors import as_case, lowered, signed_at, vectors, written
from tests.support.outside import judged_outside

from payhooks.dialects.cloudevents import CLOUDEVENTS
from payhooks.dialects.contract import SECRET_RANDOM_BYTES, Dialect, SigningSecret
from payhooks.dialects.owlpay import OWLPAY
from payhooks.dialects.registry import DIALECTS
from payhooks.dialects.schemes import TOLERANCE
from payhooks.dialects.stripe import STRIPE
from payhooks.errors import InvalidError, SignatureError
from payhooks.model.event import Event
from payhooks.policy.retry import POLICIES

pytestmark = pytest.mark.shows("V02", "V07", "V08", "V15")

THREE: list[Dialect] = [OWLPAY, STRIPE, CLOUDEVENTS]
each = pytest.mark.parametrize("dialect", THREE, ids=lambda dialect: dialect.name)


def _each_case(name: str, wanted: Callable[[dict[str, Any]], bool] = bool) -> list[Any]:
    return [
        pytest.param(dialect, case, id=f"{dialect.name}: {case['name']}")
        for dialect in THREE
        for case in vectors(dialect.name, name)
        if wanted(case)
    ]


def _secrets(dialect: Dialect) -> list[str]:
    return [dialect.new_secret(bytes([number]) * SECRET_RANDOM_BYTES) for number in (1, 2)]


def _signing(dialect: Dialect) -> list[SigningSecret]:
    return [dialect.signing_secret(text) for text in _secrets(dialect)]


def _event(*, kind: str = "payment.paid", object_type: str = "payment") -> Event:
    return Event(
        id=new_event_id(),
        merchant_id=MERCHANT.id,
        type=kind,
        family="own",
        data=b'{"id":"pay_1","amount":1.10}',
        object_type=object_type,
        object_id="pay_1",
    )


def _request(dialect: Dialect, event: Event) -> tuple[dict[str, str], bytes]:
    body = dialect.render(event=event, endpoint=endpoint_of(dialect.name), merchant=MERCHANT).body
    signed = dialect.sign(message_id="m", body=body, secrets=_signing(dialect)[:1], now=AT)
    assert signed.body == body
    return lowered(dict(signed.headers)), body


# --- vectors ---------------------------------------------------------------------------


@pytest.mark.parametrize(("dialect", "case"), _each_case("write"))
def test_writes_the_vectors_to_the_byte(dialect: Dialect, case: dict[str, Any]) -> None:
    """They were made without the product, so anybody's receiver can be tried with them."""
    assert written(dialect, case) == (case["content_type"], case["headers"], case["body"].encode())


@pytest.mark.parametrize(("dialect", "case"), _each_case("verify"))
def test_verifies_the_vectors_with_the_secret_alone(dialect: Dialect, case: dict[str, Any]) -> None:
    """Also what only another sender writes: other orders, other versions, spaces."""
    headers, body, now = lowered(case["headers"]), case["body"].encode(), signed_at(case)
    dialect.verify(headers, body, [dialect.verifying_secret(case["secret"])], now)
    with pytest.raises(SignatureError):
        dialect.verify(headers, body, [dialect.verifying_secret(_secrets(dialect)[0])], now)


@pytest.mark.parametrize(("dialect", "case"), _each_case("read", lambda case: "reading" in case))
def test_reads_the_samples(dialect: Dialect, case: dict[str, Any]) -> None:
    """In every spelling that its provider has had."""
    reading = dialect.read(case.get("headers", {}), case["body"].encode())
    assert as_case(reading) == case["reading"]


@pytest.mark.parametrize(("dialect", "case"), _each_case("read", lambda case: "refused" in case))
def test_says_which_sample_it_does_not_read(dialect: Dialect, case: dict[str, Any]) -> None:
    """A receipt that cannot be read is kept with these words, and a person reads them."""
    with pytest.raises(InvalidError, match=case["refused"]):
        dialect.read(case.get("headers", {}), case["body"].encode())


# --- both ways -------------------------------------------------------------------------


@each
def test_is_known_by_its_name_and_its_retry_policy(dialect: Dialect) -> None:
    assert DIALECTS[dialect.name] is dialect
    assert dialect.retry_policy in POLICIES


@each
def test_every_attempt_has_the_same_body_and_its_own_time(dialect: Dialect) -> None:
    """A receiver that was down for hours would refuse a time from before."""
    event, endpoint = _event(), endpoint_of(dialect.name)
    bodies = {
        dialect.render(event=event, endpoint=endpoint, merchant=MERCHANT).body for _ in range(2)
    }
    [body] = bodies
    later = AT + timedelta(hours=1)
    secrets = _signing(dialect)[:1]
    signed = dialect.sign(message_id="m", body=body, secrets=secrets, now=later)
    again = dialect.sign(message_id="m", body=body, secrets=secrets, now=AT)
    assert signed.headers != again.headers
    verifying = [dialect.verifying_secret(_secrets(dialect)[0])]
    dialect.verify(lowered(dict(signed.headers)), body, verifying, later)
    with pytest.raises(SignatureError):
        dialect.verify(lowered(dict(again.headers)), body, verifying, later)


@each
def test_each_delivery_has_an_id_of_its_own(dialect: Dialect) -> None:
    """Who dedupes by it must not lose what another endpoint, or another event, was told."""
    event, endpoint = _event(), endpoint_of(dialect.name)
    other = msgspec.structs.replace(endpoint, number=2)
    seen = {
        dialect.read({}, dialect.render(event=told, endpoint=of, merchant=MERCHANT).body).ids[0]
        for told, of in [(event, endpoint), (event, other), (_event(), endpoint)]
    }
    assert len(seen) == 3


@each
def test_a_type_or_object_cannot_break_out_of_the_envelope(dialect: Dialect) -> None:
    """Both come from publishers; a quote in one must stay a quote in one."""
    event = _event(kind='a","data":{},"x":"é', object_type='b","data":"')
    _, body = _request(dialect, event)
    reading = dialect.read({}, body)
    assert (reading.event_type, reading.payload) == (event.type, event.data)


@pytest.mark.parametrize("kept", [0, 1], ids=["new secret", "old secret"])
@each
def test_either_secret_verifies_during_a_rotation(dialect: Dialect, kept: int) -> None:
    """The merchant changes over whenever it likes within the grace."""
    _, body = _request(dialect, _event())
    signed = dialect.sign(message_id="m", body=body, secrets=_signing(dialect), now=AT)
    verifying = dialect.verifying_secret(_secrets(dialect)[kept])
    dialect.verify(lowered(dict(signed.headers)), body, [verifying], AT)


@each
def test_without_secrets_there_is_no_signature_header(dialect: Dialect) -> None:
    """An empty one would read as a broken signature rather than as none."""
    headers = dict(dialect.sign(message_id="m", body=b"{}", secrets=[], now=AT).headers)
    assert not [name for name in headers if "signature" in name.lower()]
    with pytest.raises(SignatureError):
        dialect.verify(
            lowered(headers), b"{}", [dialect.verifying_secret(_secrets(dialect)[0])], AT
        )


# --- forgeries and garbage -------------------------------------------------------------


@pytest.mark.parametrize("edge", [-TOLERANCE, TOLERANCE], ids=["early", "late"])
@each
def test_accepts_up_to_the_very_edge_of_the_tolerance(dialect: Dialect, edge: timedelta) -> None:
    """Published as five minutes, so five minutes must work, and six must not."""
    headers, body = _request(dialect, _event())
    verifying = [dialect.verifying_secret(_secrets(dialect)[0])]
    dialect.verify(headers, body, verifying, AT + edge)
    with pytest.raises(SignatureError):
        dialect.verify(headers, body, verifying, AT + edge * 1.2)


@given(body=st.binary(), value=st.text(), time=st.sampled_from(["", "t=1893456000,v1="]))
# Undecodable header bytes arrive as lone surrogates; random text (almost) never has one.
@example(body=b"", value="\udcff", time="t=1893456000,v1=")
@example(body=b"", value="v1=,v1=" * 2_000, time="t=1893456000,")
@each
def test_a_garbled_header_is_refused_and_never_anything_else(
    dialect: Dialect, body: bytes, value: str, time: str
) -> None:
    """Whoever knows the URL can send it."""
    headers, _ = _request(dialect, _event())
    garbled = {name: time + value if "signature" in name else headers[name] for name in headers}
    with pytest.raises(SignatureError):
        dialect.verify(garbled, body, [dialect.verifying_secret(_secrets(dialect)[0])], AT)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
_MEMBERS = [
    *("uuid", "observation", "data", "is_test", "id", "object", "created", "livemode"),
    *("type", "specversion", "source", "subject", "time", "datacontenttype", "data_base64"),
]


@given(
    body=st.binary()
    | _JSON.map(msgspec.json.encode)
    | st.dictionaries(st.sampled_from(_MEMBERS), _JSON).map(msgspec.json.encode)
)
@example(body=b"[" * 100_000)
@example(body=b'{"id":"a","type":"b","data":{"object":{"object":' + b"[" * 100_000)
@example(body=b'{"id":"a","type":"b","created":99999999999999,"data":{"object":{}}}')
@example(body=b'{"uuid":"a","observation":"b","data":{"c":{"updated_at":"\xff"}}}')
@each
def test_reading_garbage_gives_a_reading_or_the_one_error(dialect: Dialect, body: bytes) -> None:
    """A verified sender may still send nonsense, and that must not stop a worker."""
    try:
        reading = dialect.read({}, body)
    except InvalidError:
        return
    assert reading.event_type
    assert all(value for _, value in reading.ids)


# --- secrets, options, foreign code ----------------------------------------------------


@pytest.mark.parametrize("text", ["", "short", "whsk_" + "A" * 44, "with a space", "é" * 9, "x\n"])
@each
def test_refuses_what_is_no_secret(dialect: Dialect, text: str) -> None:
    """At once, rather than with the first request that nobody can verify."""
    if dialect is CLOUDEVENTS and text.startswith("whsk_"):
        text = "whsk_AAAA"
    for made in (dialect.signing_secret, dialect.verifying_secret):
        with pytest.raises(InvalidError) as caught:
            made(text)
        assert [fault.pointer for fault in caught.value.faults] == ["/secret"]


@each
def test_has_no_options(dialect: Dialect) -> None:
    dialect.check_options({})
    with pytest.raises(InvalidError, match="/dialect_options"):
        dialect.check_options({"zone": "UTC"})


@each
def test_foreign_code_verifies_what_we_send_and_nothing_else(dialect: Dialect) -> None:
    """What is proven with our own code proves only that it agrees with itself."""
    script = f"verify_{dialect.name}.py"
    new, old = _secrets(dialect)
    said = {"content-type": "application/cloudevents+json"}
    sent = []
    for event in drawn_events(dialect.name, count=20, seed=5):
        _, body = _request(dialect, event)
        signed = dialect.sign(message_id="m", body=body, secrets=_signing(dialect), now=AT)
        sent.append(({**dict(signed.headers), **said}, body))
    assert judged_outside(script, new, sent) == (0, "verified 20 refused 0\n")
    assert judged_outside(script, old, sent) == (0, "verified 20 refused 0\n")
    headers, body = sent[0]
    bad = [(headers, body + b" "), (said, body)]
    assert judged_outside(script, new, [sent[0], *bad]) == (1, "verified 1 refused 2\n")
    another = dialect.new_secret(bytes(SECRET_RANDOM_BYTES))
    assert judged_outside(script, another, sent[:1]) == (1, "verified 0 refused 1\n")

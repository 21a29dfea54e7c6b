"""The receiver SDK in every dialect: accepts what the sender signed, refuses all else."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import NAMESPACE_OID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of

from payhooks.dialects.registry import DIALECTS as SPOKEN
from payhooks.dialects.treezor_signature import unsigned
from payhooks.errors import InvalidError
from payhooks.receiver import Code, Event, VerificationError, Verifier, verify
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.explain import Step, explain
from payhooks.receiver.samples import body_of, signed
from payhooks.receiver.ways import Request

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
AT = datetime(2029, 12, 31, 23, 59, 58, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
TIMELESS = [name for name, dialect in DIALECTS.items() if not dialect.way.signs_time]
UNTYPED_VERIFIER: Callable[..., object] = Verifier
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def _request(dialect: str, body: bytes | None = None) -> Request:
    if body is None:
        data = {"paymentId": "pay_1", "payment_id": "pay_1", "note": "Zürich / 😀"}
        body = body_of(
            dialect,
            event_type="payment.done",
            event_id="evt_1",
            object_type="payment",
            data=data,
            at=AT,
        )
    return signed(dialect, body, SECRET, event_id="evt_1", now=NOW)


def _code(dialect: str, request: Request, *, now: datetime = NOW) -> Code:
    with pytest.raises(VerificationError) as caught:
        verify(request.body, request.headers, SECRET, dialect=dialect, now=now)
    return caught.value.code


# --- what providers and foreign code sign ----------------------------------------------

# Made with openssl and PHP from the providers' descriptions, not with this code.
VECTORS = [
    pytest.param(
        "owlpay",
        "whs_test",
        {
            "owlpay-signature": "t=1689066169,v1="
            "67f55e41ab9fda55bc73028d0ebc229638ff499b75a99c5e639bfceb8b1e47cd"
        },
        '{"uuid":"att_c0d3d7cda1e2175faa701dfd4a9b85355a3c9630","api_version":"1.0.0","is_test":1,'
        '"observation":"payment_intent.captured","data":{"payment_intent":{"uuid":"pi_test",'
        '"status":"captured"}}}',
        ("att_c0d3d7cda1e2175faa701dfd4a9b85355a3c9630", "payment_intent.captured", "pi_test"),
        id="owlpay",
    ),
    pytest.param(
        "treezor",
        "test_webhook_secret",
        {},
        '{"webhook":"payin.create","webhook_id":"1","object":"payin","object_id":"707206",'
        '"object_payload":{"payins":[{"payinId":"707206","payinStatus":"PENDING","amount":"11.26",'
        '"refundAmount":null,"walletEventName":"Caf\\u00e9 \\u201cheld\\u201d","additionalData":'
        '"{\\"card\\":{\\"externalProvider\\":{\\"transactionReference\\":\\"800098404275\\"}}}",'
        '"forwardUrl":"https:\\/\\/example.com\\/a\\/b"}]},'
        '"object_payload_signature":"7x4ntXd9BQ287ZQjSY7pmYMfBnaWopBA18KQMFIIhbY="}',
        ("1", "payin.create", "707206"),
        id="treezor",
    ),
    pytest.param(
        "merchant-console",
        "test_signature_key",
        {"X-Signature": "411c77b86779f5f9287a7673a848c85f0ce84293841bf8ad1e07334ac898a8f5"},
        '{"type":"event","event_triggered":"2021-04-07 15:14:26","event_type":'
        '"transaction.sale.success","event_body":{"merchant":{"merch_key":"7qwnw4j2kmqvrb3"},'
        '"object":{"type":"transaction","key":"1nftvzx7xtcggm3","amount_detail":{"amount":"5.00"},'
        '"authcode":"538228"}},"event_id":'
        '"c088bc2884a2c3b4043991b04d96ceda7c65043778233dedb26bfd5853705dfd"}',
        (
            "c088bc2884a2c3b4043991b04d96ceda7c65043778233dedb26bfd5853705dfd",
            "transaction.sale.success",
            "1nftvzx7xtcggm3",
        ),
        id="merchant-console",
    ),
    pytest.param(
        "owngateway",
        "test_payment_response_hash_key",
        {
            "X-Webhook-Signature-512": "2220eaed656cdd95c1a8c61a8cf6b3d7eb2b6b4e52d040873ff0455ba52"
            "48939e713dc1605bcf4c7b8fb4d2a559ffbcb4d5a722f3a521ae5bf0d3ac4d745756a"
        },
        '{"merchant_id":"merchant_1710609960","event_id":"evt_018e31720d1b7a2b82677d3032cab959",'
        '"event_type":"payment_succeeded","content":{"type":"payment_details","object":'
        '{"payment_id":"pay_6AMmb6rtlPDarBLlotAH","status":"succeeded","amount":6540,'
        '"currency":"USD"}},"timestamp":"2024-03-22T09:41:43.342Z"}',
        (
            "evt_018e31720d1b7a2b82677d3032cab959",
            "payment_succeeded",
            "pay_6AMmb6rtlPDarBLlotAH",
        ),
        id="owngateway",
    ),
]


@pytest.mark.parametrize(("dialect", "secret", "headers", "text", "wanted"), VECTORS)
def test_accepts_what_each_provider_signs(
    dialect: str, secret: str, headers: dict[str, str], text: str, wanted: tuple[str, str, str]
) -> None:
    """The signatures come from elsewhere: code that agrees with itself alone proves nothing."""
    at = datetime.fromtimestamp(1_689_066_169, UTC)
    event = verify(text.encode(), headers, secret, dialect=dialect, now=at)
    assert (event.id, event.type, event.object_id) == wanted
    assert event.format == dialect


def _is_number(text: str | None) -> bool:
    try:
        return not isinstance(json.loads(text or '""'), str)
    except ValueError:
        return False


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name in SPOKEN])
def test_reads_what_the_server_reads(dialect: str) -> None:
    """One request must not mean one thing to the gateway and another to the merchant."""
    spoken = SPOKEN[dialect]
    secret = spoken.new_secret(bytes(range(32)))
    verifier = Verifier(secret, dialect=dialect)
    compared = 0
    for event in drawn_events(dialect, count=200, seed=7):
        if spoken.refusal(event) is not None:
            continue
        body = spoken.render(event=event, endpoint=endpoint_of(dialect), merchant=MERCHANT).body
        keys = [spoken.signing_secret(secret)]
        request = spoken.sign(message_id="del_1", body=body, secrets=keys, now=NOW)
        headers = dict(request.headers)
        try:
            reading = spoken.read({k.lower(): v for k, v in headers.items()}, request.body)
        except InvalidError:
            continue  # a foreign family's words, where this dialect has no place for them
        if _is_number(reading.object_id):
            continue  # the server keeps its spelling, 1e2, which Python's parser does not
        heard = verifier.verify(request.body, headers, now=NOW)
        assert (heard.type, heard.timestamp) == (reading.event_type, reading.occurred_at)
        assert heard.data == json.loads(reading.payload)
        assert heard.id == dict(reading.ids).get("webhook-id", reading.ids[0][1])
        if reading.object_type is not None:
            assert heard.object_type == reading.object_type
            assert heard.object_id == reading.object_id
        if reading.ordered_at is not None:
            assert heard.ordered_at == reading.ordered_at
        compared += 1
    assert compared > 20


@every_dialect
def test_returns_the_event_in_the_same_words(dialect: str) -> None:
    """An application that changes its provider changes a name, not its code."""
    request = _request(dialect)
    event = verify(request.body, request.headers, SECRET, dialect=dialect, now=NOW)
    ids = {
        "foloosi": "evt_1:payment.done",
        "cloudevents": "/tests evt_1",
        "treezor": str(uuid5(NAMESPACE_OID, "evt_1")),
    }
    assert (event.id, event.type) == (ids.get(dialect, "evt_1"), "payment.done")
    assert event.format == dialect
    assert "Zürich / 😀" in json.dumps(event.data, ensure_ascii=False)
    assert event.timestamp == (None if dialect == "foloosi" else AT)
    assert event.raw == request.body


# --- refuses ---------------------------------------------------------------------------


@every_dialect
def test_refuses_another_secrets_signature(dialect: str) -> None:
    request = _request(dialect)
    with pytest.raises(VerificationError) as caught:
        verify(request.body, request.headers, [OTHER_SECRET], dialect=dialect, now=NOW)
    assert caught.value.code is Code.NO_MATCH


@every_dialect
def test_either_secret_will_do_while_one_replaces_the_other(dialect: str) -> None:
    request = _request(dialect)
    verify(request.body, request.headers, [OTHER_SECRET, SECRET], dialect=dialect, now=NOW)


@every_dialect
def test_refuses_a_signature_that_is_missing(dialect: str) -> None:
    """An unsigned request is not "unsigned mode": whoever wants none does not verify."""
    request = _request(dialect)
    body = request.body.replace(b'"object_payload_signature":', b'"object_payload_signed":')
    assert _code(dialect, Request(body, {})) is Code.MISSING_HEADER


@every_dialect
def test_one_changed_bit_of_what_is_signed_is_refused(dialect: str) -> None:
    """Every one of them: a flip that is accepted is a payment of another amount."""
    request = _request(dialect)
    signed_part = (0, len(request.body))
    if dialect == "treezor":
        start = request.body.index(b'"object_payload":') + len(b'"object_payload":')
        signed_part = (start, request.body.index(b',"webhook_id"'))
    random = Random(1)
    for _ in range(200):
        body = bytearray(request.body)
        body[random.randrange(*signed_part)] ^= 1 << random.randrange(8)
        with pytest.raises(VerificationError):
            verify(bytes(body), request.headers, SECRET, dialect=dialect, now=NOW)


@every_dialect
def test_an_old_request_is_refused_where_a_time_is_signed(dialect: str) -> None:
    """Where none is, a captured request can be shown again: dedupe by its id."""
    later = NOW + timedelta(minutes=5, seconds=1)
    if dialect not in TIMELESS:
        assert _code(dialect, _request(dialect), now=later) is Code.TIMESTAMP_TOO_OLD
        return
    request = _request(dialect)
    verify(request.body, request.headers, SECRET, dialect=dialect, now=later)


@pytest.mark.parametrize("dialect", TIMELESS)
def test_a_tolerance_that_nothing_could_be_held_against_is_a_mistake(dialect: str) -> None:
    """It would promise a protection that is not there."""
    with pytest.raises(TypeError, match="signs no time"):
        Verifier(SECRET, dialect=dialect, tolerance=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("dialect", "words"),
    [("stadnard", "Did you mean standard"), ("xyz", "There are: standard"), (5, "a name")],
)
def test_an_unknown_dialect_is_a_mistake_of_the_calling_code(dialect: object, words: str) -> None:
    """Not of the request: a 401 for each would hide it for days."""
    with pytest.raises(TypeError, match=words):
        UNTYPED_VERIFIER(SECRET, dialect=dialect)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "standard"])
@pytest.mark.parametrize(
    "secret", ["short", "x" * 257, "with space", "ümlaut-key", "whpk_12345678"]
)
def test_says_so_when_the_secret_is_not_one(dialect: str, secret: str) -> None:
    """Otherwise every request would look forged."""
    with pytest.raises(VerificationError) as caught:
        Verifier(secret, dialect=dialect)
    assert caught.value.code is Code.MALFORMED_SECRET
    assert secret not in str(caught.value)


@every_dialect
@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b"[" * 100_000],
    ids=["empty", "array", "null", "nothing in it", "deep"],
)
def test_a_signed_body_that_is_no_event_is_refused(dialect: str, body: bytes) -> None:
    """A sender's mistake must not become an unhandled exception of the receiver."""
    if dialect == "treezor":
        # Only what has a place for a signature can be signed.
        payload = body.decode() or "{}"
        body = unsigned(head='{"webhook":"a"', payload=payload, webhook_id="1" * 36)
    request = signed(dialect, body, SECRET, event_id="evt_1", now=NOW)
    assert _code(dialect, request) is Code.NOT_JSON


def test_treezors_object_must_be_the_one_that_was_signed() -> None:
    """What stands beside the payload is not signed: a forger may write another id there."""
    request = _request("treezor")
    assert b'"object_id":"pay_1"' in request.body
    forged = request.body.replace(b'"object_id":"pay_1"', b'"object_id":"pay_2"')
    assert _code("treezor", Request(forged, {})) is Code.NOT_JSON


def test_treezors_payload_must_be_there_once() -> None:
    """Of two, one could be checked and the other read."""
    body = _request("treezor").body[:-1] + b',"object_payload":{"payments":[]}}'
    assert _code("treezor", Request(body, {})) is Code.NOT_JSON


def test_treezors_signature_survives_reformatting() -> None:
    """Frameworks hand over JSON that they wrote again; what PHP signed can be found in it."""
    request = _request("treezor")
    pretty = json.dumps(json.loads(request.body), indent=2, ensure_ascii=False).encode()
    verify(pretty, {}, SECRET, dialect="treezor", now=NOW)


# --- order -----------------------------------------------------------------------------


def _event(dialect: str, at: datetime) -> Event:
    body = body_of(
        dialect, event_type="a.b", event_id="evt_1", object_type="payment", data={}, at=at
    )
    request = signed(dialect, body, SECRET, event_id="evt_1", now=NOW)
    return verify(request.body, request.headers, SECRET, dialect=dialect, now=NOW)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "foloosi"])
def test_a_later_state_is_newer(dialect: str) -> None:
    """Deliveries come in any order; an older state must not replace a newer one."""
    earlier, later = _event(dialect, AT), _event(dialect, AT + timedelta(seconds=1))
    assert later.is_newer_than(earlier)
    assert not earlier.is_newer_than(later)
    assert not earlier.is_newer_than(earlier)
    assert earlier.ordered_at is not None
    assert later.is_newer_than(earlier.ordered_at)


def test_what_cannot_be_told_is_not_newer() -> None:
    """Foloosi prints no time: its sender has to be asked."""
    event = _event("foloosi", AT)
    assert event.ordered_at is None
    assert not event.is_newer_than(_event("standard", AT))
    assert not _event("standard", AT).is_newer_than(event)


def test_a_time_without_a_zone_cannot_be_compared() -> None:
    with pytest.raises(TypeError, match="time zone"):
        _event("standard", AT).is_newer_than(AT.replace(tzinfo=None))


def test_the_merchant_consoles_time_zone_is_the_receivers_to_say() -> None:
    """Its times name none; a zone that is wrong puts every event hours off."""
    request = _request("merchant-console")
    verifier = Verifier(SECRET, dialect="merchant-console", time_zone="UTC")
    event = verifier.verify(request.body, request.headers, now=NOW)
    assert event.timestamp == AT - timedelta(hours=8)
    with pytest.raises(TypeError, match="time zone"):
        Verifier(SECRET, dialect="merchant-console", time_zone="Mars/Olympus")


# --- total -----------------------------------------------------------------------------

NAMES = sorted({name for dialect in DIALECTS.values() for name in dialect.way.headers})


@every_dialect
@given(
    headers=st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text()), st.text()),
    body=st.binary(),
)
def test_garbage_is_a_verification_error_and_nothing_else(
    dialect: str, headers: dict[str, str], body: bytes
) -> None:
    """A receiver that answers 500 to a forgery wakes somebody up."""
    with pytest.raises(VerificationError):
        verify(body, headers, SECRET, dialect=dialect, now=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    [
        "type",
        "timestamp",
        "data",
        "id",
        "time",
        "subject",
        "specversion",
        "uuid",
        "observation",
        "created",
        "object",
        "event_id",
        "event_type",
        "event_body",
        "event_triggered",
        "content",
        "webhook",
        "webhook_id",
        "webhook_created_at",
        "object_id",
        "transfer",
        "order",
        "event",
    ]
)


@every_dialect
@given(content=st.dictionaries(MEMBERS, st.dictionaries(MEMBERS, JSON) | JSON))
def test_signed_garbage_ends_in_an_event_or_the_one_error(
    dialect: str, content: dict[str, object]
) -> None:
    """What the sender signs may still be nonsense."""
    text = json.dumps(content, separators=(",", ":"))
    body = text.encode()
    if dialect == "treezor":
        body = unsigned(head=f'{{"rest":{text}', payload=text, webhook_id="1" * 36)
    code = Code.NOT_JSON
    try:
        request = signed(dialect, body, SECRET, event_id="evt_1", now=NOW)
        event = verify(request.body, request.headers, SECRET, dialect=dialect, now=NOW)
        assert f"{event.id} {event.type}".encode()
    except VerificationError as error:
        code = error.code
    assert code is Code.NOT_JSON


# --- explains --------------------------------------------------------------------------


def _explained(dialect: str, request: Request, *, of: str | None = None) -> dict[str, Step]:
    steps = explain(request.body, request.headers, [SECRET], now=NOW, dialect=of or dialect)
    return {step.name: step for step in steps}


@every_dialect
def test_every_step_passes_on_a_good_request(dialect: str) -> None:
    steps = _explained(dialect, _request(dialect))
    assert all(step.passed for step in steps.values())
    assert steps[DIALECTS[dialect].way.place].words == "matches"
    assert "payment.done" in steps["body"].words


@every_dialect
def test_names_what_changed_the_body(dialect: str) -> None:
    """The commonest trouble of all receivers."""
    if dialect == "treezor":
        pytest.skip("only the payload inside the body is signed")
    request = _request(dialect)
    steps = _explained(dialect, Request(request.body + b"\n", request.headers))
    failed = {name: step.words for name, step in steps.items() if not step.passed}
    assert list(failed) == [DIALECTS[dialect].way.place]
    assert "without the line feed" in failed[DIALECTS[dialect].way.place]


@pytest.mark.parametrize("chosen", ["standard", "owlpay", "owngateway", "treezor"])
@every_dialect
def test_names_the_dialect_that_it_looks_like(dialect: str, chosen: str) -> None:
    """Somebody who asks in the wrong dialect must hear the right one."""
    if DIALECTS[dialect].way == DIALECTS[chosen].way:
        pytest.skip("they are signed the same way")
    if chosen == "standard" and dialect == "cloudevents":
        pytest.skip("they have the same headers")
    steps = _explained(dialect, _request(dialect), of=chosen)
    assert dialect in steps["dialect"].words


@every_dialect
@given(body=st.binary(), headers=st.dictionaries(st.sampled_from(NAMES), st.text()))
def test_explains_whatever_was_captured(dialect: str, body: bytes, headers: dict[str, str]) -> None:
    """A tool for broken requests must not break on them."""
    steps = explain(body, headers, [SECRET], now=NOW, dialect=dialect)
    assert not all(step.passed for step in steps)

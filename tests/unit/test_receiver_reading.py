"""The receiver SDK reads every dialect as the server does, and knows what is newer."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

import pytest
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of
from tests.support.envelope_vectors import vectors
from tests.support.signed_requests import (
    HAPPENED_AT,
    SECRET,
    SENT_AT,
    request_of,
    signed_body,
)

from payhooks.dialects.registry import DIALECTS as SPOKEN
from payhooks.errors import InputError, InvalidError
from payhooks.receiver import Event, VerificationError, Verifier, verify
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.reading import said
from payhooks.receiver.samples import body_of

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


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


@pytest.mark.shows("V51")
@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name in SPOKEN])
def test_says_no_where_the_server_says_no(dialect: str) -> None:
    """Bit by bit: what one of the two accepts and the other refuses is a hole in one of them."""
    spoken = SPOKEN[dialect]
    request = request_of(dialect)
    verifier = Verifier(SECRET, dialect=dialect)
    secrets = [spoken.verifying_secret(SECRET)]
    headers = {name.lower(): text for name, text in request.headers.items()}
    random = Random(5)
    verdicts = set()
    for turn in range(300):
        body = bytearray(request.body)
        body[random.randrange(len(body))] ^= (1 << random.randrange(8)) if turn else 0
        theirs = _accepts(lambda said: spoken.verify(headers, said, secrets, SENT_AT), bytes(body))
        ours = _accepts(lambda said: verifier.check_signature(headers, said), bytes(body))
        assert ours == theirs
        verdicts.add(ours)
    assert verdicts == {True, False}


def _accepts(verify: Callable[[bytes], None], body: bytes) -> bool:
    try:
        verify(body)
    except InputError:
        return False
    return True


@pytest.mark.shows("V51")
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
        request = spoken.sign(message_id="del_1", body=body, secrets=keys, now=SENT_AT)
        headers = dict(request.headers)
        try:
            reading = spoken.read({k.lower(): v for k, v in headers.items()}, request.body)
        except InvalidError:
            continue  # a foreign family's words, where this dialect has no place for them
        if _is_number(reading.object_id):
            continue  # the server keeps its spelling, 1e2, which Python's parser does not
        heard = verifier.verify(request.body, headers, now=SENT_AT)
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


def _read_vectors() -> list[Any]:
    files = {name: name for name in DIALECTS if name != "standard"} | {"hyperswitch": "owngateway"}
    return [
        pytest.param(dialect, case, id=f"{dialect} {case['name']}")
        for dialect, file in files.items()
        for case in vectors(file, "read")
    ]


@pytest.mark.shows("V51")
@pytest.mark.parametrize(("dialect", "case"), _read_vectors())
def test_reads_every_vector_as_the_server_does(dialect: str, case: dict[str, Any]) -> None:
    """Drift of the providers is where two readers drift apart: what the documents print is read."""
    ours, spoken = DIALECTS[dialect], SPOKEN[dialect]
    headers = {name.lower(): text for name, text in case.get("headers", {}).items()}
    body, options = case["body"].encode(), case.get("options") or {}
    zone = ZoneInfo(options.get("time_zone", ours.time_zone))
    try:
        reading = spoken.read(headers, body, options)
    except InvalidError:
        with pytest.raises(VerificationError):
            said(ours.read, ours.wanted, headers, body, zone)
        return
    heard = said(ours.read, ours.wanted, headers, body, zone)
    assert (heard.type, heard.id) == (reading.event_type, reading.ids[0][1])
    assert (heard.object_type, heard.object_id) == (reading.object_type, reading.object_id)
    assert (heard.timestamp, heard.ordered_at) == (reading.occurred_at, reading.ordered_at)
    assert heard.data == json.loads(reading.payload)


@every_dialect
def test_returns_the_event_in_the_same_words(dialect: str) -> None:
    """An application that changes its provider changes a name, not its code."""
    request = request_of(dialect)
    event = verify(request.body, request.headers, SECRET, dialect=dialect, now=SENT_AT)
    ids = {
        "foloosi": "evt_1:payment.done",
        "cloudevents": "/tests evt_1",
        "treezor": str(uuid5(NAMESPACE_OID, "evt_1")),
    }
    assert (event.id, event.type) == (ids.get(dialect, "evt_1"), "payment.done")
    assert event.format == dialect
    assert "Zürich / 😀" in json.dumps(event.data, ensure_ascii=False)
    assert event.timestamp == (None if dialect == "foloosi" else HAPPENED_AT)
    assert event.raw == request.body


def _event(dialect: str, at: datetime) -> Event:
    request = request_of(dialect, at=at)
    return verify(request.body, request.headers, SECRET, dialect=dialect, now=SENT_AT)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "foloosi"])
def test_a_later_state_is_newer(dialect: str) -> None:
    """Deliveries come in any order; an older state must not replace a newer one."""
    earlier, later = (
        _event(dialect, HAPPENED_AT),
        _event(dialect, HAPPENED_AT + timedelta(seconds=1)),
    )
    assert later.is_newer_than(earlier)
    assert not earlier.is_newer_than(later)
    assert not earlier.is_newer_than(earlier)
    assert earlier.ordered_at is not None
    assert later.is_newer_than(earlier.ordered_at)


def test_what_cannot_be_told_is_not_newer() -> None:
    """Foloosi prints no time: its sender has to be asked."""
    event = _event("foloosi", HAPPENED_AT)
    assert event.ordered_at is None
    assert not event.is_newer_than(_event("standard", HAPPENED_AT))
    assert not _event("standard", HAPPENED_AT).is_newer_than(event)


def test_a_time_without_a_zone_cannot_be_compared() -> None:
    with pytest.raises(TypeError, match="time zone"):
        _event("standard", HAPPENED_AT).is_newer_than(HAPPENED_AT.replace(tzinfo=None))


def test_only_an_event_or_a_time_can_be_compared() -> None:
    """A stored text would compare as text does."""
    untyped: Any = _event("standard", HAPPENED_AT).is_newer_than
    with pytest.raises(TypeError, match="compare with"):
        untyped("2030-01-01")


def test_the_merchant_consoles_time_zone_is_the_receivers_to_say() -> None:
    """Its times name none; a zone that is wrong puts every event hours off."""
    request = request_of("merchant-console")
    verifier = Verifier(SECRET, dialect="merchant-console", time_zone="UTC")
    event = verifier.verify(request.body, request.headers, now=SENT_AT)
    assert event.timestamp == HAPPENED_AT - timedelta(hours=8)
    with pytest.raises(TypeError, match="time zone"):
        Verifier(SECRET, dialect="merchant-console", time_zone="Mars/Olympus")


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "merchant-console"])
def test_a_time_zone_is_refused_where_none_can_be_chosen(dialect: str) -> None:
    """It would be passed over without a word, or put right times hours off."""
    with pytest.raises(TypeError, match="one zone"):
        Verifier(SECRET, dialect=dialect, time_zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("dialect", "sent", "read"),
    [
        ("merchant-console", "cardupdate.created", "cau.created"),
        ("merchant-console", "cau.created", "cau.created"),
        ("owlpay", "owlpay.received_order", "order.received"),
        ("owlpay", "payment_intent.captured", "payment_intent.captured"),
    ],
)
def test_an_event_has_one_name_whatever_it_was_called(dialect: str, sent: str, read: str) -> None:
    """Providers renamed theirs; who does the work should not have to know when."""
    body = body_of(
        dialect, event_type=sent, event_id="1", object_type="order", data={}, at=HAPPENED_AT
    )
    request = signed_body(dialect, body)
    event = verify(request.body, request.headers, SECRET, dialect=dialect, now=SENT_AT)
    assert event.type == read

"""The merchant console's dialect: its samples, its own package, its clock, forgeries, garbage."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.console_vectors import (
    SENT_AT,
    Case,
    as_case,
    event_of,
    sides_of,
    vectors,
    written,
)
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of
from usaepay.middleware import webhook  # type: ignore[import-untyped] # It ships no types.

from payhooks.dialects import registry
from payhooks.dialects.contract import HmacSecret
from payhooks.dialects.merchant_console import MERCHANT_CONSOLE
from payhooks.dialects.text_key import text_key
from payhooks.errors import InvalidError, SignatureError
from payhooks.ids import MERCHANT as MERCHANT_PREFIX
from payhooks.ids import to_text
from payhooks.limits import CONNECT_TIMEOUT_S, TIMEOUT_S_MAX
from payhooks.policy.retry import POLICIES

pytestmark = pytest.mark.shows("V04")

NAME = MERCHANT_CONSOLE.name
WRITE = vectors(NAME, "write")
VERIFY = vectors(NAME, "verify")
READ = vectors(NAME, "read")
GOLDEN = VERIFY[0]
BODY = GOLDEN["body"].encode()
SIGNATURE = GOLDEN["headers"]["X-Signature"]
HEADERS = {"x-signature": SIGNATURE}
SECRET = MERCHANT_CONSOLE.verifying_secret(GOLDEN["secret"])
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=256).filter(
    lambda text: not text.startswith(("whsk_", "whpk_"))
)


def _body(change: dict[str, Any]) -> bytes:
    return json.dumps({**json.loads(BODY), **change}).encode()


# --- writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", WRITE, ids=lambda case: case["name"])
def test_writes_and_signs_the_vectors(case: Case) -> None:
    """The bytes that its merchants parse and verify today."""
    headers, body = written(MERCHANT_CONSOLE, case)
    assert body.decode() == case["body"]
    assert headers == case["headers"]


@pytest.mark.shows("V12")
@pytest.mark.parametrize("case", WRITE, ids=lambda case: case["name"])
def test_its_own_package_verifies_what_we_sign(case: Case) -> None:
    """Merchants verify with that package."""
    headers, body = written(MERCHANT_CONSOLE, case)
    assert webhook.verify(body.decode(), headers["X-Signature"], case["secret"])
    assert not webhook.verify(body.decode() + " ", headers["X-Signature"], case["secret"])


@pytest.mark.shows("V12")
@given(key=KEYS, text=st.text(st.characters(exclude_categories=["Cs"])), number=st.floats())
def test_its_own_package_makes_the_same_signature_of_any_body(
    key: str, text: str, number: float
) -> None:
    """Whatever publishers say, and whichever key a merchant has."""
    body = json.dumps({"said": text, "number": repr(number)}, ensure_ascii=False)
    secret = MERCHANT_CONSOLE.signing_secret(key)
    signed = MERCHANT_CONSOLE.sign(
        message_id="m", body=body.encode(), secrets=[secret], now=SENT_AT
    )
    assert signed.body == body.encode()
    assert webhook.verify(body, dict(signed.headers)["X-Signature"], key)


def test_every_attempt_has_the_same_body() -> None:
    """Receivers dedupe by the event_id in it."""
    event = event_of(WRITE[1]["event"])
    endpoint, merchant = sides_of(MERCHANT_CONSOLE, WRITE[1])
    bodies = {
        MERCHANT_CONSOLE.render(event=event, endpoint=endpoint, merchant=merchant).body
        for _ in range(3)
    }
    assert len(bodies) == 1
    other = msgspec.structs.replace(endpoint, number=2)
    assert (
        MERCHANT_CONSOLE.render(event=event, endpoint=other, merchant=merchant).body not in bodies
    )


@pytest.mark.parametrize(
    ("provider_ids", "reference", "printed"),
    [
        pytest.param((("merchant_id", "m"), ("merch_key", "k")), "shop", "k", id="its own"),
        pytest.param((("merchant_id", "m"),), "shop", "shop", id="the operator's"),
        pytest.param((), None, to_text(MERCHANT_PREFIX, MERCHANT.id), id="ours"),
    ],
)
def test_the_merchant_has_a_key_whatever_is_known_of_it(
    provider_ids: tuple[tuple[str, str], ...], reference: str | None, printed: str
) -> None:
    """Who receives for several merchants tells them apart by it."""
    merchant = msgspec.structs.replace(MERCHANT, provider_ids=provider_ids, reference=reference)
    event = event_of(WRITE[0]["event"])
    body = MERCHANT_CONSOLE.render(event=event, endpoint=endpoint_of(NAME), merchant=merchant).body
    assert json.loads(body)["event_body"]["merchant"] == {"merch_key": printed}


@pytest.mark.parametrize("metadata", [None, b"{}", b'{"changes":7}', b'{"changes":"{}"}'])
def test_metadata_that_tells_of_no_change_stays_with_us(metadata: bytes | None) -> None:
    """Metadata is the operator's own; only what the format has a place for is sent."""
    event = msgspec.structs.replace(event_of(WRITE[0]["event"]), metadata=metadata)
    body = MERCHANT_CONSOLE.render(event=event, endpoint=endpoint_of(NAME), merchant=MERCHANT).body
    assert set(json.loads(body)["event_body"]) == {"merchant", "object"}


def test_without_a_secret_there_is_no_signature() -> None:
    """Signature "None" in the console: an empty header would look like a broken one."""
    signed = MERCHANT_CONSOLE.sign(message_id="m", body=BODY, secrets=[], now=SENT_AT)
    assert signed == ((), BODY)


def test_events_of_every_family_are_written_and_read_again() -> None:
    """An endpoint hears what it selected, in whichever words it was published."""
    for event in drawn_events(NAME, count=300, seed=7):
        rendered = MERCHANT_CONSOLE.render(
            event=event, endpoint=endpoint_of(NAME), merchant=MERCHANT
        )
        json.loads(rendered.body)
        reading = MERCHANT_CONSOLE.read({}, rendered.body)
        assert reading.event_type == event.type
        assert reading.payload == event.data.strip()
        assert reading.occurred_at == (event.occurred_at or event.created_at).replace(microsecond=0)
        if event.metadata is not None:
            assert reading.metadata == b'{"changes":{"status":"settled"}}'


# --- how it is sent ----------------------------------------------------------------------


def test_it_is_sent_as_its_reference_says() -> None:
    """5 s to connect, 45 s for the answer, 20 at once, 35 retries in 72 hours."""
    assert MERCHANT_CONSOLE.connect_timeout_s == CONNECT_TIMEOUT_S == 5
    assert MERCHANT_CONSOLE.timeout_s == TIMEOUT_S_MAX == 45
    assert MERCHANT_CONSOLE.in_flight_max == 20
    policy = POLICIES[MERCHANT_CONSOLE.retry_policy]
    assert (len(policy.delays_s), policy.total_s) == (35, 72 * 3600)


# --- options and secrets -----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"time_zone": "UTC"},
        {"time_zone": "America/Argentina/Buenos_Aires"},
        {"time_zone": "Etc/GMT+8", "card_updater_prefix": "cau"},
        {"card_updater_prefix": "cardupdate"},
    ],
)
def test_accepts_its_options(options: dict[str, str]) -> None:
    MERCHANT_CONSOLE.check_options(options)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        pytest.param({"zone": "UTC"}, "/dialect_options", id="no such option"),
        pytest.param({"card_updater_prefix": "card"}, "card_updater_prefix", id="no such prefix"),
        pytest.param({"time_zone": ""}, "time_zone", id="empty"),
        pytest.param({"time_zone": "America/Nowhere"}, "time_zone", id="no such zone"),
        pytest.param({"time_zone": "America"}, "time_zone", id="a folder"),
        pytest.param({"time_zone": "../../etc/passwd"}, "time_zone", id="a path"),
        pytest.param({"time_zone": "/etc/localtime"}, "time_zone", id="an absolute path"),
        pytest.param({"time_zone": "localtime"}, "time_zone", id="the machine's own"),
        pytest.param({"time_zone": "A" * 70_000}, "time_zone", id="without end"),
        pytest.param({"time_zone": "UTC\x00"}, "time_zone", id="a null byte"),
        pytest.param({"time_zone": "\ud800"}, "time_zone", id="a lone surrogate"),
    ],
)
def test_refuses_what_is_no_option_of_it(options: dict[str, str], pointer: str) -> None:
    """A typo must be heard of when the endpoint is made, not when money has moved."""
    with pytest.raises(InvalidError) as caught:
        MERCHANT_CONSOLE.check_options(options)
    assert caught.value.faults[0].pointer.endswith(pointer)


def test_a_new_secret_signs_and_verifies() -> None:
    """Its text is the key, so that a merchant may type it into any library."""
    text = MERCHANT_CONSOLE.new_secret(bytes(range(32)))
    assert text == bytes(range(32)).hex()
    assert MERCHANT_CONSOLE.signing_secret(text) == HmacSecret(key=text.encode())


@pytest.mark.parametrize(
    "text", ["short", "with space", "ümlaut-key", "whsk_" + "A" * 40, "a" * 300]
)
def test_refuses_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidError):
        MERCHANT_CONSOLE.signing_secret(text)
    with pytest.raises(InvalidError):
        MERCHANT_CONSOLE.verifying_secret(text)


def test_it_is_found_by_its_name() -> None:
    assert registry.find("merchant-console") is MERCHANT_CONSOLE


# --- verifying ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", VERIFY, ids=lambda case: case["name"])
def test_verifies_the_vectors(case: Case) -> None:
    """Whenever they were signed: nothing in a request says when."""
    headers = {name.lower(): value for name, value in case["headers"].items()}
    secret = MERCHANT_CONSOLE.verifying_secret(case["secret"])
    MERCHANT_CONSOLE.verify(headers, case["body"].encode(), [secret], SENT_AT)


def test_during_a_rotation_the_newest_signs_and_either_is_accepted() -> None:
    """The header has room for one signature."""
    new, old = (text_key(f"a-key-of-{age}-age") for age in ("new", "old"))
    signed = MERCHANT_CONSOLE.sign(message_id="m", body=BODY, secrets=[new, old], now=SENT_AT)
    headers = {name.lower(): value for name, value in signed.headers}
    MERCHANT_CONSOLE.verify(headers, BODY, [new], SENT_AT)
    MERCHANT_CONSOLE.verify(headers, BODY, [old, new], SENT_AT)
    with pytest.raises(SignatureError):
        MERCHANT_CONSOLE.verify(headers, BODY, [old], SENT_AT)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no header"),
        pytest.param({"x-signature": ""}, id="empty"),
        pytest.param({"x-signature": SIGNATURE.upper()}, id="upper case"),
        pytest.param({"x-signature": f"sha256={SIGNATURE}"}, id="a prefix"),
        pytest.param({"x-signature": f"{SIGNATURE} "}, id="a space"),
        pytest.param({"x-signature": SIGNATURE[:-1]}, id="one cut off"),
        pytest.param({"x-signature": SIGNATURE * 100}, id="without end"),
        pytest.param({"x-signature": "\ud800" * 64}, id="lone surrogates"),
        pytest.param({"webhook-signature": SIGNATURE}, id="another header"),
    ],
)
def test_refuses(headers: dict[str, str]) -> None:
    """Each line is a way in that somebody's verifier has had."""
    with pytest.raises(SignatureError):
        MERCHANT_CONSOLE.verify(headers, BODY, [SECRET], SENT_AT)


def test_nobody_verifies_without_a_secret() -> None:
    with pytest.raises(SignatureError):
        MERCHANT_CONSOLE.verify(HEADERS, BODY, [], SENT_AT)


@given(bit=st.integers(min_value=0, max_value=len(BODY) * 8 - 1))
def test_one_changed_bit_is_refused(bit: int) -> None:
    """Of the body; of the signature every digit counts as the table above shows."""
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        MERCHANT_CONSOLE.verify(HEADERS, bytes(changed), [SECRET], SENT_AT)


@given(digit=st.integers(min_value=0, max_value=63), bit=st.integers(min_value=0, max_value=6))
def test_one_changed_bit_of_the_signature_is_refused(digit: int, bit: int) -> None:
    """See above."""
    changed = bytearray(SIGNATURE.encode())
    changed[digit] ^= 1 << bit
    with pytest.raises(SignatureError):
        MERCHANT_CONSOLE.verify({"x-signature": changed.decode()}, BODY, [SECRET], SENT_AT)


# --- reading -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", READ, ids=lambda case: case["name"])
def test_reads_the_vectors(case: Case) -> None:
    """Both prefixes, numbers as text and as numbers, and what changed."""
    reading = MERCHANT_CONSOLE.read({}, case["body"].encode())
    assert as_case(reading) == case["expect"]
    assert reading.ids[0][0] == "event_id"
    assert reading.ordered_at == reading.occurred_at


@pytest.mark.parametrize(
    "case", vectors(NAME, "read", part="invalid"), ids=lambda case: case["name"]
)
def test_what_its_documents_print_wrongly_is_not_guessed(case: Case) -> None:
    """Two samples are no JSON; guessing what was meant could move money."""
    with pytest.raises(InvalidError) as caught:
        MERCHANT_CONSOLE.read({}, case["body"].encode())
    assert caught.value.faults[0].pointer == case["pointer"]


@pytest.mark.parametrize(
    ("zone", "printed", "at"),
    [
        pytest.param(None, "2021-01-07 15:14:26", "2021-01-07T23:14:26", id="default, winter"),
        pytest.param(None, "2021-07-07 15:14:26", "2021-07-07T22:14:26", id="default, summer"),
        pytest.param("UTC", "2021-07-07 15:14:26", "2021-07-07T15:14:26", id="UTC"),
        pytest.param(None, "2021-11-07 01:30:00", "2021-11-07T08:30:00", id="twice: the first"),
        pytest.param(None, "2021-03-14 02:30:00", "2021-03-14T10:30:00", id="never: shifted"),
        pytest.param(None, "2021-07-07T15:14:26.5Z", "2021-07-07T15:14:26.500000", id="with zone"),
    ],
)
def test_a_time_is_one_of_the_zone_that_was_chosen(zone: str | None, printed: str, at: str) -> None:
    """It has none of its own, and states are ordered by it."""
    options = {} if zone is None else {"time_zone": zone}
    reading = MERCHANT_CONSOLE.read({}, _body({"event_triggered": printed}), options)
    assert reading.occurred_at == datetime.fromisoformat(at).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"event_type": ""}, "/event_type"),
        ({"event_id": ""}, "/event_id"),
        ({"event_triggered": ""}, "/event_triggered"),
        ({"event_triggered": "yesterday"}, "/event_triggered"),
        ({"event_triggered": "0001-01-01 00:00:00+23:00"}, ""),
        ({"event_body": {}}, "/event_body/object"),
        ({"event_body": {"object": None}}, ""),
        ({"event_body": {"object": [1]}}, ""),
        ({"event_body": None}, ""),
        ({"event_id": 7}, ""),
    ],
)
def test_says_what_is_missing(change: dict[str, Any], pointer: str) -> None:
    """Whoever reprocesses a receipt sees where to look."""
    with pytest.raises(InvalidError) as caught:
        MERCHANT_CONSOLE.read({}, _body(change))
    assert caught.value.faults[0].pointer == pointer


@given(body=st.one_of(st.binary(), st.text().map(str.encode)))
@example(body=b"[" * 100_000)
@example(body=b'{"event_body":' * 50_000)
@example(body=_body({"event_triggered": "9999-12-31 23:59:59"}))
def test_reading_garbage_raises_invalid_and_nothing_else(body: bytes) -> None:
    """A verified sender may still send nonsense, and that must not stop a worker."""
    with pytest.raises(InvalidError):
        MERCHANT_CONSOLE.read({}, body)

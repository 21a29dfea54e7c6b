"""The Foloosi dialect: its sample, our choices where it says nothing, forgeries, garbage."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.console_vectors import SENT_AT, Case, as_case, event_of, vectors, written
from tests.support.dialect_events import MERCHANT, drawn_events, endpoint_of

from payhooks.dialects import registry
from payhooks.dialects.contract import HmacSecret
from payhooks.dialects.foloosi import FOLOOSI
from payhooks.dialects.provider_words import FOLOOSI_EVENT_OF_STATUS
from payhooks.dialects.text_key import text_key
from payhooks.errors import InvalidError, SignatureError

pytestmark = pytest.mark.shows("V05")

NAME = FOLOOSI.name
WRITE = vectors(NAME, "write")
READ = vectors(NAME, "read")
GOLDEN = vectors(NAME, "verify")[0]
BODY = GOLDEN["body"].encode()
SIGNATURE = GOLDEN["headers"]["X-Foloosi-Signature"]
HEADERS = {"x-foloosi-signature": SIGNATURE}
SECRET = FOLOOSI.verifying_secret(GOLDEN["secret"])


# --- writing ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", WRITE, ids=lambda case: case["name"])
def test_writes_the_vectors(case: Case) -> None:
    """As the original where it prints one; signed only where somebody asked for it."""
    headers, body = written(FOLOOSI, case)
    assert body.decode() == case["body"]
    assert headers == case["headers"]


def test_it_is_not_signed_unless_somebody_asks() -> None:
    """The original signs nothing, so a receiver made for it expects nothing."""
    assert not FOLOOSI.signs_by_default
    assert FOLOOSI.sign(message_id="m", body=BODY, secrets=[], now=SENT_AT) == ((), BODY)


def test_every_attempt_has_the_same_body() -> None:
    """The body is all that a receiver can dedupe by."""
    event = event_of(WRITE[-1]["event"])
    bodies = {
        FOLOOSI.render(event=event, endpoint=endpoint_of(NAME), merchant=MERCHANT).body
        for _ in range(3)
    }
    assert len(bodies) == 1


@pytest.mark.parametrize(("status", "name"), FOLOOSI_EVENT_OF_STATUS.items())
def test_a_unified_event_with_a_foloosi_transfer_is_what_foloosi_sends(
    status: str, name: str
) -> None:
    """A merchant who comes from there keeps its parser as it is; and the name is not lost."""
    data = f'{{"transaction_no":"FLN1","transaction_status":"{status}"}}'
    said = {**WRITE[0]["event"], "type": name, "data": data}
    body = FOLOOSI.render(event=event_of(said), endpoint=endpoint_of(NAME), merchant=MERCHANT).body
    assert body.decode() == f'{{"data":{{"transfer":{data}}}}}'
    assert FOLOOSI.read({}, body).event_type == name


def test_events_of_every_family_are_written_and_read_again() -> None:
    """None of them loses its name on the way, and every byte of the data arrives."""
    for event in drawn_events(NAME, count=300, seed=7):
        for about in (event, msgspec.structs.replace(event, object_type=None, object_id=None)):
            body = FOLOOSI.render(event=about, endpoint=endpoint_of(NAME), merchant=MERCHANT).body
            json.loads(body)
            reading = FOLOOSI.read({}, body)
            assert reading.event_type == event.type
            assert reading.payload == event.data.strip()


@pytest.mark.parametrize("metadata", [None, b"{}", b'{"transfer":"FLN1"}'])
def test_metadata_that_has_no_transfer_stays_with_us(metadata: bytes | None) -> None:
    """Metadata is the operator's own; only what the format has a place for is sent."""
    event = msgspec.structs.replace(event_of(WRITE[-1]["event"]), metadata=metadata)
    body = FOLOOSI.render(event=event, endpoint=endpoint_of(NAME), merchant=MERCHANT).body
    assert set(json.loads(body)["data"]) == {"order"}


# --- options and secrets -----------------------------------------------------------------


def test_it_has_no_options() -> None:
    FOLOOSI.check_options({})
    with pytest.raises(InvalidError):
        FOLOOSI.check_options({"signed": "yes"})


def test_a_new_secret_is_the_key_as_it_stands() -> None:
    text = FOLOOSI.new_secret(bytes(range(32)))
    assert FOLOOSI.signing_secret(text) == HmacSecret(key=text.encode())
    assert FOLOOSI.verifying_secret(text) == HmacSecret(key=text.encode())


@pytest.mark.parametrize("text", ["short", "with a space", "whsk_" + "A" * 40])
def test_refuses_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidError):
        FOLOOSI.signing_secret(text)


def test_it_is_found_by_its_name() -> None:
    assert registry.find("foloosi") is FOLOOSI


# --- verifying ---------------------------------------------------------------------------


def test_verifies_the_vector() -> None:
    FOLOOSI.verify(HEADERS, BODY, [SECRET], SENT_AT)


@pytest.mark.parametrize("secrets", [[], [SECRET]], ids=["no secret", "a secret"])
def test_an_unsigned_request_is_refused_whoever_asks(secrets: list[HmacSecret]) -> None:
    """Who takes them has decided so before, and fetches the transaction again."""
    with pytest.raises(SignatureError):
        FOLOOSI.verify({}, BODY, secrets, SENT_AT)


def test_a_signed_request_is_refused_where_there_is_no_secret() -> None:
    with pytest.raises(SignatureError):
        FOLOOSI.verify(HEADERS, BODY, [], SENT_AT)


def test_during_a_rotation_the_newest_signs_and_either_is_accepted() -> None:
    """The header has room for one signature."""
    new, old = (text_key(f"a-key-of-{age}-age") for age in ("new", "old"))
    signed = FOLOOSI.sign(message_id="m", body=BODY, secrets=[new, old], now=SENT_AT)
    headers = {name.lower(): value for name, value in signed.headers}
    FOLOOSI.verify(headers, BODY, [new], SENT_AT)
    FOLOOSI.verify(headers, BODY, [old, new], SENT_AT)
    with pytest.raises(SignatureError):
        FOLOOSI.verify(headers, BODY, [old], SENT_AT)


@given(bit=st.integers(min_value=0, max_value=len(BODY) * 8 - 1))
def test_one_changed_bit_is_refused(bit: int) -> None:
    """Of the body, so of what was paid."""
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        FOLOOSI.verify(HEADERS, bytes(changed), [SECRET], SENT_AT)


@given(signature=st.text())
@example(signature=SIGNATURE.upper())
@example(signature="\ud800")
@example(signature="")
def test_another_signature_is_refused(signature: str) -> None:
    """Whatever it is made of."""
    with pytest.raises(SignatureError):
        FOLOOSI.verify({"x-foloosi-signature": signature}, BODY, [SECRET], SENT_AT)


# --- reading -----------------------------------------------------------------------------


@pytest.mark.parametrize("case", READ, ids=lambda case: case["name"])
def test_reads_the_vectors(case: Case) -> None:
    """Transfer and order of one payment have different keys: both are sent."""
    reading = FOLOOSI.read({}, case["body"].encode())
    assert as_case(reading) == case["expect"]
    assert reading.ids[0][0] == "transaction"


def test_the_number_of_a_subscription_is_kept() -> None:
    """Nothing else says which subscription was charged."""
    payload = json.loads(FOLOOSI.read({}, READ[0]["body"].encode()).payload)
    assert payload["api"]["optional1"] == "FLSSUB_298617f8667047bb"


@pytest.mark.parametrize(
    "case", vectors(NAME, "read", part="invalid"), ids=lambda case: case["name"]
)
def test_says_what_is_missing(case: Case) -> None:
    """What became of the money is never guessed."""
    with pytest.raises(InvalidError) as caught:
        FOLOOSI.read({}, case["body"].encode())
    assert caught.value.faults[0].pointer == case["pointer"]


@given(body=st.one_of(st.binary(), st.text().map(str.encode)))
@example(body=b"[" * 100_000)
@example(body=b'{"data":' * 50_000)
@example(body=b'{"data":{"transfer":{"transaction_status":"\\ud800"}}}')
@example(body=b'{"data":{"transfer":"\xff"}}')
def test_reading_garbage_raises_invalid_and_nothing_else(body: bytes) -> None:
    """A sender may send nonsense, and that must not stop a worker."""
    with pytest.raises(InvalidError):
        FOLOOSI.read({}, body)

"""What holds for every dialect, whoever speaks it: asked of each the day it is registered."""

import json
import re
from datetime import timedelta
from random import Random
from typing import Final

import pytest
from tests.support.dialect_events import (
    AT,
    MERCHANT,
    Attempt,
    attempt_of,
    drawn_events,
    endpoint_of,
    spoken,
)

from payhooks.catalogue.registry import CATALOGUE
from payhooks.dialects.contract import Dialect, SigningSecret
from payhooks.dialects.printed import happened_at
from payhooks.dialects.registry import DIALECTS, bound, find
from payhooks.errors import InvalidError, SignatureError
from payhooks.limits import TIMEOUT_S_MAX
from payhooks.model.event import Event
from payhooks.policy.retry import POLICIES

REQUESTS: Final = 1_000
# More requests at once than a provider's busiest sender makes would be an attack.
IN_FLIGHT_MAX: Final = 64
# Its provider prescribes how the payload is written, so it is not kept byte for byte.
REWRITTEN: Final = {"treezor", "owngateway", "hyperswitch"}
# Its body names the object by a member of the data, which is the publisher's.
TELLS_BY_DATA: Final = {"foloosi"}
# What the transport makes itself; twice in one request is two answers to one question.
TRANSPORTS_OWN: Final = {"host", "content-type", "content-length", "authorization", "user-agent"}


@pytest.fixture(params=sorted(DIALECTS))
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Every dialect, as one merchant speaks it."""
    return spoken(str(request.param))


def test_constants_are_in_bounds(dialect: Dialect) -> None:
    """An endpoint that names nothing is treated by them."""
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,39}", dialect.name)
    assert find(dialect.name).name == dialect.name
    assert bound(dialect.name, MERCHANT).name == dialect.name
    assert dialect.version >= 1
    assert dialect.retry_policy in POLICIES
    assert 0 < dialect.connect_timeout_s <= dialect.timeout_s <= TIMEOUT_S_MAX
    assert 1 <= dialect.in_flight_max <= IN_FLIGHT_MAX


def test_choices_are_known_or_refused(dialect: Dialect) -> None:
    """A misspelled option that is taken silently is found out by a merchant."""
    dialect.check_options({})
    with pytest.raises(InvalidError) as caught:
        dialect.check_options({"no_such_option": "yes"})
    assert all(fault.pointer.startswith("/dialect_options") for fault in caught.value.faults)
    assert "no_such_option" not in str(caught.value)


# --- writing ---------------------------------------------------------------------------


@pytest.mark.shows("V22")
def test_events_of_every_family_are_read_as_they_were_written(dialect: Dialect) -> None:
    """With and without object, time and metadata; nothing is translated on the way out."""
    events = drawn_events(dialect.name, count=2 * len(CATALOGUE.types), seed=1)
    for event in events:
        attempt = attempt_of(dialect, event)
        dialect.verify(attempt.headers, attempt.body, attempt.verifying, attempt.now)
        reading = dialect.read(attempt.headers, attempt.body)

        assert reading.event_type == event.type
        assert _meaning(reading.payload) == _meaning(event.data)
        if dialect.name not in REWRITTEN:
            assert reading.payload == event.data
        assert reading.ids
        if event.object_id is not None and dialect.name not in TELLS_BY_DATA:
            assert reading.object_id in (None, event.object_id)
        if reading.occurred_at is not None:
            # Some print whole seconds.
            assert abs(reading.occurred_at - happened_at(event)) < timedelta(seconds=1)


@pytest.mark.shows("V24")
def test_equal_arguments_make_equal_bytes(dialect: Dialect) -> None:
    """A retry that differs from the first attempt is another message to whoever hashes bodies."""
    endpoint = endpoint_of(dialect.name)
    for event in drawn_events(dialect.name, count=100, seed=2):
        rendered = dialect.render(event=event, endpoint=endpoint, merchant=MERCHANT)
        assert rendered == dialect.render(event=event, endpoint=endpoint, merchant=MERCHANT)
        first, again, later = (
            attempt_of(dialect, event, now=now) for now in (AT, AT, AT + timedelta(hours=9))
        )
        assert (first.headers, first.body) == (again.headers, again.body)
        assert later.body == first.body


def test_two_events_never_have_one_key_to_dedupe_by(dialect: Dialect) -> None:
    """A receiver that dedupes by it would drop the second."""
    keys = set()
    events = drawn_events(dialect.name, count=300, seed=3)
    for event in events:
        attempt = attempt_of(dialect, event)
        keys.add(dialect.read(attempt.headers, attempt.body).ids[0])
    assert len(keys) == len(events)


@pytest.mark.shows("V24")
def test_headers_are_plain_and_come_once(dialect: Dialect) -> None:
    """A line break in one would be a header that nobody meant to send."""
    for event in drawn_events(dialect.name, count=100, seed=4):
        for secrets in (_two(dialect), []):
            headers = _signed(dialect, event, secrets).raw_headers
            names = [name.lower() for name, _ in headers]
            assert len(set(names)) == len(names)
            assert not TRANSPORTS_OWN.intersection(names)
            for text in [part for header in headers for part in header]:
                assert text.isascii()
                assert text.isprintable()
                assert text == text.strip()


def test_without_secrets_nothing_can_be_taken_for_a_signature(dialect: Dialect) -> None:
    """An endpoint that wants none gets none, and nobody who verifies says yes."""
    (event,) = drawn_events(dialect.name, count=1, seed=5)
    attempt = _signed(dialect, event, [])
    with pytest.raises(SignatureError):
        dialect.verify(attempt.headers, attempt.body, attempt.verifying, attempt.now)


# --- signing ---------------------------------------------------------------------------


@pytest.mark.shows("V22")
@pytest.mark.shows("S07")
def test_a_thousand_valid_requests_are_accepted(dialect: Dialect) -> None:
    """Also by who holds an older secret beside, in either order."""
    for event in drawn_events(dialect.name, count=REQUESTS, seed=6):
        attempt = attempt_of(dialect, event)
        other = dialect.verifying_secret(dialect.new_secret(bytes(32)))
        dialect.verify(attempt.headers, attempt.body, attempt.verifying, attempt.now)
        dialect.verify(attempt.headers, attempt.body, [other, *attempt.verifying], attempt.now)


@pytest.mark.shows("V23")
@pytest.mark.shows("S08")
def test_a_thousand_requests_with_one_bit_changed_are_refused(dialect: Dialect) -> None:
    """In what is signed, or in what says by whom."""
    random = Random(7)
    refused = 0
    for event in drawn_events(dialect.name, count=REQUESTS, seed=7):
        attempt = attempt_of(dialect, event)
        changed = _bit_changed(random, dialect, attempt)
        try:
            dialect.verify(changed.headers, changed.body, attempt.verifying, attempt.now)
        except SignatureError:
            refused += 1
            continue
        pytest.fail(f"{changed.headers} {changed.body!r}")
    assert refused == REQUESTS


@pytest.mark.shows("S10")
def test_the_newest_secret_verifies_at_once_in_a_rotation(dialect: Dialect) -> None:
    """A merchant who has just fetched it configures it now, not when the grace ends."""
    (event,) = drawn_events(dialect.name, count=1, seed=8)
    new, old = _texts(dialect)
    secrets = [dialect.signing_secret(new), dialect.signing_secret(old)]
    attempt = _signed(dialect, event, secrets)
    dialect.verify(attempt.headers, attempt.body, [dialect.verifying_secret(new)], attempt.now)
    both = [dialect.verifying_secret(old), dialect.verifying_secret(new)]
    dialect.verify(attempt.headers, attempt.body, both, attempt.now)


@pytest.mark.shows("V23")
def test_nobody_elses_secret_verifies(dialect: Dialect) -> None:
    (event,) = drawn_events(dialect.name, count=1, seed=9)
    new, old = _texts(dialect)
    attempt = _signed(dialect, event, [dialect.signing_secret(new)])
    with pytest.raises(SignatureError):
        dialect.verify(attempt.headers, attempt.body, [dialect.verifying_secret(old)], attempt.now)


# --- secrets ---------------------------------------------------------------------------


def test_secrets_show_in_nothing_that_is_printed(dialect: Dialect) -> None:
    """Reprs end up in logs and in failing tests, sentences of errors in answers."""
    text = dialect.new_secret(bytes(range(32)))
    key = text.rpartition("_")[2]
    for secret in (dialect.signing_secret(text), dialect.verifying_secret(text)):
        assert key not in repr(secret)
        assert key[:8] not in str(secret)
    for wrong in ("q7", "whsk_" + "q7" * 9, "q7 " * 9, "q7" * 300):
        with pytest.raises(InvalidError) as caught:
            dialect.signing_secret(wrong)
        assert "q7" not in str(caught.value)


def test_secrets_are_as_random_as_what_they_are_made_of(dialect: Dialect) -> None:
    """A bit that does not reach the text is a bit that need not be guessed."""
    base = bytearray(range(32))
    texts = {dialect.new_secret(bytes(base))}
    for place in range(256):
        changed = bytearray(base)
        changed[place // 8] ^= 1 << place % 8
        texts.add(dialect.new_secret(bytes(changed)))
    assert len(texts) == 257
    assert all(text.isascii() and text.isprintable() and " " not in text for text in texts)


# --- how it is asked -------------------------------------------------------------------


def _texts(dialect: Dialect) -> tuple[str, str]:
    return dialect.new_secret(bytes(range(32))), dialect.new_secret(bytes(range(1, 33)))


def _two(dialect: Dialect) -> list[SigningSecret]:
    return [dialect.signing_secret(text) for text in _texts(dialect)]


def _signed(dialect: Dialect, event: Event, secrets: list[SigningSecret]) -> Attempt:
    return attempt_of(dialect, event, secrets=secrets)


def _bit_changed(random: Random, dialect: Dialect, attempt: Attempt) -> Attempt:
    while True:
        if random.random() < 0.4:
            name = random.choice(sorted(attempt.headers)) if attempt.headers else None
            if name is None:
                continue
            value = _flipped(random, attempt.headers[name].encode(), bits=7).decode()
            return attempt.with_headers({**attempt.headers, name: value})
        body = _flipped(random, attempt.body, bits=8)
        if dialect.name != "treezor" or _is_signed_part(attempt.body, body):
            return attempt.with_body(body)


def _flipped(random: Random, raw: bytes, *, bits: int) -> bytes:
    place = random.randrange(len(raw))
    changed = bytearray(raw)
    changed[place] ^= 1 << random.randrange(bits)
    return bytes(changed)


def _is_signed_part(body: bytes, changed: bytes) -> bool:
    """Return whether it says another payload or signature, or none: nothing else is signed."""
    try:
        was, said = json.loads(body), json.loads(changed)
        names = ("object_payload", "object_payload_signature")
        return any(said[name] != was[name] for name in names)
    except (ValueError, LookupError, TypeError):
        return True


def _meaning(raw: bytes) -> object:
    # PHP has no integers beyond 64 bits, and prints fewer digits of a fraction.
    return json.loads(raw, parse_int=float)

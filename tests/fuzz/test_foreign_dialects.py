"""Requests of every dialect, edited: each is verified and read, or refused with the one error."""

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tests.support.dialect_events import AT, Attempt, attempt_of, drawn_events, spoken
from tests.support.fuzzing import hunt, mutated, mutated_text

from payhooks.dialects.registry import DIALECTS
from payhooks.errors import InvalidError, SignatureError

NAMES: Final = sorted(DIALECTS)
_EXAMPLES: Final = 10_000
_VECTORS: Final = Path(__file__).parents[1] / "vectors"
_TOKENS: Final = [
    b"NaN", b"null", b"true", b"[" * 3_000, b'{"a":' * 3_000, b"1" * 5_000, b"-0", b"1e999",
    b"1.0e+25", b'"9999-12-31T23:59:59-23:59"', b'"0001-01-01T00:00:00+01:00"', b'"2026-11-20"',
    b'"0000-00-00 00:00:00"', b"\xff", b"\xef\xbb\xbf", b"\x00", b"\\ud800", b"\\udc00", b"\\u",
    b"\\", b'"', b",", b":", b"{}", b"[]", b'"data":', b'"object_payload":', b"253402300800000",
    b'"object_payload_signature":""', b'"event_type":1,',
]  # fmt: skip
_IN_HEADERS: Final = [
    "t=", ",v1=", "v1,", "v1a,", "sha256=", ",", "=", " ", ".", "\u0663", "0" * 5_000, "-1", "1e3",
    "\r\n",
]  # fmt: skip

_Request = tuple[str, Mapping[str, str], bytes, int]


@lru_cache(maxsize=len(NAMES))
def _attempts(name: str) -> list[Attempt]:
    dialect = spoken(name)
    return [attempt_of(dialect, event) for event in drawn_events(name, count=6, seed=1)]


@lru_cache(maxsize=len(NAMES))
def _bodies(name: str) -> list[bytes]:
    """Return what the dialect writes, and every body of its vectors: all that a provider prints."""
    bodies = [attempt.body for attempt in _attempts(name)]
    for file in sorted((_VECTORS / name).glob("*.json")):
        bodies += [case["body"].encode() for case in json.loads(file.read_text())["cases"]]
    return bodies


@st.composite
def _requests(draw: st.DrawFn, names: list[str]) -> _Request:
    name = draw(st.sampled_from(names))
    good = draw(st.sampled_from(_attempts(name)))
    headers = dict(good.headers)
    words = [*headers.values(), ""]
    for header in draw(st.lists(st.sampled_from([*headers, "x-other"]), max_size=2)):
        if draw(st.booleans()):
            headers[header] = draw(mutated_text(words, _IN_HEADERS))
        else:
            headers.pop(header, None)
    body = draw(
        st.just(good.body) | mutated([good.body], _TOKENS) | mutated(_bodies(name), _TOKENS)
    )
    return name, headers, body, draw(st.sampled_from([0, 0, 0, 299, 301, -301, 10**9]))


def _verify(request: _Request) -> None:
    name, headers, body, late_s = request
    dialect = spoken(name)
    attempts = _attempts(name)
    try:
        dialect.verify(headers, body, attempts[0].verifying, AT + timedelta(seconds=late_s))
    except SignatureError:
        return
    said = [_signed_part(name, attempt.body) for attempt in attempts]
    assert _signed_part(name, body) in said, "nobody signed this"


def _signed_part(name: str, body: bytes) -> object:
    # Elsewhere every byte is signed; here it is what the payload means.
    return json.loads(body)["object_payload"] if name == "treezor" else body


def _read(request: _Request) -> None:
    name, headers, body, _ = request
    try:
        reading = spoken(name).read(headers, body)
    except InvalidError as error:
        faults = error.faults
        assert all(fault.detail.endswith(".") for fault in faults)
        return
    assert reading.event_type
    json.loads(reading.payload, parse_int=str)
    for at in (reading.occurred_at, reading.ordered_at):
        assert at is None or at.utcoffset() == timedelta(0)
    said = [reading.event_type, reading.object_type, reading.object_id, *dict(reading.ids).values()]
    for text in said:
        # No store's text holds half a surrogate pair. What was a header is text already.
        assert text is None or text in headers.values() or text.encode()


def _ask(request: _Request) -> None:
    _verify(request)
    _read(request)


@pytest.mark.shows("V21")
def test_a_request_is_verified_only_as_it_was_signed_and_read_or_refused() -> None:
    """A forger must not get by, and a provider that sends nonsense must not stop a worker."""
    hunt(_ask, _requests(NAMES))


def test_a_secret_is_one_or_is_refused() -> None:
    """Whoever moves here pastes it out of another product's page."""
    corpus = [spoken(name).new_secret(bytes(range(32))) for name in NAMES]

    def check(name: str, text: str) -> None:
        for read in (spoken(name).signing_secret, spoken(name).verifying_secret):
            with contextlib.suppress(InvalidError):
                read(text)

    tokens = ["whsec_", "whsk_", "whs_", "=", "-", "_", "\n", "\u0661", "/", "\x00", " "]
    hunt(check, st.sampled_from(NAMES), mutated_text(corpus, tokens))


def test_choices_are_taken_or_refused() -> None:
    """They come from the API, as text to text."""

    def check(name: str, options: dict[str, str]) -> None:
        with contextlib.suppress(InvalidError):
            spoken(name).check_options(options)

    known = [
        "event_ids",
        "event_triggered_time_zone",
        "api_version",
        "transfer",
        "object",
        "UTC",
        "../UTC",
        "/etc",
    ]
    word = mutated_text(known, ["/", "..", "\x00", "\ud800"])
    hunt(check, st.sampled_from(NAMES), st.dictionaries(word, word, max_size=2))


@pytest.mark.shows("V21")
@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_requests_end_in_a_result_or_in_the_one_error(name: str) -> None:
    """Of every dialect, each both verified and read."""
    ended = 0

    def counted(request: _Request) -> None:
        nonlocal ended
        _ask(request)
        ended += 1

    asked = settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    asked(seed(1)(given(_requests([name]))(counted)))()
    assert ended >= _EXAMPLES

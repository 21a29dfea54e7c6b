"""How long a refusal takes says nothing about how near a forgery came.

After dudect: two classes of input in random order, the slow tail cut off as the machine's own, and
Welch's t over the rest. Where time depended on the class, t would grow with the samples without
end; 4.5 is far beyond chance.
"""

import gc
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import sqrt
from random import Random
from statistics import fmean, quantiles, variance

import pytest

from payhooks.dialects.standard import STANDARD
from payhooks.errors import SignatureError
from payhooks.receiver import VerificationError, Verifier

SAMPLES = 100_000
T_MAX = 4.5
_SECRET = STANDARD.new_secret(bytes(range(32)))
_NOW = datetime(2030, 1, 1, tzinfo=UTC)
_BODY = b'{"type":"payment.paid","timestamp":"2030-01-01T00:00:00Z","data":{}}'
_HEADERS = dict(
    STANDARD.sign(
        message_id="del_1", body=_BODY, secrets=[STANDARD.signing_secret(_SECRET)], now=_NOW
    ).headers
)
_NAME = "webhook-signature"


def _forged(place: int) -> dict[str, str]:
    """Return the headers with one wrong character of the signature, the rest being right."""
    text = _HEADERS[_NAME]
    at = len("v1,") + place
    wrong = "A" if text[at] != "A" else "B"
    return {**_HEADERS, _NAME: text[:at] + wrong + text[at + 1 :]}


# The first differs in the first byte of the digest, the second in its last whole one.
_CLASSES = (_forged(0), _forged(40))


def _t(classes: Sequence[object], call: Callable[[object], None], samples: int) -> float:
    """Return Welch's t between the times of the two classes."""
    random = Random(1)
    times: tuple[list[float], list[float]] = ([], [])
    gc.disable()
    try:
        for _ in range(samples):
            which = random.getrandbits(1)
            given = classes[which]
            began_ns = time.perf_counter_ns()
            call(given)
            times[which].append(time.perf_counter_ns() - began_ns)
    finally:
        gc.enable()
    # The machine's interruptions are a hundred times what we look for: the fastest nine tenths.
    limit = quantiles([*times[0], *times[1]], n=10)[8]
    kept = [[taken for taken in each if taken <= limit] for each in times]
    spread = sqrt(sum(variance(each) / len(each) for each in kept))
    return abs(fmean(kept[0]) - fmean(kept[1])) / spread


@pytest.mark.long
@pytest.mark.shows("S08")
def test_verification_takes_as_long_wherever_a_signature_is_wrong() -> None:
    """Else a forger finds the right signature byte by byte, in our SDK or in what we receive."""
    verifier = Verifier(_SECRET)
    secrets = [STANDARD.verifying_secret(_SECRET)]

    def by_sdk(headers: object) -> None:
        assert isinstance(headers, dict)
        try:
            verifier.verify(_BODY, headers, now=_NOW)
        except VerificationError:
            return
        raise AssertionError("a forgery was accepted")

    def by_dialect(headers: object) -> None:
        assert isinstance(headers, dict)
        try:
            STANDARD.verify(headers=headers, body=_BODY, secrets=secrets, now=_NOW)
        except SignatureError:
            return
        raise AssertionError("a forgery was accepted")

    # A busy machine may spoil one run; where the time does depend, every run shows it.
    for call in (by_sdk, by_dialect):
        assert min(_t(_CLASSES, call, SAMPLES) for _ in range(3)) < T_MAX


@pytest.mark.long
@pytest.mark.shows("S08")
def test_a_comparison_that_stops_early_is_found_out() -> None:
    """The measure above would say nothing if it could not find what it looks for."""
    right = bytes(32)

    def compare(given: object) -> None:
        assert isinstance(given, bytes)
        for mine, theirs in zip(right, given, strict=True):
            if mine != theirs:
                return

    classes = (b"\x01" + bytes(31), bytes(31) + b"\x01")
    assert _t(classes, compare, SAMPLES // 10) > T_MAX

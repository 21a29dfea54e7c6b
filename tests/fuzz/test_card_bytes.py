"""Whatever JSON comes: looking for card data ends, and masking it changes nothing else."""

import json
from typing import Final

from hypothesis import strategies as st
from tests.support.cards import DISGUISES, PRINTED
from tests.support.fuzzing import hunt, mutated, mutated_text

from payhooks.api import strict_json
from payhooks.api.problems import ProblemError
from payhooks.policy import card_numbers
from payhooks.policy.card_numbers import found, is_in, masked, masked_text

_AT_MOST: Final = 10
_CORPUS: Final = [
    *(b'{"a":[%b],"b":1}' % disguised(PRINTED[0]) for disguised in DISGUISES.values()),
    b'{"4111111111111111":{"cvv":"123","x":[4111111111111111.50,-4111111111111111e2]}}',
    b'{"t":"%B4111111111111111^DOE/JANE^27121010000000000000?","u":";4111111111111111=2712101000?"}',
    b'{"pin_block":"0412AC89ABCDEF67","iban":"DE89 3704 0044 0532 0130 00"}',
]
_TOKENS: Final = [
    *(number.encode() for number in PRINTED),
    *(b"[]", b"{}", b'"', b",", b":", b"1", b" ", b"-", b".", b"\\u0034", b"\\n", b"\\\\", b'\\"'),
    *("\u00a0 \u200b \u0664 \uff14 \U0001d7d2 é".encode().split()),
    *(b"cvv", b'"cvv":"123"', b"X", b"=", b"^", b"NDExMTExMTExMTExMTExMQ==", b"MTEx", b"e5"),
]


def test_what_is_masked_is_json_in_which_nothing_is_found_and_nothing_else_was_changed() -> None:
    """The first look may not miss what the second would find, nor the second what it has left."""

    def check(raw: bytes) -> None:
        try:
            strict_json.check(raw)
        except ProblemError:
            return
        places = found(raw, "/data", at_most=_AT_MOST)
        closely = any(True for _ in card_numbers._leaves_with(raw))  # noqa: SLF001 - the close look
        assert bool(places) == closely
        done = masked(raw, "/data", at_most=_AT_MOST)
        assert done.places == places
        assert (done.raw == raw) == (not places)
        if not done.is_ambiguous:
            strict_json.check(done.raw)
            _assert_alike(json.loads(raw), json.loads(done.raw))
        assert not masked(done.raw, "/data", at_most=_AT_MOST).places
        for place in places:
            assert len(place.pointer) < 300
            assert not is_in(place.pointer)

    hunt(check, mutated(_CORPUS, _TOKENS))


def test_no_text_keeps_its_number() -> None:
    """What is said of an event may quote it."""

    def check(text: str) -> None:
        hidden = masked_text(text)
        assert len(hidden) == len(text)
        assert not is_in(hidden)

    words = [*PRINTED, "4111 1111-1111.1111", "a4111111111111111", "12.4111111111111111"]
    tokens = [" ", "-", ".", "1", "4", "a", "X", "\u200b", "\u0664"]
    hunt(check, mutated_text(words, tokens) | st.text("4 1-.aDX=^", max_size=60))


def _assert_alike(before: object, after: object) -> None:
    """Hold what is left against what came: of the same shape, and as long."""
    if isinstance(before, dict):
        assert isinstance(after, dict)
        assert list(map(len, before)) == list(map(len, after))
        for one, other in zip(before.values(), after.values(), strict=True):
            _assert_alike(one, other)
    elif isinstance(before, list):
        assert isinstance(after, list)
        for one, other in zip(before, after, strict=True):
            _assert_alike(one, other)
    elif before != after:
        assert isinstance(after, str)
        assert "X" in after

"""The text of API keys: found by scanners, told from look-alikes, never guessed."""

import re
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payhooks.control.key_text import KeyKind, digest, hint, kind_of, looks_like, new_key
from payhooks.model.merchant import Mode

RANDOM = Random(1)
KEY = new_key(KeyKind.LIVE, RANDOM.randbytes)


@pytest.mark.parametrize("kind", list(KeyKind))
@pytest.mark.parametrize(
    "draw", [lambda count: b"\x00" * count, lambda count: b"\xff" * count, RANDOM.randbytes]
)
def test_every_key_has_its_kind_and_one_length(kind: KeyKind, draw: Callable[[int], bytes]) -> None:
    """The pattern is published for secret scanners, so the smallest and largest must fit."""
    key = new_key(kind, draw)
    assert re.fullmatch(rf"phk_{kind}_[0-9A-Za-z]{{49}}", key)
    assert kind_of(key) is kind
    assert looks_like(key)


def test_every_mode_has_its_kind_of_key() -> None:
    """A mode without one could not issue keys."""
    assert {KeyKind(mode.value) for mode in Mode} == set(KeyKind) - {KeyKind.OPERATOR}


def test_a_known_key_stays_a_key() -> None:
    """Keys outlive releases: a change of spelling would lock everybody out."""
    key = new_key(KeyKind.SANDBOX, lambda count: bytes(range(count)))
    assert key == "phk_sandbox_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf2PFDt5"
    assert digest(key).hex() == "79ecfc238c54467d746864386c4979e50d47fca7533f60031aad719c30dd38d2"


def test_two_keys_differ() -> None:
    keys = {new_key(KeyKind.LIVE, RANDOM.randbytes) for _ in range(10_000)}
    assert len(keys) == 10_000
    assert len({digest(key) for key in keys}) == 10_000


@pytest.mark.shows("S14")
@pytest.mark.parametrize("position", range(len(KEY)))
def test_one_wrong_character_is_noticed(position: int) -> None:
    """A typing mistake is answered without a look into the store."""
    other = "a" if KEY[position] != "a" else "b"
    assert not looks_like(KEY[:position] + other + KEY[position + 1 :])


@pytest.mark.shows("S14")
@pytest.mark.parametrize(
    "text",
    # By name: a report that lists tests would look as if it gave a key away.
    [
        pytest.param("", id="nothing"),
        pytest.param("phk_", id="a prefix"),
        pytest.param(KEY[:-1], id="one less"),
        pytest.param(KEY + "A", id="one more"),
        pytest.param(" " + KEY, id="a space before"),
        pytest.param(KEY + "\n", id="a line end behind"),
        pytest.param(KEY.replace("live", "test"), id="another kind"),
    ],
)
def test_other_text_is_no_key(text: str) -> None:
    assert not looks_like(text)


@given(text=st.text(), prefix=st.sampled_from(["", "phk_live_", KEY[:-1]]))
@example(text="\udcff" * 49, prefix="phk_live_")
def test_whatever_arrives_gets_an_answer(text: str, prefix: str) -> None:
    """It is an Authorization header from anywhere."""
    looks_like(prefix + text)
    assert len(digest(prefix + text)) == 32


def test_the_hint_tells_keys_apart_and_gives_nothing_away() -> None:
    """Its characters are of the checksum, not of the secret."""
    assert hint(KEY) == KEY[-4:]
    assert hint(KEY) not in KEY[:-6]

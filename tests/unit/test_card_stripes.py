"""What a card's magnetic stripe says is found however it is written, and goes whole."""

import json
from random import Random
from typing import Final

import pytest
from tests.support.cards import guarded_body

from payhooks.policy.card_numbers import MASK, Kind, found

_STRIPE: Final = "4111111111111111D2512101000000000000"


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("%B3782 822463 10005^DOE/JOHN^2512101100000000000000?", id="in groups"),
        pytest.param("%B4111 1111 1111 1111^DOE/JOHN^25121010000?", id="in fours"),
        pytest.param("B4111 1111 1111 1111^DOE/JOHN^2512101?", id="without its first sign"),
        pytest.param("5555555555554444d2512101100000000000", id="in lower-case hexadecimal"),
        pytest.param(f"{_STRIPE}f".lower(), id="and filled up"),
    ],
)
def test_a_stripe_goes_whole_however_it_is_written(text: str) -> None:
    """S42: with it somebody makes a card."""
    for raw in (json.dumps({"t": text}), f"t: {text}\n", f"<t>{text}</t>"):
        hidden = MASK * len(text)
        assert guarded_body(raw.encode()).decode() == raw.replace(text, hidden)
    [place] = found(json.dumps({"t": text}).encode(), "", at_most=2)[:1]
    assert place.kind is Kind.TRACK_DATA


@pytest.mark.shows("S42", "I14")
@pytest.mark.parametrize(
    ("text", "before", "behind"),
    [
        pytest.param(f"9F2701805713{_STRIPE}0F5F3401", "9F2701805713", "5F3401", id="tag 57"),
        pytest.param(f"5712{_STRIPE}9F270180", "5712", "9F270180", id="a tag behind it"),
        pytest.param(f"9F6B13{_STRIPE}", "9F6B13", "", id="tag 9F6B, cut off"),
        pytest.param(f"9f6b12{_STRIPE.lower()}9f2701", "9f6b12", "9f2701", id="in lower case"),
    ],
)
def test_a_stripe_among_the_tags_of_a_chip_is_found(text: str, before: str, behind: str) -> None:
    """The digits before its number are a tag and a length, and no part of it."""
    raw = json.dumps({"emv": text})
    hidden = before + MASK * (len(text) - len(before) - len(behind)) + behind
    assert guarded_body(raw.encode()).decode() == raw.replace(text, hidden)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("B4111 1111 1111 1112^DOE/JOHN^2512101", id="a wrong check digit"),
        pytest.param("a4111111111111111d2512101000f", id="a part of a hash"),
        pytest.param("4111111111111111d2512101000ae", id="a part of a hash, at its beginning"),
        pytest.param(f"570a{_STRIPE.lower()}"[:33], id="a length that is too short"),
        pytest.param("57124111111111111112D2512101000", id="a tag with a wrong check digit"),
    ],
)
def test_what_is_no_stripe_stays(text: str) -> None:
    """Hashes have digits, a `d`, and digits."""
    raw = json.dumps({"t": text}).encode()
    assert guarded_body(raw) == raw


def test_of_a_hundred_thousand_hashes_none_is_taken_for_a_stripe() -> None:
    """They are the ids of many messages."""
    random = Random(7)
    for begin in range(0, 100_000, 1_000):
        raw = json.dumps([f"{random.getrandbits(256):064x}" for _ in range(begin, begin + 1_000)])
        assert found(raw.encode(), "", at_most=1) == []

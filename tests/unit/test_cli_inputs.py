"""What commands read: JSON byte for byte, pairs, members of data."""

from pathlib import Path
from typing import Any

import pytest

from payhooks.cli import inputs
from payhooks.errors import InvalidError


def test_json_goes_out_as_it_was_written(tmp_path: Path) -> None:
    """1.0 must not become 1 on the way: the bytes are what is kept and signed."""
    text = '{"amount": 1.0, "z": 1, "a": "\\u00e9"}'
    file = tmp_path / "data.json"
    file.write_text(text + "\n", encoding="utf-8")
    assert inputs.json_bytes(text, option="--data") == text.encode()
    assert inputs.json_bytes(f"@{file}", option="--data") == text.encode()


@pytest.mark.parametrize("text", ["", '{"a":1', '{"a":1}}', "1,2", "[" * 100_000])
def test_what_is_no_json_cannot_break_out_of_its_place(text: str) -> None:
    """It would be spliced into the request: `1,"type":"other"` must not get there."""
    with pytest.raises(InvalidError):
        inputs.json_bytes(text, option="--data")


def test_members_are_set_deep_and_typed() -> None:
    """amount=12.50 is a number, status=paid is text, and a.b makes the object on the way."""
    data: dict[str, Any] = {"card": {"last4": "4242"}}
    for text in ("amount=12.50", "status=paid", "card.brand=visa", "live=true"):
        name, value = inputs.pair(text, separator="=", option="--set")
        inputs.set_member(data, name, inputs.value_of(value))
    assert data == {
        "amount": 12.5,
        "status": "paid",
        "card": {"last4": "4242", "brand": "visa"},
        "live": True,
    }


def test_a_member_of_what_is_no_object_is_refused() -> None:
    """Overwriting it silently would publish something else than was meant."""
    with pytest.raises(InvalidError):
        inputs.set_member({"amount": 1}, "amount.value", 2)


@pytest.mark.parametrize("text", ["amount", "=1", ""])
def test_a_pair_has_two_halves(text: str) -> None:
    """Refused with the option's name, not with a traceback."""
    with pytest.raises(InvalidError, match="--set"):
        inputs.pair(text, separator="=", option="--set")

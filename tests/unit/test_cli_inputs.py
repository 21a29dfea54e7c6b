"""What commands read: JSON byte for byte, pairs, values."""

from pathlib import Path

import pytest

from payhooks.cli import inputs, spelled
from payhooks.errors import InvalidError


def test_json_with_a_long_number_is_json() -> None:
    """JSON bounds no number, and neither does the API."""
    text = '{"n": ' + "1" * 5_000 + "}"
    assert inputs.json_bytes(text, option="--data") == text.encode()


@pytest.mark.parametrize("text", ["10.00", "12345678901234567.89", "1e5", "1" * 5_000])
def test_a_number_that_is_set_is_sent_as_it_was_written(text: str) -> None:
    """10.00 must not be published as 10.0."""
    assert spelled.write({"set": {"amount": inputs.value_of(text)}}) == (
        f'{{"set": {{"amount": {text}}}}}'
    )


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


@pytest.mark.parametrize(
    ("text", "value"), [("12.50", 12.5), ("paid", "paid"), ("true", True), ('"1"', "1")]
)
def test_a_value_is_json_where_it_can_be(text: str, value: object) -> None:
    """A number need not be marked as one, nor text as text."""
    assert inputs.value_of(text) == value


@pytest.mark.parametrize("text", ["amount", "=1", ""])
def test_a_pair_has_two_halves(text: str) -> None:
    """Refused with the option's name, not with a traceback."""
    with pytest.raises(InvalidError, match="--set"):
        inputs.pair(text, separator="=", option="--set")

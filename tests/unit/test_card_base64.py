"""Base64 is read as far as one level goes, however its lines end."""

import base64
import json
from typing import Final

import pytest
from tests.support.cards import guarded_body

from payhooks.policy.card_numbers import MASK

_LINE: Final = 57  # bytes of a line of 76 characters


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.shows("S40", "I14")
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("at", range(_LINE - 24, _LINE + 1))
@pytest.mark.parametrize("text", ["6011 1111 1111 1117", "6011111111111117"])
def test_lines_of_base64_hide_nothing_where_one_ends(text: str, at: int, line_end: str) -> None:
    """Mail and many libraries break them after 76 characters."""
    coded = base64.encodebytes(
        f"{'-- ' * 20}"[:at].encode() + text.encode() + b" ,; " * 20
    ).decode()
    lines = coded.strip().replace("\n", line_end)
    for raw in (json.dumps({"a": lines}), f"a: {lines}"):
        assert guarded_body(raw.encode()) != raw.encode(), at
    masked = json.loads(guarded_body(json.dumps({"a": lines}).encode()))["a"]
    assert set(masked) == {MASK}


def test_lines_that_are_not_of_base64_are_read_each_by_itself() -> None:
    """Joined, what they say were shifted."""
    raw = f"abcde\nabcdefghijklmnopq\n{_coded('6011111111111117')}\nabcdefg"
    assert guarded_body(raw.encode()).decode() == raw.replace(_coded("6011111111111117"), MASK * 24)


def test_a_number_at_the_beginning_of_a_line_is_no_part_of_the_word_before() -> None:
    """A line may be all that somebody coded; what was found in it before is found still."""
    said = "x" * _LINE + "6011111111111117 " + "y" * 90
    raw = json.dumps({"a": base64.encodebytes(said.encode()).decode()}).encode()
    assert guarded_body(raw) != raw

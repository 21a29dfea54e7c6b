"""SQL in named blocks."""

import pytest

from payhooks.storage.statements import parse


def test_blocks_are_found_by_their_names_without_the_last_semicolon() -> None:
    """Drivers refuse a second, empty statement; comments inside a block stay with it."""
    text = """
    -- The file's own comment, about nobody's block.
-- name: first
SELECT 1; -- not the end
SELECT 2;

-- name: second_v1
-- Why it is so.
SELECT 3
"""

    found = parse(text)

    assert dict(found) == {
        "first": "SELECT 1; -- not the end\nSELECT 2",
        "second_v1": "-- Why it is so.\nSELECT 3",
    }


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("-- name: twice\nSELECT 1;\n-- name: twice\nSELECT 2;", id="a name twice"),
        pytest.param("-- name: nothing\n\n-- name: something\nSELECT 1;", id="an empty block"),
    ],
)
def test_a_block_that_would_be_lost_is_a_bug(text: str) -> None:
    """The second of two equal names would silently win."""
    with pytest.raises(AssertionError):
        parse(text)

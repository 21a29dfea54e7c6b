"""What an error says of itself, as people read it in receipts, logs and on the command line."""

import pytest

from payhooks.errors import Fault, InvalidError


@pytest.mark.parametrize(
    ("pointers", "said"),
    [
        pytest.param(["/a"], "/a: Wrong.", id="a place"),
        pytest.param([""], "Wrong.", id="the whole"),
        pytest.param(["", "/a"], "Wrong.; /a: Wrong.", id="both"),
    ],
)
def test_what_is_wrong_with_the_whole_names_no_place(pointers: list[str], said: str) -> None:
    """A receipt that cannot be read has this for its only words."""
    faults = [Fault(pointer=pointer, code="malformed", detail="Wrong.") for pointer in pointers]
    assert str(InvalidError(faults)) == said

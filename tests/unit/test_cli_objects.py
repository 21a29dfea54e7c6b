"""``payhooks objects``: its words are those of the other places that tell of objects."""

import re
from pathlib import Path

import pytest

from payhooks.cli.objects import MARK_WORDS, write
from payhooks.console.pages.objects import MARKS

_PAGE = Path(__file__).parents[2] / "docs" / "objects.md"


def test_a_mark_is_called_the_same_in_the_console_and_on_the_command_line() -> None:
    """Who reads one and is told of the other on the telephone means the same event."""
    plainer = {mark: label for mark, (label, _) in MARKS.items() if mark != label}
    assert plainer == MARK_WORDS


def test_the_page_about_objects_has_both_names_of_each_mark() -> None:
    """Nobody finds *late* by looking for it under another name."""
    rows = re.findall(r"^\| `([a-z]+)` \| ([a-z]+) \|", _PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(mark.value, label) for mark, (label, _) in MARKS.items()]


@pytest.mark.parametrize("complete", [True, False])
def test_whoever_reads_a_timeline_is_told_when_it_has_not_every_receipt(
    capsys: pytest.CaptureFixture[str], *, complete: bool
) -> None:
    """A list that ends says that there was nothing before, unless it says otherwise."""
    write(
        {
            "type": "payment",
            "id": "pay_1",
            "unified": None,
            "history": [],
            "timeline": {"data": []},
            "trail": [{"at": "2026-11-20T11:01:00.000Z", "kind": "receipt", "id": "rcp_1"}],
            "receipts_complete": complete,
        }
    )
    said = capsys.readouterr()
    assert "rcp_1" in said.out
    assert "receipts_complete" not in said.out
    assert ("There are older receipts." in said.err) is not complete

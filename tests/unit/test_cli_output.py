"""What commands print: for people, for programs, and never what a terminal would obey."""

import json

import pytest

from payhooks.cli import output
from payhooks.errors import InvalidError


def test_text_from_elsewhere_cannot_write_to_the_terminal() -> None:
    """A receiver's answer is shown; it must not clear the screen or forge a line."""
    assert output.printable("ok\x1b[2J\r gone") == "ok\\x1b[2J\\x0d gone"
    assert output.printable("zwölf €\n") == "zwölf €\n"


def test_a_table_has_one_line_a_row_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrapped lines would break grep and cut."""
    output.table([{"id": "a", "url": "x" * 300}, {"id": "bcd", "url": None}], ["id", "url"])
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["ID   URL", "a    " + "x" * 300, "bcd  -"]


def test_an_empty_table_is_words_and_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads the output must find nothing in it."""
    output.table([], ["id"])
    captured = capsys.readouterr()
    assert not captured.out
    assert "none" in captured.err


def test_json_survives_every_locale(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe may be ASCII."""
    output.as_json({"name": "Käse"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"name": "Käse"}


def test_where_nobody_can_be_asked_only_yes_agrees() -> None:
    """A script that deletes must have said so."""
    output.confirm("Delete it?", yes=True)
    with pytest.raises(InvalidError, match="--yes: Nobody can be asked here"):
        output.confirm("Delete it?", yes=False)


@pytest.mark.parametrize(
    ("number", "things", "words"),
    [
        (0, "events", "0 events"),
        (1, "events", "1 event"),
        (2, "events", "2 events"),
        (1, "deliveries", "1 delivery"),
        (12, "deliveries", "12 deliveries"),
    ],
)
def test_one_thing_is_told_as_one(number: int, things: str, words: str) -> None:
    """Most trials are with one event, and one attempt."""
    assert output.counted(number, things) == words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(None, "-", id="nothing"),
        pytest.param(True, "yes", id="yes"),
        pytest.param([], "-", id="empty list"),
        pytest.param(["a", "b"], "a, b", id="list"),
        pytest.param({"type": "none"}, '{"type": "none"}', id="object"),
        pytest.param(1.5, "1.5", id="number"),
    ],
)
def test_members_are_one_line_of_text(value: object, shown: str) -> None:
    """One line per member keeps records readable."""
    assert output.cell(value) == shown

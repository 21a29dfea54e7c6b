"""What commands print: data on standard output, words on standard error.

Text that came from elsewhere is shown with its control characters escaped: the answer of a
receiver must not be able to write to somebody's terminal as it likes.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from payhooks.cli import spelled
from payhooks.errors import InvalidError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
ConnectorName = Annotated[str | None, typer.Option(help="Only of this connector: its id or name.")]
MerchantName = Annotated[
    str | None,
    typer.Option(
        "--merchant",
        "-m",
        envvar="PAYHOOKS_API_MERCHANT",
        help="The merchant, by id or reference.",
    ),
]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_GAP: Final = "  "
_NOTHING: Final = "-"


def say(words: str) -> None:
    """Tell a person something, on standard error."""
    sys.stderr.write(f"{printable(words)}\n")
    sys.stderr.flush()


def line(text: str) -> None:
    """Print one line of data."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def as_json(value: object) -> None:
    """Print *value* as JSON, for programs."""
    # ASCII only: it survives every terminal, pipe and locale.
    sys.stdout.write(spelled.write(value, indent=2) + "\n")


def highlighted(value: object) -> None:
    """Print *value* as JSON, in colours where a person sees them."""
    # Rich takes a tenth of a second to import, and most commands show no colours.
    from rich.console import Console  # noqa: PLC0415 - start-up time
    from rich.highlighter import JSONHighlighter  # noqa: PLC0415 - start-up time

    # ASCII only, as above: escapes are escaped. Rich's own JSON would read the numbers again.
    Console().print(JSONHighlighter()(spelled.write(value, indent=2)), soft_wrap=True)


def record(value: Mapping[str, Any]) -> None:
    """Print the members of one thing, a line each."""
    width = max((len(name) for name in value), default=0)
    for name, member in value.items():
        line(f"{name:<{width}}{_GAP}{cell(member)}")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under a heading; never wrapped, so that `grep` and `cut` work on it."""
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    if not cells:
        say("There are none.")
        return
    headings = [column.replace("_", " ").upper() for column in columns]
    widths = [max(map(len, texts)) for texts in zip(headings, *cells, strict=True)]
    for texts in (headings, *cells):
        padded = [f"{text:<{width}}" for text, width in zip(texts, widths, strict=True)]
        line(_GAP.join(padded).rstrip())


def cell(value: object) -> str:
    """Return a member as one line of text."""
    match value:
        case None:
            return _NOTHING
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(cell(each) for each in value) or _NOTHING
        case dict():
            return spelled.write(value, ensure_ascii=False) if value else _NOTHING
        case _:
            return printable(str(value))


def counted(number: int, things: str) -> str:
    """Return a number of *things*, which is their plural, and the singular where there is one."""
    if number == 1:
        things = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"{number} {things}"


def printable(text: str) -> str:
    """Return *text* with everything escaped that a terminal would obey; lines stay lines."""
    if all(character.isprintable() or character == "\n" for character in text):
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )


def confirm(question: str, *, yes: bool) -> None:
    """Return if the person agrees; where nobody can be asked, only ``--yes`` agrees.

    Raises:
        InvalidError: Nobody can be asked.

    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidError.at("--yes", "required", "Nobody can be asked here: say it beforehand.")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)

"""JSON whose numbers stay as they are spelled, both ways.

Between a server and a person stand commands that only pass on what was published. A double makes
10.0 of 10.00 and takes digits from a large amount; and Python reads no integer of 5,000 digits,
which JSON and our API allow.
"""

import json
from typing import Any, Final, Self

# Whatever commands count with is shorter. What is longer is only shown.
_COUNT_CHARS_MAX: Final = 18


class Number(float):
    """A number as JSON spells it; near enough to compute with, and printed to the digit."""

    __slots__ = ("_spelled",)
    _spelled: str

    def __new__(cls, spelled: str) -> Self:
        """Read it; what no double holds is infinite to whoever computes with it."""
        number = super().__new__(cls, spelled)
        number._spelled = spelled
        return number

    def __str__(self) -> str:
        """Return it as it came."""
        return self._spelled


def read(text: str | bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what the JSON says.

    Raises:
        ValueError: It is no JSON.
        RecursionError: It nests too deep.

    """
    return json.loads(text, parse_int=_whole, parse_float=Number)


def write(value: object, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """Return *value* as ``json.dumps`` writes it, but for what ``read`` kept of its numbers."""
    step = None if indent is None else " " * indent
    return _written(value, "\n", step, ensure_ascii=ensure_ascii)


def _whole(spelled: str) -> int | Number:
    return int(spelled) if len(spelled) <= _COUNT_CHARS_MAX else Number(spelled)


def _written(value: object, margin: str, step: str | None, *, ensure_ascii: bool) -> str:
    # The encoder of the standard library has no place for a number that is a text.
    inside = margin if step is None else margin + step
    match value:
        case Number():
            return str(value)
        case dict() if value:
            parts = [
                f"{json.dumps(name, ensure_ascii=ensure_ascii)}: "
                f"{_written(member, inside, step, ensure_ascii=ensure_ascii)}"
                for name, member in value.items()
            ]
            opening, closing = "{}"
        case list() | tuple() if value:
            parts = [_written(item, inside, step, ensure_ascii=ensure_ascii) for item in value]
            opening, closing = "[]"
        case _:
            return json.dumps(value, ensure_ascii=ensure_ascii)
    if step is None:
        return f"{opening}{', '.join(parts)}{closing}"
    return f"{opening}{inside}{f',{inside}'.join(parts)}{margin}{closing}"

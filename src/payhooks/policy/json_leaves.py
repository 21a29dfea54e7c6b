"""The texts, numbers and member names of a JSON document, each with its bytes and its place.

For whoever changes a few bytes of a document and must leave all others as they are: nothing is
decoded and encoded again. The document is known to be JSON with one meaning.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_POINTER_CHARS_MAX: Final = 200
_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|-?[0-9][0-9.eE+-]*+|[\[\]{},:]', re.DOTALL)
# A character as it is spelt: one beyond the basic plane is two escapes.
_PIECE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL
)
_SIMPLE: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_STRUCTURE: Final = b"{[}],:"
_BEGINS: Final = b"{["
_BEGIN_OBJECT, _COMMA, _COLON = b"{,:"

Step = int | str | None  # of an object whose first member is not read yet, there is no name


@dataclass(slots=True, kw_only=True)
class Leaf:
    """A text, a number or the name of a member."""

    begin: int  # of its bytes in the document, quotes included
    end: int
    name: str  # of the member that it is, or that it is the value of; empty in a list
    is_name: bool
    object: int  # or list that it stands in, by its number in the document
    is_behind_another: bool  # object or list, within its own
    path: list[Step]  # the walk's own, which goes on: ask for the pointer at once


def leaves(raw: bytes, *, bytes_min: int, named: Callable[[str], bool]) -> Iterator[Leaf]:
    """Yield in order each leaf that is so long, and the shorter values of members *named* so.

    The values of a member whose value is a list are all that stand in it.
    """
    walk = _Walk(named)
    for token in _TOKEN.finditer(raw):
        begin, end = token.span()
        if raw[begin] in _STRUCTURE:
            walk.pass_(raw[begin])
        elif walk.wants_name:
            walk.enter(raw[begin:end])
            if end - begin >= bytes_min:
                yield walk.leaf(begin, end, is_name=True)
        elif walk.wants_value or end - begin >= bytes_min:
            yield walk.leaf(begin, end, is_name=False)


class _Walk:
    """Where in the document the walk is."""

    __slots__ = ("_begun", "_named", "_names", "_objects", "_path", "wants_name", "wants_value")

    def __init__(self, named: Callable[[str], bool]) -> None:
        self._named = named
        self._names: dict[bytes, tuple[str, bool]] = {}  # objects of a list have the same ones
        self._path: list[Step] = []
        self._begun = 0  # objects and lists, and which of them the path goes through
        self._objects: list[int] = []
        self.wants_name = False  # the next text is a member's name
        self.wants_value = False  # the next value is wanted for its name

    def pass_(self, mark: int) -> None:
        """Go past a bracket, a comma or a colon."""
        if mark == _COLON:
            self.wants_name = False
            return
        if mark == _COMMA:
            place = self._path[-1]
            self.wants_name = not isinstance(place, int)
            if isinstance(place, int):
                self._path[-1] = place + 1
            else:
                self.wants_value = False
        elif mark in _BEGINS:
            self.wants_name = mark == _BEGIN_OBJECT
            self.wants_value = self.wants_value and not self.wants_name
            self._path.append(None if self.wants_name else 0)
            self._begun += 1
            self._objects.append(self._begun)
        else:
            self.wants_name = self.wants_value = False
            self._path.pop()
            self._objects.pop()

    def enter(self, spelt: bytes) -> None:
        """Enter the member with that name."""
        known = self._names.get(spelt)
        if known is None:
            name = text_of(spelt)
            known = self._names[spelt] = name, self._named(name)
        self._path[-1], self.wants_value = known

    def leaf(self, begin: int, end: int, *, is_name: bool) -> Leaf:
        """Return what is there."""
        last = self._path[-1] if self._path else None
        name = last if isinstance(last, str) else ""
        return Leaf(
            begin=begin,
            end=end,
            name=name,
            is_name=is_name,
            object=self._objects[-1] if self._objects else 0,
            is_behind_another=bool(self._objects) and self._objects[-1] != self._begun,
            path=self._path,
        )


def has_distinct_names(raw: bytes) -> bool:
    """Whether no object of the document has two members with one name."""
    repeated = False

    def look(members: list[tuple[str, object]]) -> None:
        nonlocal repeated
        repeated |= len(dict(members)) != len(members)

    json.loads(raw, object_pairs_hook=look, parse_int=str, parse_float=str)
    return not repeated


def pointer(root: str, steps: list[Step]) -> str:
    """Return where that is, or the nearest place above whose pointer is short enough."""
    found = root
    for step in steps:
        escaped = str(step).replace("~", "~0").replace("/", "~1")
        if len(found) + len(escaped) >= _POINTER_CHARS_MAX:
            break
        found += f"/{escaped}"
    return found


def text_of(token: bytes) -> str:
    """Return what a text says whose bytes, quotes included, are *token*, or the number."""
    text = token.strip(b'"').decode() if b"\\" not in token else token[1:-1].decode()
    return text if "\\" not in text else "".join([said(piece) for piece in pieces(text)])


def pieces(text: str) -> list[str]:
    """Return how each character of a text is spelt."""
    return _PIECE.findall(text) if "\\" in text else list(text)


def said(piece: str) -> str:
    """Return the character that is spelt so."""
    if not piece.startswith("\\"):
        return piece
    if piece[1] != "u":
        return _SIMPLE.get(piece[1], piece[1])
    return bytes.fromhex(piece.replace("\\u", "")).decode("utf-16-be", "replace")

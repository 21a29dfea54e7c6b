"""The two texts of a custom dialect, checked and cut up once: what is signed, and the envelope.

Both are data that a person typed, so every mistake is a fault with a pointer and a sentence; what
passes can be written, signed and read without failing.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Final, NoReturn

import msgspec

from payhooks.dialects.custom_values import DATA, PRINTED
from payhooks.errors import InvalidError

SIGNED_CHARS_MAX: Final = 256
ENVELOPE_CHARS_MAX: Final = 8_192
ENVELOPE_DEPTH_MAX: Final = 8  # data adds levels of its own below it

BODY: Final = "body"
TIMESTAMP: Final = "timestamp"
ID: Final = "id"
SIGNED_NAMES: Final = (TIMESTAMP, ID, BODY)

_SIGNED_AT: Final = "/custom_dialect/signed"
_ENVELOPE_AT: Final = "/custom_dialect/envelope"
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]*)\}")
_QUOTED: Final = re.compile(r'"\{([a-z_]+)\}"')
# Line breaks too: some sign a time and a body on lines of their own.
_PLAIN: Final = re.compile(r"[\n\x20-\x7e]*")
_OF_A_VALUE: Final = re.compile(r"[A-Za-z0-9_-]")

Step = str | int
Path = tuple[Step, ...]


class SignedTemplate(msgspec.Struct, frozen=True):
    """Texts and names by turns: text, name, text … text."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def body_ends_a_value(self) -> bool:
        """Whether only the brace that a body begins with parts it from the value before it."""
        at = self.names.index(BODY)
        return at > 0 and not self.texts[at]

    def around_body(self, values: dict[str, str]) -> tuple[bytes, bytes]:
        """Return what is signed before and after the body."""
        at = self.names.index(BODY)
        before = [
            text + values[name] for text, name in zip(self.texts, self.names[:at], strict=False)
        ]
        after = [
            values[name] + text
            for name, text in zip(self.names[at + 1 :], self.texts[at + 2 :], strict=True)
        ]
        return (
            "".join([*before, self.texts[at]]).encode("ascii"),
            "".join([self.texts[at + 1], *after]).encode("ascii"),
        )


class Envelope(msgspec.Struct, frozen=True):
    """The template cut at its placeholders, and where in the JSON each of them stands."""

    texts: tuple[bytes, ...]
    names: tuple[str, ...]
    paths: dict[str, Path]  # of each name the first


def signed_template(text: str) -> SignedTemplate:
    """Return the template of what is signed.

    Raises:
        InvalidError: At ``/custom_dialect/signed``.

    """
    if len(text) > SIGNED_CHARS_MAX:
        _refuse_signed("too_long", f"At most {SIGNED_CHARS_MAX} characters are allowed.")
    pieces = _PLACEHOLDER.split(text)
    texts, names = tuple(pieces[::2]), tuple(pieces[1::2])
    for plain in texts:
        if not _PLAIN.fullmatch(plain):
            _refuse_signed("invalid_character", "Plain text is printable ASCII.")
        if "{" in plain or "}" in plain:
            _refuse_signed("malformed", "A brace belongs to a placeholder.")
    for name in names:
        if name not in SIGNED_NAMES:
            _refuse_signed("unknown_placeholder", "There are: {timestamp}, {id}, {body}.")
    if names.count(BODY) != 1:
        _refuse_signed("body_once", "{body} stands here exactly once.")
    if len(set(names)) < len(names):
        _refuse_signed("duplicate", "A placeholder stands here at most once.")
    for plain, follows in zip(texts[1:-1], names[1:], strict=True):
        _demand_apart(plain, follows)
    return SignedTemplate(texts, names)


def envelope(text: str) -> Envelope:
    """Return the template of the body.

    Raises:
        InvalidError: At ``/custom_dialect/envelope``.

    """
    if len(text) > ENVELOPE_CHARS_MAX:
        _refuse_envelope("too_long", f"At most {ENVELOPE_CHARS_MAX:,} characters are allowed.")
    tree = _parsed(text)
    # A body begins with a brace: what is signed relies on it (_demand_apart).
    if text[0].isspace() or not (isinstance(tree, dict) or tree == f"{{{DATA}}}"):
        detail = 'An envelope is a JSON object, or "{data}" alone, without a space before it.'
        _refuse_envelope("not_an_object", detail)
    found = list(_placeholders(tree, ()))
    pieces = _QUOTED.split(text)
    names = tuple(pieces[1::2])
    if len(names) != len(found):
        _refuse_envelope("malformed", "A placeholder is written without escapes.")
    if names.count(DATA) != 1:
        _refuse_envelope("data_once", '"{data}" stands here exactly once.')
    paths: dict[str, Path] = {}
    for name, path in found:
        paths.setdefault(name, path)
    return Envelope(tuple(piece.encode() for piece in pieces[::2]), names, paths)


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _demand_apart(plain: str, follows: str) -> None:
    # Else the same signed bytes could be cut in two ways, and a time or an id be shortened by what
    # its neighbour gains. A body begins with a brace, so nothing need stand right before it.
    if not plain:
        if follows != BODY:
            detail = "Between two placeholders stands a sign, like a dot; before {body} none need."
            _refuse_signed("not_apart", detail)
    elif _OF_A_VALUE.match(plain[0]) or _OF_A_VALUE.match(plain[-1]):
        detail = "Text between placeholders begins and ends with a sign: no letter, digit, _ or -."
        _refuse_signed("not_apart", detail)


def _parsed(text: str) -> object:
    try:
        text.encode()
        tree: object = json.loads(
            text, object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite
        )
        # What escapes spell may be half a character too.
        json.dumps(tree, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        _refuse_envelope("malformed", "This is not JSON.")
    return tree


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        _refuse_envelope("duplicate", "A member is given twice.")
    return members


def _no_constant(_spelled: str) -> NoReturn:
    raise ValueError("JSON has no such number")


def _finite(spelled: str) -> float:
    value = float(spelled)
    if math.isinf(value):
        raise ValueError("receivers have no such number")
    return value


def _placeholders(tree: object, path: Path) -> Iterator[tuple[str, Path]]:
    if len(path) > ENVELOPE_DEPTH_MAX:
        _refuse_envelope("too_deep", f"At most {ENVELOPE_DEPTH_MAX} levels are allowed.")
    if isinstance(tree, dict):
        for key, value in tree.items():
            if _PLACEHOLDER.search(key):
                _refuse_envelope("misplaced", "A placeholder cannot name a member.")
            yield from _placeholders(value, (*path, key))
    elif isinstance(tree, list):
        for place, value in enumerate(tree):
            yield from _placeholders(value, (*path, place))
    elif isinstance(tree, str) and (match := _PLACEHOLDER.search(tree)):
        if match.group() != tree:
            detail = "A placeholder is a whole value; it cannot be part of a text."
            _refuse_envelope("misplaced", detail)
        if match.group(1) not in PRINTED:
            there = ", ".join(f"{{{name}}}" for name in PRINTED)
            _refuse_envelope("unknown_placeholder", f"There are: {there}.")
        yield match.group(1), path


def _refuse_signed(code: str, detail: str) -> NoReturn:
    raise InvalidError.at(_SIGNED_AT, code, detail)


def _refuse_envelope(code: str, detail: str) -> NoReturn:
    raise InvalidError.at(_ENVELOPE_AT, code, detail)

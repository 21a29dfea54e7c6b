"""Names of security codes and PIN blocks: of a document's members, and within a text.

A name may stand beside its value, above it, or be a value itself: `{"cvv": {"value": "123"}}`,
`{"name": "cvv", "value": "123"}`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from payhooks.policy.json_leaves import Leaf

# Word by word: each look spells them its own way. A 2 or a 3 may stand behind.
_CODES: Final = (
    *(["cvv"], ["cvc"], ["cvn"], ["cvd"], ["csc"], ["cav"]),
    *(["security", "code"], ["card", "code"], ["card", "cid"], ["verification", "value"]),
    *(["card", "verification", "code"], ["card", "verification", "number"]),
)
_PIN_BLOCK_WORDS: Final = ["pin", "block"]
SECRET_NAMES: Final = tuple("".join(words) for words in (*_CODES, _PIN_BLOCK_WORDS))
# By themselves a customer's id and an error's number; below what is a card, of that.
OWN_NAMES: Final = ("cid", "code")

_ENDS: Final = r"\]?(?:\[\d{0,2}\])?"  # as forms name a member of a member, or one of several
_CODE_NAME: Final = re.compile(
    rf"(?:cv[vcn][23]?(?:code|number|value)|{'|'.join(map(''.join, _CODES))})[23]?{_ENDS}\Z"
)
# Somebody's voucher. Beside or below it, what has three digits may be its amount.
_OF_VOUCHER: Final = re.compile(rf".card(?:code|cid){_ENDS}\Z")
_PIN_BLOCK_NAME: Final = re.compile(rf"{''.join(_PIN_BLOCK_WORDS)}{_ENDS}\Z")
_OWN_CHARS_MAX: Final = max(map(len, OWN_NAMES))
_PART_OF_CARD: Final = re.compile(r"(?<=card)[ _.\-]?(?:s|data|details?|info)\Z", re.IGNORECASE)
_NAME_END_CHARS: Final = 64
# As much as the quick look lets stand between, and as forms have `card[cid]`.
_NOT_IN_NAMES: Final = re.compile(
    rf"[ _.\-]|\]?(?:\[\d{{0,2}}\])?\[(?=(?:{'|'.join(OWN_NAMES)})\])"
)
_CODE: Final = re.compile(r" *\d{3,4}\s*")
_PIN_BLOCK: Final = re.compile(r" *[0-9a-fA-F]{16}\s*", re.ASCII)
_LABELS: Final = frozenset({"name", "type", "key", "code", "field"})
_LABEL_MAX: Final = max(map(len, _LABELS))
_VALUE: Final = "value"
_LABEL_CHARS_MAX: Final = 64
# What stands between a name and its value: below it, or in what has several parts.
_BELOW: Final = r"(?:[\"'\\\s]{0,8}+\{[\"'\\\s]{0,8}+value[\"'\\\s]{0,8}+(?:=>|[:=]))?"
_IN_PART: Final = r"\"?(?:\r?\n[\w\-]{1,40}+:[^\r\n]{0,200}+){0,4}+\r?\n\r?\n"
_APART: Final = r"[ _.\-]?"
# Within a text: a form, XML, JSON that is the value of a member.
NAMED: Final = re.compile(
    rf"(?:(?:cv[vcn]{_APART}[23]?{_APART}(?:code|number|value)"
    rf"|{'|'.join(map(_APART.join, _CODES))})(?:{_APART}[23]|[_.\-])?"
    rf"|(?P<pin>{_APART.join(_PIN_BLOCK_WORDS)})){_ENDS}"
    r"(?:(?:[\"'\\\s,]|value){0,12}+(?:=>|:=|[:=>])"
    rf"{_BELOW}|{_IN_PART}|</\w{{1,32}}+>\s{{0,8}}+<\w{{1,32}}+>"
    # As people write it; what else is called so may stand before a number that is none.
    r"|(?:(?<=cv[vcn])|(?<=cv[vcn]2)|(?<=security code))[ \xa0]{1,3}+(?=\d)"
    # Last, as it passes over whatever stands in the tag.
    r"|\s[^<>]{0,60}+>)"
    r"(?:[\"'\\\s\[]|<\w{1,32}+>|<!\[CDATA\[){0,8}+"
    r"(?P<value>(?(pin)[0-9a-fA-F]{16}|\d{3,4}))(?!\w)",
    re.IGNORECASE,
)
_OWN_IN_TEXT: Final = re.compile(
    rf"(?<![A-Za-z0-9_\-])(?P<name>{'|'.join(OWN_NAMES)}){_ENDS}"
    rf"(?:[\"'\\\s]{{0,8}}+(?:=>|:=|[:=>]){_BELOW}|{_IN_PART}|\s[^<>]{{0,200}}+>)"
    r"(?:[\"'\\\s\[]|<value>|<!\[CDATA\[){0,8}+(?P<value>\d{3,4})(?!\w)",
    re.IGNORECASE,
)
# The name above it, read backwards: of a member of a form, in JSON, or of an element of XML, whose
# attribute it is, or in which it stands behind others that are closed.
_OF_ELEMENT: Final = r"(?:[^<>]{0,200}\s)?(?=[\w:.\-]{1,80}<)"
_ABOVE: Final = re.compile(
    r"(?:(?:\]\d{0,2}\[|\]){0,2}+[.\[](?:\]\d{0,2}\[|\]){0,2}+"
    r"|(?:[^{}]{0,200}+\}[^{}]{0,200}+\{){0,8}+[^{}]{0,200}+\{"
    r"[\s\[\"'\\]{0,8}+(?:>=|=:|[:=])[\"'\\\s]{0,8}+"
    rf"|(?::[\w.\-]{{1,40}}+)?(?:\s{_OF_ELEMENT}"
    r"|<\s{0,40}+(?:(?:>--[^<>]{0,200}+|>/[^<>]{1,200}+"
    r"|>(?P<closed>[\w:.\-]{1,40})/\\?<[^<>]{0,200}+>(?:[^<>]{0,200}\s)?(?P=closed))<\s{0,40}+){0,16}+"
    rf">(?!/){_OF_ELEMENT}))(?P<name>[\w\-]{{1,40}})"
)
_ABOVE_CHARS_MAX: Final = 512
# As short as a text is that says a security code and its name.
NAMED_CHARS_MIN: Final = 7


class _Named(Enum):
    CODE = auto()
    VOUCHER = auto()  # a code itself, but not what stands beside or below it
    PIN_BLOCK = auto()
    OTHERWISE = auto()


_BESIDE: Final = frozenset({_Named.CODE, _Named.PIN_BLOCK})


def is_secret(name: str) -> bool:
    """Whether a value that is named so may be a secret."""
    return _named(name) is not _Named.OTHERWISE


def is_wanted(name: str) -> bool:
    """Whether a value that is named so is looked at, however short it is."""
    return _is_label(name) or _is_value(name) or _is_own(name) or is_secret(name)


def is_code(name: str, text: str) -> bool:
    """Whether a value is a security code, by its name."""
    return _CODE.fullmatch(text) is not None and is_secret(name)


def is_pin_block(name: str, text: str) -> bool:
    """Whether a value is a PIN block, by its name."""
    return _PIN_BLOCK.fullmatch(text) is not None and _named(name) is _Named.PIN_BLOCK


def name_of(leaf: Leaf) -> str:
    """Return what a value is called: it may be one of several, or stand below its name."""
    steps = [step or "" for step in leaf.path[-5:] if not isinstance(step, int)]
    # As far as the quick look looks below a name.
    is_below = bool(steps[1:]) and _is_value(steps[-1]) and not leaf.is_behind_another
    if is_below:
        steps.pop()
    # Of a list in a list, or an object of which no member is read yet, nothing is the name.
    name = steps[-1] if steps else ""
    if steps[1:] and _is_own(name):
        name = _joined(steps[-2], name)
    return "" if is_below and _named(name) is _Named.VOUCHER else name


def codes_below(text: str) -> Iterator[range]:
    """Yield where in a text security codes are whose names say so with the one above."""
    for own in _OWN_IN_TEXT.finditer(text):
        before = text[max(0, own.start() - _ABOVE_CHARS_MAX) : own.start()][::-1]
        above = _ABOVE.match(before)
        if above is not None and is_secret(_joined(above["name"][::-1], own["name"])):
            yield range(*own.span("value"))


class Pairs:
    """The members of a document of which one says what another beside it is called."""

    __slots__ = ("_names", "_values")

    def __init__(self) -> None:
        self._names: dict[int, str] = {}  # by their objects
        self._values: dict[int, tuple[Leaf, str]] = {}  # which came before their names

    def join(self, leaf: Leaf, text: str) -> tuple[Leaf, str, str] | None:
        """Return, once both were seen, a value, what it says, and its name, if that is a secret's.

        The value may be a leaf that was given earlier.
        """
        if leaf.is_name:
            return None
        if _is_value(leaf.name):
            name = self._names.get(leaf.object)
            if name is not None:
                return leaf, text, name
            if _CODE.fullmatch(text) or _PIN_BLOCK.fullmatch(text):
                self._values[leaf.object] = leaf, text
        elif _is_label(leaf.name) and len(text) <= _LABEL_CHARS_MAX and _named(text) in _BESIDE:
            self._names[leaf.object] = text
            value, said = self._values.pop(leaf.object, (None, ""))
            if value is not None:
                # Its path has gone on since, by its last step.
                return replace(value, path=[*leaf.path[:-1], value.name]), said, text
        return None


def _named(name: str) -> _Named:
    # Its end alone: of a very long name each of thousands of values would be asked.
    return _named_by_end(name[-_NAME_END_CHARS:])


@lru_cache(maxsize=256)
def _named_by_end(end: str) -> _Named:
    plain = _NOT_IN_NAMES.sub("", end.lower())
    if _PIN_BLOCK_NAME.search(plain):
        return _Named.PIN_BLOCK
    if not _CODE_NAME.search(plain):
        return _Named.OTHERWISE
    return _Named.VOUCHER if _OF_VOUCHER.search(plain) else _Named.CODE


def _is_own(name: str) -> bool:
    return len(name) <= _OWN_CHARS_MAX and name.lower() in OWN_NAMES


def _joined(above: str, name: str) -> str:
    return f"{_PART_OF_CARD.sub('', above)}_{name}"


def _is_value(name: str | None) -> bool:
    # By its length first: of a very long name each of thousands of values would be asked.
    return name is not None and len(name) == len(_VALUE) and name.lower() == _VALUE


def _is_label(name: str) -> bool:
    return len(name) <= _LABEL_MAX and name.lower() in _LABELS

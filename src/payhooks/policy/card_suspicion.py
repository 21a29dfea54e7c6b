"""The quick look for card data: one pass over a document, at one speed whatever stands in it.

It errs on one side only. Where it says no, `card_numbers` would find nothing; where it says yes,
the document is worth being read in earnest. Nearly every event ends here, after 2 to 3 µs for 1 KB.

RE2 looks for all signs at once. It makes a state of all that may be going on at a byte, and keeps
it; what is dear is a state that nobody has seen yet. So in a run of digits one number may begin,
and what need not be counted is not.
"""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import cache
from itertools import product
from typing import Final

import re2  # type: ignore[import-untyped]  # it ships no types

from payhooks.policy import card_base64, card_ranges
from payhooks.policy.card_names import OWN_NAMES, SECRET_NAMES

# Members of classes, in bytes: nothing is decoded here. Of what is not ASCII the first byte of a
# character decides. With eight of them digits of other scripts begin, with three the separators,
# to which all bytes behind a first are counted: a digit of another script has one behind it.
_LEAD: Final = rb"\xd9\xdb\xdf\xe0\xe1\xea\xef\xf0"
_DIGIT: Final = rb"0-9" + _LEAD
_SEPARATOR: Final = rb" \t\r\v\f\x1d-\x1f\-_.\x80-\xbf\xc2\xe2\xe3"
_SEPARATOR_IN_FORMS: Final = _SEPARATOR + b"+"
# Line ends may be spelt as JSON spells them, and as this.
LINE_END: Final = b"\x1c"
_LINE_END: Final = rb"\n\x1c"
# Below these a name says something that says nothing by itself.
_TELLING_NAMES: Final = ("card", "security", "cvv", "cvc", "cvn")
_VALUE: Final = "value"
# Letters that are those of names too, where case is no matter: as in Turkish, or for Kelvin.
_ALSO: Final = {
    b"[iI]": rb"(?:[iI]|\xc4[\xb0\xb1])",
    b"[sS]": rb"(?:[sS]|\xc5\xbf)",
    b"[kK]": rb"(?:[kK]|\xe2\x84\xaa)",
}
# Escapes of ASCII, of the blocks where digits of other scripts and separators are, and those whose
# last digit seems to be one of a number behind them.
_TELLING_ESCAPE: Final = (
    rb"\\u(?:0(?:0[0-8aA]|1[37]|[6-9a-fA-F])|1[0-9a-cA-C]|2(?:0[0-256]|12|212)|3000"
    rb"|[aA][6-9a-fA-F]|[fF][eEfF]|[dD]8|[0-9a-fA-F]{3}[0-9]{2})"
)
_RUN: Final = re.compile(rb"[0-9]{%d,}" % card_ranges.DIGITS_MIN)
_ESCAPE: Final = re.compile(r"\\[^u]|((?:\\u[0-9a-fA-F]{4})+)")
# In what is no JSON a backslash is not the first half of anything else.
_ESCAPE_IN_TEXT: Final = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)")


class Suspicion(Enum):
    """What a document may have in it that nobody should see."""

    NUMBERS = auto()  # of cards, and nothing else
    ANYTHING = auto()


class _Sign(Enum):
    NUMBER = auto()
    GROUPS = auto()
    TRACK = auto()
    BASE64 = auto()
    SECRET = auto()
    CARDS_OWN = auto()
    ESCAPE = auto()


_SIGNS: Final = tuple(_Sign)
_OF_NUMBERS: Final = frozenset({_Sign.NUMBER, _Sign.GROUPS})


def suspicion(raw: bytes, *, is_form: bool = False) -> Suspicion | None:
    """Return what a document may have in it, JSON or some other text, of whatever bytes, if any.

    In a form a plus is a space. Its other escapes are none any more.
    """
    if not raw.isascii():
        raw = _readable(raw)
    look = _look(_SEPARATOR_IN_FORMS if is_form else _SEPARATOR)
    matched = look.Match(raw)
    if matched is None:
        return None
    signs = {_SIGNS[index] for index in matched}
    if _Sign.ESCAPE in signs:
        raw = unescaped(raw.decode(), is_form=is_form).encode()
        signs = {_SIGNS[index] for index in look.Match(raw) or ()} - {_Sign.ESCAPE}
    if _Sign.CARDS_OWN in signs and not _telling_names().Match(raw):
        signs.discard(_Sign.CARDS_OWN)
    if signs == {_Sign.NUMBER} and not _has_number(raw):
        return None
    if not signs:
        return None
    return Suspicion.NUMBERS if signs <= _OF_NUMBERS else Suspicion.ANYTHING


def decoded(raw: bytes) -> str:
    """Return what bytes say in UTF-8, and where they are none, a surrogate for each such.

    But for two that are separators in most other encodings.
    """
    return in_latin_1(raw.decode(errors="surrogateescape"))


def in_latin_1(text: str) -> str:
    """Return a text with the two separators that have no other meaning, of what is no UTF-8."""
    return text.replace("\udca0", "\u00a0").replace("\udcad", "\u00ad")


def _readable(raw: bytes) -> bytes:
    """Return the bytes as they are, or, where they are no UTF-8, with a sign for each such."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return decoded(raw).encode(errors="replace")
    return raw


def _has_number(raw: bytes) -> bool:
    """Whether a run of digits is a card number, where each is in one piece."""
    return any(card_ranges.is_card_number(run.decode()) for run in _RUN.findall(raw))


@cache
def _look(separator: bytes) -> re2.Set:
    patterns = _patterns(separator)
    return _any_of(patterns[sign] for sign in _SIGNS)


@cache
def _telling_names() -> re2.Set:
    # Whatever stands between their letters, as in any name. The standard library takes seven times
    # as long, for each body that has an error's code.
    apart = b"[%b]*" % _SEPARATOR_IN_FORMS
    return _any_of(_spread(name, apart) for name in _TELLING_NAMES)


def _any_of(patterns: Iterable[bytes]) -> re2.Set:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    look = re2.Set.SearchSet(options)
    for pattern in patterns:
        look.Add(pattern)
    look.Compile()
    return look


def _patterns(separator: bytes) -> Mapping[_Sign, bytes]:
    # From where a run of digits begins, and past all groups in which no number can: so there is
    # one place where it may, as every further one would be one thing more to be kept in mind. A
    # number right behind a letter is a part of a word; behind a separator it may be one again.
    begin = rb"(?:^|[^%b%ba-zA-Z]|\\[nrtfb]|[a-zA-Z][%b]*[%b])[%b]*(?:%b[%b]+)*" % (
        *(_DIGIT, separator, _DIGIT, separator, separator),
        *(_beginning_no_number(), separator),
    )
    return {
        # All digits in one piece, as those of nearly every number are ...
        _Sign.NUMBER: b"%b(?:%b)(?:[^0-9]|$)" % (begin, card_ranges.pattern()),
        # ... or in more than one.
        _Sign.GROUPS: b"%b(?:%b)" % (begin, _groups(separator)),
        # A stripe's number may stand behind other digits; on its first track it is behind a letter.
        _Sign.TRACK: rb"[0-9]{%d}[=:Dd][0-9]{7}|[0-9]\^" % card_ranges.DIGITS_MIN,
        _Sign.BASE64: card_base64.sign(is_form=separator == _SEPARATOR_IN_FORMS),
        _Sign.SECRET: _secret(separator),
        _Sign.CARDS_OWN: _cards_own(separator),
        _Sign.ESCAPE: _TELLING_ESCAPE,
    }


def _beginning_no_number() -> bytes:
    """Return the pattern of a group of digits in which no number begins."""
    ones = "".join(each for each in string.digits if each not in card_ranges.FIRSTS)
    pairs = map("".join, product(string.digits, repeat=2))
    others = "|".join(pair for pair in pairs if pair not in card_ranges.BEGINS)
    return b"(?:[%b][%b]?|(?:%b)[%b]*)" % (ones.encode(), _LEAD, others.encode(), _DIGIT)


def _groups(separator: bytes) -> bytes:
    """Return the pattern of as many digits as a number has, by how many stand before the others."""
    digit, more = b"[%b]" % _DIGIT, b"[%b]*[%b]" % (separator, _DIGIT)
    firsts, begins = card_ranges.FIRSTS.encode(), "|".join(card_ranges.BEGINS).encode()
    pair = b"(?:%b|[%b][%b])" % (begins, firsts, _LEAD)
    others_max = card_ranges.DIGITS_MIN - 1
    parted = [b"[%b%b][%b]+%b(?:%b){%d}" % (firsts, _LEAD, separator, digit, more, others_max - 1)]
    parted += [
        b"%b%b{%d}[%b]+%b(?:%b){%d}"
        % (pair, digit, first - 2, separator, digit, more, others_max - first)
        for first in range(2, others_max)
    ]
    # The last digit may be of another script, and then it is the one behind which nothing is.
    end = b"[%b]+%b|[%b][\x80-\xbf]" % (separator, digit, _LEAD)
    parted.append(b"%b%b{%d,}(?:%b)" % (pair, digit, others_max - 2, end))
    return b"|".join(parted)


def _secret(separator: bytes) -> bytes:
    """Return the pattern of a secret's name, what stands behind it, and how its value begins.

    In JSON, forms, XML and what has several parts, where its name is in the head of one.
    """
    apart, quote, token = _between(separator)
    hexadecimal = b"[%ba-fA-F]%b" % (_DIGIT, apart)
    behind = (
        rb"(?:%b)+(?:(?:%b){3}|<)" % (token, hexadecimal),
        _in_part(separator),
        # It may be a value itself, and its own stand before it or behind.
        b"(?:(?:%b)%b)*[,}]" % (quote, apart),
        *_below(separator),
        rb"<\\?/",
        rb"(?:[%b]%b){3}" % (_DIGIT, apart),
    )
    more = b"(?:%b|%b)?%b" % (_spread("code", apart), _spread("number", apart), apart)
    return b"(?:%b)%b[%b]?%b%b(?:\\]?\\[[%b]*\\]%b)?(?:%b)" % (
        *(b"|".join(_spread(name, apart) for name in SECRET_NAMES), apart, _DIGIT, apart, more),
        *(_DIGIT, apart, b"|".join(behind)),
    )


def _cards_own(separator: bytes) -> bytes:
    """Return the pattern of a name that says nothing by itself, and of a code behind it."""
    apart, quote, token = _between(separator)
    behind = (
        rb"(?:%b)+(?:<|(?:[%b]%b){3})" % (token, _DIGIT, apart),
        _in_part(separator),
        # Of a value itself none but a form's name is looked at, `card[cid]`.
        rb"\](?:(?:%b)%b)*[,}]" % (quote, apart),
        *_below(separator),
    )
    return rb"(?:^|[^a-zA-Z0-9_\-]|\\[nrtfb])(?:%b)%b(?:\]?\[[%b]*\]%b)?(?:%b)" % (
        *(b"|".join(_spread(name, apart) for name in OWN_NAMES), apart, _DIGIT, apart),
        b"|".join(behind),
    )


def _in_part(separator: bytes) -> bytes:
    """Return the pattern of what stands behind a name in the head of one of several parts."""
    _, _, token = _between(separator)
    letters = rb"%b%ba-zA-Z" % (_DIGIT, separator)
    return rb"(?:%b)*(?:\\n|[%b])[%b]+:" % (token, _LINE_END, letters)


def _below(separator: bytes) -> Sequence[bytes]:
    """Return the patterns of what stands between a name and a value that is not right behind it."""
    apart, quote, token = _between(separator)
    return (
        # One of several, or below it. A bracket in a text ends nothing.
        rb"(?:(?:%b)%b)*[:=>]%b(?:%b)*(?:\[|\{(?:[^}]|\}[^%b\n,}\]])*%b)"
        % (quote, apart, apart, token, separator, _spread(_VALUE, b"")),
        # What stands in a tag is passed over.
        rb"\]?(?:[%b%b%b]|\\[nrtf])[^<>]*>" % (separator, _LINE_END, _LEAD),
    )


def _between(separator: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the patterns of separators, of a quote and the like, and of a sign with these."""
    apart = b"[%b]*" % separator
    quote = rb"[\]\"'\\%b%b]|\\[nrtf]|%b" % (_LINE_END, _LEAD, _spread(_VALUE, apart))
    return apart, quote, b"(?:[[{:=>]|%b)%b" % (quote, apart)


def _spread(word: str, apart: bytes) -> bytes:
    """Return the pattern of a word in letters of both sizes, whatever stands between them."""
    letters = (f"[{letter}{letter.upper()}]".encode() for letter in word)
    return apart.join(_ALSO.get(letter, letter) for letter in letters)


def unescaped(text: str, *, is_form: bool) -> str:
    """Return a document's text with characters in place of escapes by number; it is JSON no more.

    All others stay, as white space and quotes that are spelt so do elsewhere.
    """
    return (_ESCAPE_IN_TEXT if is_form else _ESCAPE).sub(_unescape, text)


def _unescape(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return escape[0]
    said = bytes.fromhex(escape[1].replace("\\u", "")).decode("utf-16-be", "replace")
    return said.replace("\ufffd", "|")

r"""JSON as PHP's ``json_encode`` prints it with default flags. Standard library only.

A document is changed where PHP would spell it otherwise and copied where not: spaces go, ``/``
becomes ``\/``, what is not ASCII ``\u`` and lowercase hex, U+007F stands as it is, and a number
that PHP takes for a double is spelled as PHP spells it (``20.0`` as ``20``, ``1e25`` as
``1.0e+25``). Order of keys and empty objects are kept, as by ``json_decode`` into objects; one
into arrays loses the difference between ``{}`` and ``[]``: see ``with_empty``.

Rules: www.php.net/manual/en/function.json-encode.php, with serialize_precision at its default.
"""

import re
from json.encoder import encode_basestring_ascii
from math import isinf
from typing import Final

# What PHP may spell otherwise; 18 digits always fit into its integers. Begins with a set of
# characters, because the others are then passed over quickly.
_NUMBER: Final = re.compile(
    r"[-0-9](?:[0-9]*+(?:\.[0-9]++(?:[eE][+-]?[0-9]++)?|[eE][+-]?[0-9]++)"
    r"|[0-9]{18,}+|(?<=-)0(?![0-9]))"
)
_LETTERS: Final = re.compile(r"\\u[0-9a-fA-F]{4}|[^\x00-\x7f]++")
# Stand in for what would be in the way while a document is taken apart, and between strings that
# are looked at in one go: none of them can stand in a document by itself.
_BACKSLASH: Final = "\x00"
_QUOTE: Final = "\x01"
_BETWEEN: Final = "\n"
_INTEGERS: Final = range(-(2**63), 2**63)
_INTEGER_CHARS_MAX: Final = len(str(_INTEGERS.start))
# PHP writes 17 digits out before it turns to exponents, Python 16.
_PYTHONS_FIRST_EXPONENT: Final = 16
_SURROGATES: Final = range(0xD800, 0xE000)


def encode(text: str) -> str:
    """Return the JSON document *text* in PHP's spelling; it is known to be one."""
    parts = _apart(text)
    outside = "".join('"'.join(parts[::2]).split())
    parts[::2] = _NUMBER.sub(_spell_number, outside).split('"')
    inside = _BETWEEN.join(parts[1::2])
    if "\\u" in inside or not inside.isascii():
        parts[1::2] = _LETTERS.sub(_spell_letters, inside).split(_BETWEEN)
    return _together(parts)


def string(text: str) -> str:
    """Return *text* as a JSON string in PHP's spelling."""
    # Python escapes U+007F, PHP does not; looked for in the text, because what is escaped may
    # spell the same by itself.
    escaped = "\x7f".join([encode_basestring_ascii(part)[1:-1] for part in text.split("\x7f")])
    return '"' + escaped.replace("/", "\\/") + '"'


def with_empty(encoded: str, container: str) -> str:
    """Return what ``encode`` returned with every empty object and array as *container*.

    ``json_decode`` into arrays, as many PHP receivers call it, turns both into ``[]``.
    """
    parts = _apart(encoded)
    outside = '"'.join(parts[::2])
    parts[::2] = outside.replace("{}", container).replace("[]", container).split('"')
    return _together(parts)


def _apart(text: str) -> list[str]:
    """Return what stands outside of strings and what inside, in turn; slashes without escape."""
    hidden = text.replace("\\\\", _BACKSLASH).replace('\\"', _QUOTE)
    return hidden.replace("\\/", "/").split('"')


def _together(parts: list[str]) -> str:
    escaped = '"'.join(parts).replace("/", "\\/")
    return escaped.replace(_QUOTE, '\\"').replace(_BACKSLASH, "\\\\")


def _spell_letters(found: re.Match[str]) -> str:
    spelled = found[0]
    if spelled[0] != "\\":
        return encode_basestring_ascii(spelled)[1:-1]
    code = int(spelled.removeprefix("\\u"), 16)
    if code in _SURROGATES:
        # Half a pair: the other half follows, and is spelled on its own too.
        return spelled.lower()
    # A slash is escaped with all the others.
    return string(chr(code))[1:-1].replace("\\/", "/")


def _spell_number(found: re.Match[str]) -> str:
    lexeme = found[0]
    # The length first: int() is slow where digits have no end, and refuses 4,301 of them.
    if len(lexeme) <= _INTEGER_CHARS_MAX and lexeme.lstrip("-").isdecimal():
        whole = int(lexeme)
        if whole in _INTEGERS:
            return str(whole)
    value = float(lexeme)
    # PHP has no JSON for what no double holds, so nobody signed it either.
    return lexeme if isinf(value) else _spell_double(value)


def _spell_double(value: float) -> str:
    """Return the shortest decimal that is read as *value*: Python's digits, PHP's layout."""
    if value == 0:
        # PHP prints -0.0 as -0, and reads that as 0: whoever decodes and encodes again to verify,
        # in any language, would verify something else.
        return "0"
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa.removesuffix(".0")
    if int(exponent) == _PYTHONS_FIRST_EXPONENT:
        sign = "-" if value < 0 else ""
        digits = mantissa.lstrip("-").replace(".", "")
        return sign + digits.ljust(_PYTHONS_FIRST_EXPONENT + 1, "0")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}e{int(exponent):+d}"

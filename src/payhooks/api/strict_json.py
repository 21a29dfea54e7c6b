"""JSON as we take it: one meaning or none.

Parsers disagree about duplicate keys, NaN, lone surrogates and deep nesting, and whoever sits
between a publisher and a receiver with two parsers is lied to. Every body is read once to find
such things; the bytes themselves go on unchanged.

The look is quick because it is a count. A decoder drops all but one of equal keys, and with
each its colon, so a document that has as many colons after decoding and encoding had no
duplicate: 4 µs for 1 KB. Whatever is not plain in that sense is read again by the standard
library's scanner with hooks, 12 µs, and that one decides.
"""

import json
import re
from typing import Final, NoReturn

import msgspec

from payhooks.api.problems import ProblemError, malformed, shown
from payhooks.limits import JSON_DEPTH_MAX

_BOM: Final = b"\xef\xbb\xbf"
# Inside JSON a backslash is only ever in a string, so escapes can be read without the rest:
# the second alternative eats \\ and keeps it from being taken for the start of another.
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})|\\[^u]")
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|([\[{])|([\]}])', re.DOTALL)


_decode_plain: Final = msgspec.json.Decoder().decode
_encode_plain: Final = msgspec.json.Encoder().encode


class _DuplicateKeyError(Exception):
    pass


class _NotFiniteError(Exception):
    pass


def _object(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _DuplicateKeyError


def _constant(_text: str) -> NoReturn:
    raise _NotFiniteError


def _float(text: str) -> None:
    # 1e999 is JSON, but every parser that makes a double of it makes infinity.
    if float(text) in {float("inf"), float("-inf")}:
        raise _NotFiniteError


# len stands for "keep nothing": int() refuses 4,301 digits, and we do not need the number.
_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=len, parse_float=_float, parse_constant=_constant
).decode


def check(body: bytes) -> None:
    """Return if *body* is one JSON document with one meaning.

    Raises:
        ProblemError: malformed, with the code of what is wrong and where there is one its offset.

    """
    if not _is_plain(body):
        check_slowly(body)


def _is_plain(body: bytes) -> bool:
    """Whether a cheap look finds nothing; False may mean anything."""
    # An escape can hide a colon, a NUL, half a surrogate pair; many brackets, deep nesting.
    # One byte is looked for first: that costs nothing, and two of them 2 µs in 1 KB.
    if b"\\" in body and b"\\u" in body:
        return False
    if body.count(b"{") + body.count(b"[") > JSON_DEPTH_MAX:
        return False
    try:
        encoded = _encode_plain(_decode_plain(body))
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return False
    return encoded.count(b":") == body.count(b":")


def check_slowly(body: bytes) -> None:
    """As ``check``, and with the reason; what both say is the same."""
    if not body or body.isspace():
        raise _refusal("empty", "The body is empty; send a JSON document.")
    if body.startswith(_BOM):
        raise _refusal("byte_order_mark", "Send UTF-8 without a byte order mark.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        detail = f"The body is not UTF-8 at offset {error.start}."
        raise _refusal("invalid_utf8", detail) from None
    if body.count(b"{") + body.count(b"[") > JSON_DEPTH_MAX and _is_too_deep(body):
        raise _refusal("too_deep", f"Arrays and objects nest at most {JSON_DEPTH_MAX} deep.")
    try:
        _decode(text)
    except _DuplicateKeyError:
        raise _refusal("duplicate_key", "An object has the same key twice.") from None
    except _NotFiniteError:
        raise _refusal("not_finite", "A number must be finite.") from None
    except json.JSONDecodeError as error:
        detail = f"{shown(error.msg)} at offset {error.pos}."
        raise _refusal("invalid_json", detail) from None
    if "\\u" in text:
        _check_escapes(text)


def _is_too_deep(body: bytes) -> bool:
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        if token[1]:
            depth += 1
            if depth > JSON_DEPTH_MAX:
                return True
        elif token[2]:
            depth -= 1
    return False


def _check_escapes(text: str) -> None:
    """Refuse halves of surrogate pairs and NUL, which a store's text cannot hold."""
    high_ends_at: int | None = None  # where a high surrogate that waits for its low one ended
    for escape in _ESCAPE.finditer(text):
        code = None if escape[1] is None else int(escape[1], 16)
        if high_ends_at is not None:
            if escape.start() != high_ends_at or code not in _LOW:
                raise _lone_surrogate()
            high_ends_at = None
        elif code in _HIGH:
            high_ends_at = escape.end()
        elif code in _LOW:
            raise _lone_surrogate()
        elif code == 0:
            raise _refusal("nul", "A string has the character NUL.")
    if high_ends_at is not None:
        raise _lone_surrogate()


def _lone_surrogate() -> ProblemError:
    return _refusal("lone_surrogate", "A string has half of a surrogate pair.")


def _refusal(code: str, detail: str) -> ProblemError:
    return ProblemError(malformed(code, detail))

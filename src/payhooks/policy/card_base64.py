"""Base64 within a text: by what it shows that it may have card data in it, and what it says.

Digits are known wherever they stand in it. Names, of which security codes go by, are looked for in
what begins as JSON, as XML or with such a name: to look everywhere were to decode every id.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from payhooks.policy.card_names import SECRET_NAMES

# Fourteen ASCII digits and their separators have, wherever they begin, four quadruples to
# themselves, between which a line may end: JSON spells that in two letters each.
_DIGITS: Final = rb"(?:\\[rn]|[\r\n\x1c]){0,2}".join(
    [rb"[MNOIL][DTjzCSiy][AEIMQUYcgk04][gtuwxyz0-5]"] * 4
)
# A quadruple says three characters of ASCII: the bits of its letters are put together from theirs,
# of the first letter six of the first one, of the second its other two and four of the next.
_ANY: Final = rb"(?:\\?/|[A-Za-z0-9+_\-])"
_THIRD: Final = rb"[ABEFIJMNQRUVYZcdghklopstwx014589]%b" % _ANY
_ASCII: Final = rb"[A-Za-f][A-HQ-Xg-nw-z0-3]%b" % _THIRD
_CASED: Final = (
    "".join(cased).encode()
    for name in SECRET_NAMES
    for cased in product(*zip(name[:3], name[:3].upper(), strict=True))
)
# JSON and XML with what may stand behind the first bracket, and names in letters of both sizes.
# But for `{` there has to be more ASCII behind that, as words have seldom by chance.
_BEGINS: Final = rb"(?:77u(?:\\?/|_))?(?:e[wy]%b|(?:(?:W[wyz13]|P[C-H])%b|%b)%b)" % (
    *(_THIRD, _THIRD),
    b"|".join(sorted(set(map(base64.b64encode, _CASED)))),
    _ASCII,
)
_TEXT: Final = rb"(?:^|[^A-Za-z0-9+/_\-]|\\[nrtfb])%b" % _BEGINS
_BEGINS_TEXT: Final = re.compile(_BEGINS)
_HAS_DIGITS: Final = re.compile(_DIGITS)
# Of lines all but the last are of whole quadruples; what is joined means what each does.
_BLOCK: Final = re.compile(
    r"(?:(?:[A-Za-z0-9+/_-]{4}){15,}+\r?\n)++[A-Za-z0-9+/_-]*={0,2}|[A-Za-z0-9+/_-]{12,}={0,2}"
)
_NOT_BASE64: Final = re.compile(r"[\r\n=]")


def sign(*, is_form: bool) -> bytes:
    """Return the pattern of what shows it; in a form a plus may be the space before it."""
    return b"%b|%b%b" % (_DIGITS, _TEXT, rb"|\+%b" % _BEGINS if is_form else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some base64, or what only looks so."""

    place: range
    says: list[str]  # all its lines together, and each of them, a character for a byte
    is_text: bool


def blocks(text: str) -> Iterator[Block]:
    """Yield what may have card data, of one level."""
    for found in _BLOCK.finditer(text):
        coded = found[0].encode()
        is_text = _BEGINS_TEXT.match(coded) is not None
        if is_text or _HAS_DIGITS.search(coded) is not None:
            # Beside what the line before ends with, a number may seem to be a part of a word.
            lines = dict.fromkeys((found[0], *found[0].split()))
            says = [_decoded(line) for line in lines]
            yield Block(place=range(*found.span()), says=says, is_text=is_text)


def _decoded(text: str) -> str:
    plain = _NOT_BASE64.sub("", text).replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1:
        plain = plain[:-1]
    return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("latin-1")

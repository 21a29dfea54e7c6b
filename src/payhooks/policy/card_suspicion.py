"""The quick look for card data: a few passes over a document at the speed of memory.

It errs on one side only. Where it says no, `card_numbers` would find nothing; where it says yes,
the document is worth being read in earnest. Nearly every event ends here, after 3 µs for 1 KB.
"""

import re
from enum import Enum, auto
from typing import Final

from payhooks.policy import card_ranges

# Separators are taken out, digits become 0 and letters small, so that one search finds any run; but
# for the capitals that base64 of digits has in every fourth place, which all become M. Of what is
# not ASCII, the first byte of a character decides. With eight of them digits of other scripts begin
# (0), with three the separators (out, as are all bytes behind a first); the others end a run. So
# does a line end: the header of a part may begin behind it.
_DIGIT_LEADS: Final = b"\xd9\xdb\xdf\xe0\xe1\xea\xef\xf0"
_TAKEN_OUT: Final = b" \t\r\v\f\x1d\x1e\x1f-_." + bytes(range(0x80, 0xC0)) + b"\xc2\xe2\xe3"
_TAKEN_OUT_OF_FORMS: Final = _TAKEN_OUT + b"+"
_REDUCED: Final = bytes(
    ord("0") if byte in b"0123456789" + _DIGIT_LEADS else ord("M") if byte in b"MNOIL" else small
    for byte, small in enumerate(bytes(range(256)).lower())
)
_RUN: Final = b"0" * card_ranges.DIGITS_MIN
# Where an issuer's range may begin, with as many digits as its shortest number has. Most runs have
# none, which is seen sooner than where all are: they may overlap.
_BEGIN: Final = (
    rb"4[0-9]{12}|3[04-9][0-9]{12}|5(?:[06-8][0-9]{10}|[1-5][0-9]{14})"
    rb"|6(?:[37][0-9]{10}|[0-9]{15})|(?:2[2-7]|8[12]|97)[0-9]{14}"
)
_ANY_BEGIN: Final = re.compile(_BEGIN)
_BEGINS: Final = re.compile(b"(?=%b)" % _BEGIN)
# Longer runs, and more places where a number may begin, are left to the close look.
_RUN_MAX: Final = 64
_PLACES_MAX: Final = 256
# Names as they end whose values are secret, and what stands between them and values that are long
# enough, in JSON, forms, XML and what has several parts; escapes in forms are 0 by now, too. All
# have a c and one of five letters behind it, so that the search stops at little else. Line ends may
# be spelt as JSON spells them, and as `LINE_END`.
LINE_END: Final = b"\x1c"
_SECRET_MEMBER: Final = re.compile(
    rb"c(?:v[vcdnM]|sc|av|ur[iM]tyc[oM]de"
    rb"|ard(?:c[oM]de|c[iM]d|ver[iM]f[iM]cat[iM][oM][nM](?:va[lM]ue|c[oM]de|[nM]u[mM]ber))"
    rb"|k(?<=p[iM][nM]b[lM][oM]ck))0?"
    rb"(?:(?:[\]\"':=>\n\x1c]++|\\[nrtf]?|va[lM]ue|%0[0acde])++"
    rb"(?:[0a-f]{3}|<|(?<=[n\n\x1c])[0a-zM]{1,40}+:)"
    rb"|<\\?/|(?!\":\{)[^<>\\]{0,60}+(?:>|\\[^<>]{0,120}+>)|000)"
)
# Base64 of ASCII digits and their separators. Fourteen digits have, wherever they begin, four
# quadruples to themselves. Spelt four times: a search for a repeated group would stop at every
# letter. Once as it is, and once of what is reduced, which a search is through with much sooner.
BASE64_DIGITS: Final = re.compile(rb"[MNOIL][DTjzCSiy][AEIMQUYcgk04][gtuwxyz0-5]" * 4)
_MAYBE_BASE64_DIGITS: Final = re.compile(rb"M[dtjzcsiy][aeMquycgk0][gtuwxyz0]" * 4)
# Looked for by its number: that takes a fifth of the time.
_BACKSLASH: Final = ord("\\")
# Most escapes are of letters of Latin scripts, and passed over at once.
_OTHER_ESCAPE: Final = re.compile(rb"\\u(?!0[01][9b-fB-F])")
# Escapes of ASCII, and of the blocks where digits of other scripts and separators are.
_TELLING_ESCAPE: Final = re.compile(
    rb"\\u(?:0(?:0[0-8aA]|[6-9a-fA-F])|1[0-9a-cA-C]|2(?:0[0-256]|212)|3000"
    rb"|[aA][6-9a-fA-F]|[fF][eEfF]|[dD]8)"
)
_ESCAPE: Final = re.compile(r"\\[^u]|((?:\\u[0-9a-fA-F]{4})+)")
# In what is no JSON a backslash is not the first half of anything else.
_ESCAPE_IN_TEXT: Final = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)")


class Suspicion(Enum):
    """What a document may have in it that nobody should see."""

    DIGITS = auto()  # that a card number may be made of, and nothing else
    ANYTHING = auto()


def suspicion(raw: bytes, *, is_form: bool = False) -> Suspicion | None:
    """Return what a document may have in it, JSON or some other text, of whatever bytes, if any.

    In a form a plus is a space. Its other escapes are none any more.
    """
    taken_out = _TAKEN_OUT_OF_FORMS if is_form else _TAKEN_OUT
    if _BACKSLASH in raw and _OTHER_ESCAPE.search(raw) and _TELLING_ESCAPE.search(raw):
        raw = unescaped(raw.decode(errors="replace"), is_form=is_form).encode()
    reduced = raw.translate(_REDUCED, taken_out)
    if _SECRET_MEMBER.search(reduced) is not None:
        return Suspicion.ANYTHING
    if _MAYBE_BASE64_DIGITS.search(reduced) is not None and BASE64_DIGITS.search(raw) is not None:
        return Suspicion.ANYTHING
    first = reduced.find(_RUN)
    if first < 0:
        return None
    has_number = _may_have_number(raw[first:].translate(None, taken_out), reduced, first)
    return Suspicion.DIGITS if has_number else None


def _may_have_number(kept: bytes, reduced: bytes, first: int) -> bool:
    """Whether a run has, beginning anywhere, a number that an issuer may have given.

    *kept* is what is behind *first* in the document. That is no less than what is behind it in
    what is *reduced*, as nothing moves back there; counted from the end, both are alike.
    """
    before = len(reduced) - len(kept)
    places = 0
    begin = first
    while begin >= 0:
        run = reduced[begin : begin + _RUN_MAX + 1]
        end = begin + len(run) - len(run.lstrip(b"0"))
        digits = kept[begin - before : end - before]
        if len(digits) > _RUN_MAX or not digits.isdigit():
            return True
        if _ANY_BEGIN.search(digits) is not None:
            for place in _BEGINS.finditer(digits):
                places += 1
                number = digits[place.start() :].decode()
                if places > _PLACES_MAX or card_ranges.begins_with_card_number(number):
                    return True
        begin = reduced.find(_RUN, end)
    return False


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

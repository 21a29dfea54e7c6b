"""Card data in what is no JSON: a form, a query, XML, a header, bytes. Found, and masked in place.

The text is read as whoever receives it reads it: escapes of forms, of XML and of JSON each stand
for a character. What is hidden is hidden in the bytes as they are spelt; all others stay.
"""

import binascii
import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from payhooks import limits
from payhooks.policy import card_numbers, json_leaves
from payhooks.policy.card_numbers import GROUPS_MAX, MASK, Kind, Span
from payhooks.policy.card_references import VALUE_CHARS, VALUE_CHARS_MAX, is_reference
from payhooks.policy.card_suspicion import LINE_END, decoded, in_latin_1

_HEX: Final = "[0-9a-fA-F]"
_MORE: Final = f"%[89abAB]{_HEX}"
_SPELT: Final = re.compile(
    rf"%[0-7]{_HEX}|%[cdCD]{_HEX}{_MORE}|%[eE]{_HEX}(?:{_MORE}){{2}}|%[fF][0-4](?:{_MORE}){{3}}"
    # Behind all that is UTF-8: a no-break space and a soft hyphen in Latin-1 and its kin.
    rf"|%[aA][0dD]"
    rf"|\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}}"
    rf"|&#(?:[0-9]{{1,7}}|[xX]{_HEX}{{1,6}});|&(?:nbsp|lt|gt|quot|apos);"
)
# Of XML within XML too; an ampersand says nothing about a card.
_ENTITIES: Final = {"&nbsp;": "\u00a0", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
_ENTITIES_IN_BYTES: Final = [(spelt.encode(), said.encode()) for spelt, said in _ENTITIES.items()]
# Quoted-printable spells escapes alike but for their sign, and the standard library reads it twenty
# times as fast. Line ends would be its own matter, and so would two signs.
_AS_QUOTED: Final = bytes.maketrans(b"%=\r\n", b"=: " + LINE_END)
# By their numbers they are found in a fifth of the time.
_PERCENT, _SEMICOLON, _AMPERSAND, _EQUALS = b"%;&="
_TWO_SIGNS: Final = re.compile(b"%%")
# What spells a character beyond ASCII, or else a sign that says itself, as in `5%cav=123`.
_HIGH: Final = re.compile(
    rf"((?:%[cdCD]{_HEX}|%[eE]{_HEX}{_MORE}|%[fF][0-4]{_MORE}{_MORE}){_MORE}|%[aA][0dD])".encode()
    + rb"|%(?=[89a-fA-F])"
)
_FORM: Final = re.compile(rb"[^\s<>{}\"]*=[^\s<>{}\"]*")
# The member of a form, XML or JSON whose value begins here, read backwards.
_NAME_BEFORE: Final = re.compile(r"[\"'\\]{0,2}\s?[=>:][\"'\\]{0,2}([\w.\-\[\]:]{1,64})")
_NAME_CHARS_MAX: Final = 70
# Right before that name, read backwards: it is the card's, as in `<card><id>`. No end of one.
_CARD_ABOVE: Final = re.compile(
    r"[^\w&,;\n]{1,8}\w{0,32}(?:drac|tnuocca|tnemurtsni|laitnederc|\bnap|\bcc)(?!\w*/)",
    re.IGNORECASE,
)
_SHOWN_BEFORE: Final = re.compile(r"\d[\d .\-]*\Z")
_SHOWN_CHARS_MAX: Final = 30
# What of its value stands before a number, read backwards. A colon may be of it, or before it.
_VALUE_BEFORE: Final = tuple(
    re.compile(rf"[{chars}]{{0,{VALUE_CHARS_MAX}}}+")
    for chars in (VALUE_CHARS, VALUE_CHARS.replace(":", ""))
)
# Up to its quote, its line's end, a bracket, or what begins another member. What else a comma, a
# semicolon or an ampersand has behind it, a date or a security code, would be a part of it. Behind
# an ampersand a form has names of any kind, such as `3ds`, and some without a value.
_VALUE: Final = re.compile(
    rf"[{VALUE_CHARS}]{{1,{VALUE_CHARS_MAX}}}+"
    r"(?=[\"'\\\r\n<}]|[,;&]?\Z"
    r"|[,;&]\s{0,40}+[\"'\\]{0,2}[A-Za-z_][\w.\-\[\]]{0,64}[\"'\\]{0,2}\s?[:=]"
    r"|&{1,2}(?:amp;)?(?:\d{0,2}(?:[^\W\d]|[\[$@])[\w.\-\[\]$@: ]{0,64}=|[A-Za-z_]{1,64}(?:&|\Z)))"
)
_CODE_POINT_MAX: Final = 0x10FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something in a text."""

    kind: Kind
    name: str  # of the member that it is the value of, if one can be told
    is_kept: bool  # it is a reference, and was left


def masked(
    raw: bytes, *, is_form: bool, at_most: int = limits.EVENT_FINDINGS_MAX
) -> tuple[bytes, list[Hit]]:
    """Return the text with all card data hidden but references, and the first of what there was.

    In a form a plus is a space; what looks like a form is one, whatever it was called.
    """
    if not is_suspect(raw):
        return raw, []
    # Whatever is no UTF-8 is still there afterwards.
    text = raw.decode(errors="surrogateescape")
    reading = _Reading(text, is_form=is_form or _FORM.fullmatch(raw) is not None)
    hits: list[Hit] = []
    hidden: list[tuple[int, int]] = []
    for span in card_numbers.spans_of(reading.said, [GROUPS_MAX]):
        name, is_kept = _named(reading, span)
        if len(hits) < at_most:
            hits.append(Hit(kind=span.kind, name=card_numbers.masked_text(name), is_kept=is_kept))
        if not is_kept:
            hidden += [(part.start, part.stop) for part in span.hidden]
    return _without(text, reading, hidden).encode(errors="surrogateescape"), hits


def _without(text: str, reading: "_Reading", hidden: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = covered = 0
    for begin, end in sorted(hidden):
        first = max(begin, covered)  # Two findings may overlap.
        if first < end:
            parts += (text[done : reading.place(first)], MASK * (end - first))
            done, covered = reading.place(end), end
    return "".join((*parts, text[done:]))


def is_suspect(raw: bytes) -> bool:
    """Whether it is worth while to read a text character by character."""
    if _PERCENT in raw:
        raw = _unescaped(raw)
    if _SEMICOLON in raw and _AMPERSAND in raw:
        if b"&#" in raw:
            return True
        for spelt, said in _ENTITIES_IN_BYTES:
            raw = raw.replace(spelt, said)
    # Whether a plus is a space is seen when something is found.
    return card_numbers.is_suspect(raw, is_form=True)


def _unescaped(raw: bytes) -> bytes:
    """Return what escapes of forms say; some other signs are not themselves any more.

    None of those that a run of digits, or the name of a member, can have in it.
    """
    said = binascii.a2b_qp(raw.translate(_AS_QUOTED))
    if _EQUALS in said and _TWO_SIGNS.search(raw) is not None:
        # Where there were two signs there is one now; mostly there is none.
        said = unquote_to_bytes(raw)
    if said.isascii() or (raw.isascii() and _is_utf8(said)):
        return said
    # The reader has no mercy with what is no escape, and would take the first letters of a name.
    return unquote_to_bytes(_HIGH.sub(_spelt_out, raw))


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _spelt_out(sign: re.Match[bytes]) -> bytes:
    return sign[1] or b"%25"


def _named(reading: "_Reading", span: Span) -> tuple[str, bool]:
    """Return the name of the member that it is the value of, and whether it is a reference."""
    text = reading.said
    begin = span.hidden[0].start
    if span.kind is not Kind.CARD_NUMBER:
        return _name(_before(text, begin), 0), False
    # The digits that are shown stand before and behind what is hidden.
    shown = _SHOWN_BEFORE.search(text, max(0, begin - _SHOWN_CHARS_MAX), begin)
    begin = begin if shown is None else shown.start()
    before = _before(text, begin)
    for count in sorted({_count(chars, before) for chars in _VALUE_BEFORE}):
        value, name = _VALUE.match(text, begin - count), _NAME_BEFORE.match(before, count)
        if value is None or name is None or _CARD_ABOVE.match(before, name.end()):
            continue
        # What is escaped belongs to a value, but where all around it is: JSON that a form has.
        if reading.is_escaped(value.end()) and not reading.is_escaped(begin - count - 1):
            continue
        if is_reference([name[1][::-1]], value[0]):
            return name[1][::-1], True
    return _name(before, 0), False


def _count(chars: re.Pattern[str], before: str) -> int:
    found = chars.match(before)
    assert found is not None, "it may be empty"
    return found.end()


def _before(text: str, begin: int) -> str:
    return text[max(0, begin - VALUE_CHARS_MAX - _NAME_CHARS_MAX) : begin][::-1]


def _name(before: str, at: int) -> str:
    """Return the name of the member whose value begins there, read backwards."""
    found = _NAME_BEFORE.match(before, at)
    return "" if found is None else found[1][::-1]


class _Reading:
    """What a text says, and where each character of that is spelt."""

    __slots__ = ("_begins", "_ends", "_starts", "said")

    def __init__(self, text: str, *, is_form: bool) -> None:
        self._starts: list[int] = []  # in what is said: of what is not spelt as itself
        self._begins: list[int] = []  # and where in the text it begins
        self._ends: list[int] = []
        parts: list[str] = []
        done = length = 0
        for spelt in _SPELT.finditer(text):
            parts += (text[done : spelt.start()], _said(spelt[0]))
            length += spelt.start() - done
            self._starts.append(length)
            self._begins.append(spelt.start())
            self._ends.append(spelt.end())
            length += 1
            done = spelt.end()
        parts.append(text[done:])
        if is_form:
            parts[::2] = [part.replace("+", " ") for part in parts[::2]]
        # Of another encoding than UTF-8 the separators count, a character each as before.
        self.said = in_latin_1("".join(parts))

    def is_escaped(self, at: int) -> bool:
        """Whether the character that is said there is not spelt as itself."""
        before = bisect_right(self._starts, at) - 1
        return before >= 0 and self._starts[before] == at

    def place(self, at: int) -> int:
        """Return where in the text the character begins that is said there."""
        before = bisect_right(self._starts, at) - 1
        if before < 0:
            return at
        passed = at - self._starts[before]
        return self._begins[before] if not passed else self._ends[before] + passed - 1


def _said(spelt: str) -> str:
    """Return the one character that is spelt so."""
    if spelt.startswith("%"):
        said = decoded(bytes.fromhex(spelt.replace("%", "")))
        return said if len(said) == 1 else "\ufffd"
    if spelt.startswith("\\"):
        return json_leaves.said(spelt)
    if not spelt.startswith("&#"):
        return _ENTITIES[spelt]
    digits = spelt[2:-1]
    code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    return chr(code) if code <= _CODE_POINT_MAX else "\ufffd"

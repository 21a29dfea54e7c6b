"""Card data in what is published: found in any disguise that happens, and masked in place.

Found are card numbers (`card_ranges`), also in groups, in digits of other scripts, as JSON numbers,
escaped, or inside base64; what a card's magnetic stripe says; and, by the name of their member,
security codes and PIN blocks. What was found is never told: only where, and of which kind.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate, islice
from typing import Final, assert_never

from payhooks.policy import card_base64, card_names, card_ranges, json_leaves
from payhooks.policy.card_stripes import stripes
from payhooks.policy.card_suspicion import Suspicion, decoded, suspicion, unescaped
from payhooks.policy.json_leaves import Leaf, Step


class Kind(StrEnum):
    """What was found, as findings and metrics call it."""

    CARD_NUMBER = "card_number"
    SECURITY_CODE = "security_code"
    TRACK_DATA = "track_data"
    PIN_BLOCK = "pin_block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is; the number is in neither."""

    pointer: str  # its own digits masked, if it goes through a name that is one
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A document without card data."""

    raw: bytes
    places: list[Place]  # the first of where something was
    is_ambiguous: bool  # two members of an object have the same name now
    kept: list[Place] = field(default_factory=list)  # the first of what was to be left


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which characters of a text, or of a number, nobody may see, and what they are of."""

    kind: Kind
    hidden: tuple[range, ...]


MASK: Final = "X"
_SHOWN_FIRST: Final = 6  # and the last four: as much as PCI DSS 3.4.1 lets anybody see
_SHOWN_LAST: Final = 4
# So many groups of digits of one document are tried; a run that goes beyond is hidden whole.
GROUPS_MAX: Final = 4_000
_SEPARATOR: Final = (
    r"[ .\-\u00a0\u00ad\u1680\u180e\u2000-\u2015\u202f\u205f\u2060\u2212\u3000"
    r"\ufe63\uff0d\uff0e\ufeff]"
)
_RUN: Final = re.compile(rf"\d(?:{_SEPARATOR}{{0,3}}+\d){{11,}}+")
_GROUP: Final = re.compile(r"\d+")
_DECIMAL: Final = re.compile(r"\d+\.\d+")
# What digits may be a part of: a UUID, or an IBAN as it is printed.
_WHOLE: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?P<iban>\b[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?\b)",
    re.ASCII,
)
_WHOLE_CHARS_MAX: Final = 42
_SIDES_OF_POINT: Final = 2
_INTEGER_PART: Final = re.compile(r"-?(\d+)", re.ASCII)
_BYTES_MIN: Final = card_names.NAMED_CHARS_MIN + len('""')
_POINTER_CHARS_MAX: Final = 200  # what goes beyond has no room in a pointer


def found(raw: bytes, root: str, *, at_most: int) -> list[Place]:
    """Return the first texts, numbers and names in a JSON document that have card data."""
    places: list[Place] = []
    if is_suspect(raw):
        for leaf, spans in _leaves_with(raw):
            places.append(_place(leaf, root, spans))
            if len(places) == at_most:
                break
    return places


def _is_none_kept(_path: Sequence[Step], _value: str) -> bool:
    return False


def masked(
    raw: bytes,
    root: str,
    *,
    at_most: int,
    is_kept: Callable[[Sequence[Step], str], bool] = _is_none_kept,
) -> Masked:
    """Return the document with all card data hidden, and the first places; other bytes stay.

    Of a card number the first six and the last four digits stay. A number becomes a text. What
    *is_kept*, by the names that lead to it and what it says, stays too.
    """
    if not is_suspect(raw):
        return Masked(raw=raw, places=[], is_ambiguous=False)
    changes: list[tuple[int, int, bytes]] = []
    places: list[Place] = []
    kept: list[Place] = []
    has_names = False
    for leaf, spans in _leaves_with(raw):
        token = raw[leaf.begin : leaf.end]
        is_number = all(span.kind is Kind.CARD_NUMBER for span in spans)
        if is_number and not leaf.is_name and is_kept(leaf.path, json_leaves.text_of(token)):
            if len(kept) < at_most:
                kept.append(_place(leaf, root, spans))
            continue
        changes.append((leaf.begin, leaf.end, _hidden_leaf(token, spans)))
        has_names |= leaf.is_name
        if len(places) < at_most:
            places.append(_place(leaf, root, spans))
    changed = _changed(raw, changes)
    is_ambiguous = has_names and not _has_distinct_names(changed)
    return Masked(raw=changed, places=places, is_ambiguous=is_ambiguous, kept=kept)


def is_in(text: str) -> bool:
    """Whether a text that stands by itself, as an object's id does, has card data."""
    if len(text) < card_ranges.DIGITS_MIN:
        return False
    # Half a surrogate pair is no digit, and nothing that UTF-8 could spell.
    raw = text.encode(errors="replace")
    return suspicion(raw) is not None and bool(spans_of(text, [GROUPS_MAX]))


def masked_text(text: str) -> str:
    """Return the text with card data hidden."""
    if not is_in(text):
        return text
    return _hidden(list(text), spans_of(text, [GROUPS_MAX]))


def is_suspect(raw: bytes, *, is_form: bool = False) -> bool:
    """Whether it is worth while to read a document token by token, or a text by characters."""
    suspected = suspicion(raw, is_form=is_form)
    if suspected is None:
        return False
    match suspected:
        case Suspicion.NUMBERS:
            # Of a part of something else it is told apart later.
            text = decoded(raw)
            text = text.replace("+", " ") if is_form else text
            text = unescaped(text, is_form=is_form) if "\\u" in text else text
            return next(_numbers(text, [GROUPS_MAX]), None) is not None
        case Suspicion.ANYTHING:
            return True
        case _ as never:
            assert_never(never)


def _changed(raw: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    parts: list[bytes] = []
    done = 0
    for begin, end, changed in sorted(changes):
        parts += (raw[done:begin], changed)
        done = end
    return b"".join((*parts, raw[done:]))


def _leaves_with(raw: bytes) -> Iterator[tuple[Leaf, list[Span]]]:
    """Yield what has card data, a value whose name stands behind it when that is reached."""
    budget = [GROUPS_MAX]
    pairs = card_names.Pairs()
    walk = json_leaves.leaves(raw, bytes_min=_BYTES_MIN, named=card_names.is_wanted)
    for leaf in walk:
        token = raw[leaf.begin : leaf.end]
        text = json_leaves.text_of(token)
        spans = [] if leaf.is_name else _secret(card_names.name_of(leaf), text)
        if not spans and len(text) >= card_names.NAMED_CHARS_MIN:
            is_text = token.startswith(b'"')
            spans = spans_of(text, budget) if is_text else _spans_of_number(text)
        if spans:
            yield leaf, spans
            continue
        pair = pairs.join(leaf, text)
        if pair is not None:
            value, said, name = pair
            spans = _secret(name, said)
            if spans:
                yield value, spans


def _secret(name: str, text: str) -> list[Span]:
    """Return the whole of a value that is a secret by its name."""
    if card_names.is_code(name, text):
        kind = Kind.SECURITY_CODE
    elif card_names.is_pin_block(name, text):
        kind = Kind.PIN_BLOCK
    else:
        return []
    return [Span(kind=kind, hidden=(range(len(text)),))]


def _spans_of_number(text: str) -> list[Span]:
    """Look at what is before the point: behind it is what remains of a division."""
    integer = _INTEGER_PART.match(text)
    if integer is None or not card_ranges.is_card_number(integer[1]):
        return []
    middle = range(integer.start(1) + _SHOWN_FIRST, integer.end(1) - _SHOWN_LAST)
    return [Span(kind=Kind.CARD_NUMBER, hidden=(middle,))]


def spans_of(text: str, budget: list[int]) -> list[Span]:
    """Return all card data of a text; *budget* is for all texts of one document."""
    spans = _tracks_in(text)
    spans += _numbers_in(text, budget)
    spans += _named_in(text)
    for block in card_base64.blocks(text):
        if inner := _spans_in(block, budget):
            spans.append(Span(kind=inner[0].kind, hidden=(block.place,)))
    return spans


def _named_in(text: str) -> list[Span]:
    return [
        Span(
            kind=Kind.PIN_BLOCK if named["pin"] else Kind.SECURITY_CODE,
            hidden=(range(*named.span("value")),),
        )
        for named in card_names.NAMED.finditer(text)
    ] + [Span(kind=Kind.SECURITY_CODE, hidden=(code,)) for code in card_names.codes_below(text)]


def _tracks_in(text: str) -> list[Span]:
    return [Span(kind=Kind.TRACK_DATA, hidden=(stripe,)) for stripe in stripes(text)]


def _spans_in(block: card_base64.Block, budget: list[int]) -> list[Span]:
    spans: list[Span] = []
    for text in block.says:
        spans += (*_numbers_in(text, budget), *_tracks_in(text))
        if block.is_text:
            spans += _named_in(text)
    return spans


def _numbers_in(text: str, budget: list[int]) -> list[Span]:
    """Return the card numbers of a text that are not a part of something else."""
    return [
        Span(kind=Kind.CARD_NUMBER, hidden=_middle(groups))
        for groups in _numbers(text, budget)
        if not _is_part(text, groups)
    ]


def _is_part(text: str, groups: list[range]) -> bool:
    """Whether digits belong to a word, a telephone number, a fraction, a UUID or an IBAN."""
    begin, end = groups[0].start, groups[-1].stop
    if len(groups) == 1 and end - begin == len(text):
        return False
    before, behind = text[begin - 1 : begin], text[end : end + 1]
    if before == "+" or any(each.isascii() and each.isalpha() for each in (before, behind)):
        return True
    if before == "." and text[begin - 2 : begin - 1].isdigit() and len(groups) == 1:
        return True
    is_decimal = len(groups) == _SIDES_OF_POINT and _DECIMAL.fullmatch(text, begin, end)
    if is_decimal and "." not in (before, behind):
        return True
    at = max(0, begin - _WHOLE_CHARS_MAX)
    return any(
        at + whole.start() < end and begin < at + whole.end()
        for whole in _WHOLE.finditer(text[at : end + _WHOLE_CHARS_MAX])
        if whole["iban"] is None or _is_iban(whole["iban"])
    )


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "")
    return int("".join([str(int(each, 36)) for each in plain[4:] + plain[:4]])) % 97 == 1


def _numbers(text: str, budget: list[int]) -> Iterator[list[range]]:
    """Yield the groups of digits of each card number; of a run that has too many, the run."""
    for run in _RUN.finditer(text):
        if run[0].isdigit():
            if card_ranges.is_card_number(_ascii(run[0])):
                yield [range(*run.span())]
            continue
        groups = islice(_GROUP.finditer(run[0]), max(budget[0], 0) + 1)
        spans = [group.span() for group in groups]
        budget[0] -= len(spans)
        if budget[0] < 0:
            yield [range(*run.span())]
            continue
        yield from _numbers_of(run, spans)


def _numbers_of(run: re.Match[str], spans: list[tuple[int, int]]) -> Iterator[list[range]]:
    digits = _ascii("".join(_GROUP.findall(run[0])))
    ends = list(accumulate([end - begin for begin, end in spans]))
    at = run.start()
    for first, last in card_ranges.card_numbers(digits, [0, *ends], ends):
        yield [range(at + begin, at + end) for begin, end in spans[first : last + 1]]


def _ascii(digits: str) -> str:
    if digits.isascii():
        return digits
    return "".join([str(unicodedata.decimal(digit)) for digit in digits])


def _middle(groups: list[range]) -> tuple[range, ...]:
    """Return the digits that nobody may see."""
    count = sum(map(len, groups))
    if count > card_ranges.DIGITS_MAX:
        return tuple(groups)  # A run that nobody has looked at.
    hidden = []
    done = 0
    for group in groups:
        begin = max(group.start, group.start + _SHOWN_FIRST - done)
        end = min(group.stop, group.start + count - _SHOWN_LAST - done)
        hidden.append(range(begin, end))
        done += len(group)
    return tuple(hidden)


def _hidden_leaf(token: bytes, spans: list[Span]) -> bytes:
    text = token.decode()
    pieces = json_leaves.pieces(text[1:-1]) if text.startswith('"') else list(text)
    return f'"{_hidden(pieces, spans)}"'.encode()


def _hidden(pieces: list[str], spans: list[Span]) -> str:
    for span in spans:
        for hidden in span.hidden:
            pieces[hidden.start : hidden.stop] = [MASK] * len(hidden)
    return "".join(pieces)


def _has_distinct_names(raw: bytes) -> bool:
    try:
        return json_leaves.has_distinct_names(raw)
    except RecursionError:
        return False  # Nobody can tell; what others can read may be a little deeper.


def _place(leaf: Leaf, root: str, spans: list[Span]) -> Place:
    # Masked is only what there is room for: a path may be as long as its document.
    steps: list[Step] = []
    room = _POINTER_CHARS_MAX
    for step in leaf.path:
        room -= len(str(step)) + 1
        if room < 0:
            break
        steps.append(masked_text(step) if isinstance(step, str) else step)
    pointer = json_leaves.pointer(root, steps)
    return Place(pointer=pointer, kind=spans[0].kind)

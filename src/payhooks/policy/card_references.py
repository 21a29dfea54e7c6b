"""Which numbers are references, though they look like card numbers in every respect.

Three in a hundred references of sixteen digits do. To mask one in what a provider says would
make two payments one. So what stands in one piece, by itself or within an id, where its name says
that it is an id or a reference, and nothing above it speaks of a card, is left and told.
"""

import json
import re
from collections.abc import Collection, Sequence
from typing import Final

from payhooks.policy import card_numbers
from payhooks.policy.card_numbers import GROUPS_MAX, Kind
from payhooks.policy.card_ranges import DIGITS_MAX, DIGITS_MIN, is_card_number
from payhooks.policy.json_leaves import Step

VALUE_CHARS_MAX: Final = 128
# Of an id. None that forms, addresses with a query, stripes or sentences have between their parts.
VALUE_CHARS: Final = r"A-Za-z0-9_.\-:/#"
_VALUE: Final = re.compile(rf"[{VALUE_CHARS}]{{1,{VALUE_CHARS_MAX}}}")
_DIGITS: Final = re.compile(rf"(?<![0-9])[0-9]{{{DIGITS_MIN},{DIGITS_MAX}}}(?![0-9])")
_SIGN: Final = r"[_.\-:/#]"
# Where the value itself says that it is a card's; `cc` alone is in many a word.
_OF_CARD_ITSELF: Final = re.compile(
    r"card(?!pay)|track|cv[vcn]|csc|visa|amex|maestro|account|(?:^|[^a-z])[df]?(?:pan|cc)(?![a-z])",
    re.IGNORECASE,
)
# A security code or an expiry date before it. A year is neither.
_BEFORE_NUMBER: Final = re.compile(
    rf"(?<![0-9])(?:[0-9]{{3}}|(?!19|20)[0-9]{{4}}|(?:0[1-9]|1[0-2]){_SIGN}[0-9]{{2}}){_SIGN}$"
)
# At most one part behind it: a counter too short for a security code or a date, or a word.
_BEHIND_NUMBER: Final = re.compile(rf"(?:{_SIGN}(?:[0-9]{{1,2}}|[A-Za-z]+))?")

_IDS: Final = r"ids?|refs?|references?|uuids?"
_WORDS: Final = rf"{_IDS}|rrn|arn|uid"
_PAYMENTS: Final = (
    r"order|tran(?:s(?:action|fer)?)?|txn|payment|payin|payout|refund|capture|charge|dispute"
    r"|invoice|batch|event|merchant|psp"
)
# As a word of its own, whether by a separator or by a capital; or behind what payments have; or
# the whole name, as providers use it.
_REFERENCE: Final = re.compile(
    rf"(?:(?:^|[_.\- \[:])(?i:{_WORDS})|(?<=[a-z0-9])(?:Ids?|IDs?|Refs?|References?|Uuids?|UUIDs?)"
    rf"|(?i:(?:{_PAYMENTS}|original|receipt|tracking|ref|reference)[_.\- ]?"
    rf"(?:{_WORDS}|no|num|number|code|serial|tag))"
    r"|(?i:(?:^|[.\[])(?:order|invoice|receipt|(?:latest_)?charge|payment_intent|key|optional1)))"
    r"\]?$"
)
# By the last two names: `number` alone may be of anything, and `subject` is so at the top alone.
_BY_BOTH: Final = re.compile(
    r"(?i:(?:order|invoice|receipt)s?\]?[.\[](?:no|number|code))\]?$|^subject$"
)
# These say whose they are, wherever they stand. `id` or `reference` is of what is above it.
_OF_PAYMENT: Final = re.compile(rf"(?:{_PAYMENTS})[_.\- ]?(?:{_IDS})$", re.IGNORECASE)
_OF_CARD: Final = re.compile(
    r"card|account(?!ing)|instrument|credential|(?:^|[_.\- \[])(?:pan|cc)(?:$|[_.\- \]])",
    re.IGNORECASE,
)
# What is beside a card's number, in whatever form: the number is none of a payment's then.
_BESIDE_CARD: Final = re.compile(
    r"cv[vcn]|csc|cav|security.?code|verification|expir|track|pin.?block", re.IGNORECASE
)
# More than any message has. All are looked at for each of what may be thousands of numbers.
_STEPS_MAX: Final = 32
_NAMES_CHARS_MAX: Final = 256


def is_reference(
    path: Sequence[Step], value: str, *, also: Collection[tuple[Step, ...]] = ()
) -> bool:
    """Whether a value is a reference, by the names that lead to it, or as it stands at *also*.

    So is a JSON text, if nothing is found in it but references.
    """
    if value.startswith(("{", "[")):
        return _has_references_only(path, value)
    return _is_named(path, also) and _is_in_one_piece(value)


def _has_references_only(path: Sequence[Step], text: str) -> bool:
    if _BESIDE_CARD.search(text) is not None:
        return False
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False

    def is_kept(inner: Sequence[Step], value: str) -> bool:
        return _is_named([*path, *inner], ()) and _is_in_one_piece(value)

    looked = card_numbers.masked(text.encode(errors="replace"), "", at_most=1, is_kept=is_kept)
    return bool(looked.kept) and not looked.places


def _is_named(path: Sequence[Step], also: Collection[tuple[Step, ...]]) -> bool:
    if len(path) > _STEPS_MAX:
        return False
    names = [step for step in path if isinstance(step, str)]
    if not names or sum(map(len, names)) > _NAMES_CHARS_MAX:
        return False
    last = names[-1]
    says_so = _REFERENCE.search(last) or _BY_BOTH.search(".".join(names[-2:]))
    if says_so is None and tuple(path) not in also:
        return False
    return not any(map(_OF_CARD.search, names[-1:] if _OF_PAYMENT.search(last) else names))


def _is_in_one_piece(value: str) -> bool:
    """Whether it is a number, or an id in which nothing is found but one, without separators."""
    if _DIGITS.fullmatch(value) is not None:
        return True
    if _VALUE.fullmatch(value) is None:
        return False
    # Before the close look, which takes longer the more of them there are.
    numbers = [run for run in _DIGITS.finditer(value) if is_card_number(run[0])]
    if len(numbers) != 1:
        return False
    [number] = numbers
    return _is_found_alone(value, number.span()) and not _says_card(value, number.span())


def _is_found_alone(value: str, number: tuple[int, int]) -> bool:
    spans = card_numbers.spans_of(value, [GROUPS_MAX])
    # Anything else is a stripe, a security code, a number in groups, or base64.
    if len(spans) != 1 or spans[0].kind is not Kind.CARD_NUMBER or len(spans[0].hidden) != 1:
        return False
    [hidden] = spans[0].hidden
    begin, end = number
    return begin < hidden.start < hidden.stop < end


def _says_card(value: str, number: tuple[int, int]) -> bool:
    begin, end = number
    before = _BEFORE_NUMBER.search(value[:begin]) or _OF_CARD_ITSELF.search(value)
    return before is not None or _BEHIND_NUMBER.fullmatch(value, end) is None

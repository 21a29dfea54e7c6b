"""Which runs of digits can be the number of a payment card: issuer ranges, lengths, check digit.

The ranges are those that the card schemes publish for their issuer identification numbers (ISO/IEC
7812-1), as merchants' libraries carry them: Visa 4; Mastercard 51-55 and 2221-2720; American
Express 34, 37; Diners Club 300-305, 309, 36, 38, 39; Discover 6011, 644-649, 65; JCB 3528-3589;
UnionPay 62, 81; Maestro 50, 56-58, 63, 67; RuPay 508, 60, 65, 81, 82; Mir 2200-2204; Troy 9792.
Those of Elo, Verve, Hipercard and Dankort lie within these. Ranges that begin with 1 are left out:
every timestamp of this century in milliseconds or microseconds does.

They are kept by the first four digits, which decides all but a handful of national ranges, and
those only towards taking a number for a card.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

DIGITS_MIN: Final = 12
DIGITS_MAX: Final = 19
_PREFIX_DIGITS: Final = 4
_LENGTHS: Final = (
    (4000, 4999, (13, 16, 19)),  # Visa
    (5100, 5599, (16,)),  # Mastercard
    (2221, 2720, (16,)),
    (3400, 3499, (15,)),  # American Express
    (3700, 3799, (15,)),
    (3000, 3059, (14, 16, 19)),  # Diners Club
    (3090, 3099, (14, 16, 19)),
    (3600, 3699, (14, 16, 19)),
    (3800, 3999, (14, 16, 19)),
    (6011, 6011, (16, 17, 18, 19)),  # Discover
    (6440, 6599, (16, 17, 18, 19)),
    (3528, 3589, (16, 17, 18, 19)),  # JCB
    (6200, 6299, (16, 17, 18, 19)),  # UnionPay
    (8100, 8199, (16, 17, 18, 19)),
    (5000, 5099, tuple(range(12, 20))),  # Maestro
    (5600, 5899, tuple(range(12, 20))),
    (6300, 6399, tuple(range(12, 20))),
    (6700, 6799, tuple(range(12, 20))),
    (6000, 6099, (16,)),  # RuPay
    (8200, 8299, (16,)),
    (2200, 2204, (16, 17, 18, 19)),  # Mir
    (9792, 9792, (16,)),  # Troy
)


def _by_prefix() -> Mapping[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for first, last, lengths in _LENGTHS:
        for prefix in range(first, last + 1):
            key = f"{prefix:0{_PREFIX_DIGITS}}"
            found[key] = found.get(key, frozenset()).union(lengths)
    return found


_ISSUED: Final = _by_prefix()
# As numbers begin. By two digits nearly as many runs are told from them as by four.
_TELLING_DIGITS: Final = 2
BEGINS: Final = frozenset(prefix[:_TELLING_DIGITS] for prefix in _ISSUED)
FIRSTS: Final = "".join(sorted({begin[0] for begin in BEGINS}))
# What a digit counts for, and what it does in every second place.
_PLAIN: Final = bytes(max(byte - ord("0"), 0) for byte in range(ord("9") + 1)).ljust(256, b"\0")
_DOUBLED: Final = _PLAIN.translate(bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]).ljust(256, b"\0"))


def pattern() -> bytes:
    """Return a regular expression of digits that begin, and are as many, as a number's may."""
    lengths: dict[str, set[int]] = {}
    for prefix, known in _ISSUED.items():
        lengths.setdefault(prefix[:_TELLING_DIGITS], set()).update(known)
    # Once for all that are alike: an automaton is in as many states as are spelt.
    begins: dict[str, list[str]] = {}
    for begin, alike in lengths.items():
        others = "|".join(f"[0-9]{{{length - _TELLING_DIGITS}}}" for length in sorted(alike))
        begins.setdefault(others, []).append(begin)
    return "|".join(f"(?:{'|'.join(each)})(?:{others})" for others, each in begins.items()).encode()


def is_card_number(digits: str) -> bool:
    """Whether an issuer may have given the number with these ASCII digits."""
    return len(digits) in _ISSUED.get(digits[:_PREFIX_DIGITS], ()) and _has_check_digit(digits)


def card_numbers(
    digits: str, begins: Sequence[int], ends: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield each (first, last) of groups that together are a card number.

    The groups are given by where in *digits* each begins and ends. A number in groups may have
    an expiry date before or behind it, so any stretch of groups is looked at.
    """
    for first, begin in enumerate(begins):
        lengths = _ISSUED.get(digits[begin : begin + _PREFIX_DIGITS])
        if lengths is None:
            continue
        for last in range(first, min(first + DIGITS_MAX, len(ends))):
            length = ends[last] - begin
            if length > DIGITS_MAX:
                break
            if length in lengths and _has_check_digit(digits[begin : ends[last]]):
                yield first, last


def _has_check_digit(digits: str) -> bool:
    """Luhn's formula, by table: asked of every number that is long enough."""
    reverse = digits[::-1].encode()
    return (sum(reverse[::2].translate(_PLAIN)) + sum(reverse[1::2].translate(_DOUBLED))) % 10 == 0

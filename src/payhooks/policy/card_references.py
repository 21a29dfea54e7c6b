"""Which numbers are references, though they look like card numbers in every respect.

Three in a hundred references of sixteen digits do. To mask one in what a provider says would
make two payments one. So what stands by itself, in one piece, where its name says that it is an
id or a reference, and nothing above it speaks of a card, is left and told.
"""

import re
from collections.abc import Sequence
from typing import Final

from payhooks.policy.card_ranges import DIGITS_MAX, DIGITS_MIN
from payhooks.policy.json_leaves import Step

_DIGITS: Final = re.compile(rf"[0-9]{{{DIGITS_MIN},{DIGITS_MAX}}}")
_WORDS: Final = r"ids?|refs?|references?|rrn|uid"
# As a word of its own, whether by a separator or by a capital; or behind what payments have.
_REFERENCE: Final = re.compile(
    rf"(?:(?:^|[_.\- \[:])(?i:{_WORDS})|(?<=[a-z0-9])(?:Ids?|IDs?|Refs?|References?)"
    rf"|(?i:(?:order|transaction|payment|payin|payout|refund|capture|dispute|invoice|batch|event"
    rf"|merchant|psp|original)[_.\- ]?(?:{_WORDS}|no|number|serial|tag)))\]?$"
)
_OF_CARD: Final = re.compile(
    r"card|account|instrument|credential|(?:^|[_.\- \[])(?:pan|cc)(?:$|[_.\- \]])", re.IGNORECASE
)
# More than any message has. All are looked at for each of what may be thousands of numbers.
_STEPS_MAX: Final = 32
_NAMES_CHARS_MAX: Final = 256


def is_reference(path: Sequence[Step], value: str) -> bool:
    """Whether a value is a reference, by the names that lead to it."""
    if len(path) > _STEPS_MAX or _DIGITS.fullmatch(value) is None:
        return False
    names = [step for step in path if isinstance(step, str)]
    if not names or sum(map(len, names)) > _NAMES_CHARS_MAX:
        return False
    if _REFERENCE.search(names[-1]) is None:
        return False
    return not any(map(_OF_CARD.search, names))

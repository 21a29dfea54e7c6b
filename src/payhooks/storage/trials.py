"""What a trial means in numbers, for all stores: how often abandoned, and how many together."""

from typing import Final

import msgspec

from payhooks import limits
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, ALONE_AFTER, PROBATION_AFTER
from payhooks.ports.leasing import Trial


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries abandoned so many times in a row, and how many of them a look may bring."""

    at_least: int
    below: int
    together_max: int


# Who is not on probation needs no permission.
FREE: Final = Band(at_least=0, below=PROBATION_AFTER, together_max=2**31 - 1)
# A stream sends nothing itself, so nothing that it passes on can kill it.
EVERY: Final = Band(at_least=0, below=ABANDONED_IN_A_ROW_MAX, together_max=2**31 - 1)

BANDS: Final = {
    Trial.NONE: Band(at_least=PROBATION_AFTER, below=PROBATION_AFTER, together_max=0),
    Trial.TOGETHER: Band(
        at_least=PROBATION_AFTER,
        below=ALONE_AFTER,
        together_max=limits.PROBATION_TOGETHER_MAX,
    ),
    Trial.ALONE: Band(at_least=ALONE_AFTER, below=ABANDONED_IN_A_ROW_MAX, together_max=1),
}

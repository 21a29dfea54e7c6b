"""How long somebody who guesses has to wait.

Five wrong in a row cost nothing, since people mistype; the next waits 30 s, and each after it twice
as long, up to a quarter of an hour: a day allows a hundred guesses, of a million codes.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

FREE_TRIES: Final = 5
FIRST_WAIT_S: Final = 30.0
WAIT_S_MAX: Final = 900.0
FORGOTTEN_AFTER: Final = timedelta(days=1)


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a subject was tried in a row, and when last."""

    count: int
    last_at: datetime


def wait_s(tries: Tries | None, now: datetime) -> float:
    """Return the seconds until the subject may be tried again; 0.0: now."""
    if tries is None or tries.count < FREE_TRIES:
        return 0.0
    # The exponent is bounded: nobody needs the power of two of a counter that guessers drive.
    doublings = min(tries.count - FREE_TRIES, 10)
    due_at = tries.last_at + timedelta(seconds=min(FIRST_WAIT_S * 2**doublings, WAIT_S_MAX))
    return max((due_at - now).total_seconds(), 0.0)


def after_try(tries: Tries | None, now: datetime) -> Tries:
    """Return the count with one more."""
    if tries is None or now - tries.last_at > FORGOTTEN_AFTER:
        return Tries(count=1, last_at=now)
    return Tries(count=tries.count + 1, last_at=now)

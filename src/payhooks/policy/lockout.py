"""How long somebody who guesses has to wait.

For a name, five wrong in a row cost nothing, since people mistype; the next waits 30 s, and each
after it twice as long, up to a quarter of an hour: a day allows a hundred guesses, of a million
codes. A right one begins anew.

An address is shared: by an office that mistypes, and by a guesser who has an account too and would
begin anew with each sign-in of it. So a right one gives an address back its own try alone. Twenty
wrong cost nothing there, and one is forgotten each quarter of an hour: a day allows a hundred too.
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec

FREE_TRIES: Final = 5
FIRST_WAIT_S: Final = 30.0
WAIT_S_MAX: Final = 900.0
SHARED_FREE_TRIES: Final = 20
SHARED_FORGETS_EVERY: Final = timedelta(minutes=15)
FORGOTTEN_AFTER: Final = timedelta(days=1)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a try counts for."""

    digest: bytes
    shared: bool  # an address; otherwise a name


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a subject was tried, and since when that is so.

    For a name: in a row, the last at ``since``. For an address: as many as are not forgotten, the
    next of them ``SHARED_FORGETS_EVERY`` after ``since``.
    """

    count: int
    since: datetime


def wait_s(subject: Subject, tries: Tries | None, now: datetime) -> float:
    """Return the seconds until the subject may be tried again; 0.0: now."""
    if tries is None:
        return 0.0
    if subject.shared:
        left = _left(tries, now)
        due_at = left.since + SHARED_FORGETS_EVERY
        free = left.count < SHARED_FREE_TRIES
    else:
        # The exponent is bounded: nobody needs the power of two of a counter that guessers drive.
        doublings = min(max(tries.count - FREE_TRIES, 0), 10)
        due_at = tries.since + timedelta(seconds=min(FIRST_WAIT_S * 2**doublings, WAIT_S_MAX))
        free = tries.count < FREE_TRIES
    return 0.0 if free else max((due_at - now).total_seconds(), 0.0)


def after_try(subject: Subject, tries: Tries | None, now: datetime) -> Tries:
    """Return the count with one more."""
    if tries is None or now - tries.since > FORGOTTEN_AFTER:
        return Tries(count=1, since=now)
    if subject.shared:
        left = _left(tries, now)
        return Tries(count=left.count + 1, since=left.since)
    return Tries(count=tries.count + 1, since=now)


def _left(tries: Tries, now: datetime) -> Tries:
    """Return what an address is still remembered for."""
    forgotten = max((now - tries.since) // SHARED_FORGETS_EVERY, 0)
    if forgotten >= tries.count:
        return Tries(count=0, since=now)
    return Tries(
        count=tries.count - forgotten, since=tries.since + forgotten * SHARED_FORGETS_EVERY
    )

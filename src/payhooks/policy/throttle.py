"""The rate limit of a lane: GCRA, in whole microseconds, so that SQL and Python agree.

One number is kept per lane, ``tat``: the time at which everything sent so far would have
gone out at the even rate. Zero means never. With all times in microseconds since 1970:

    interval  = ceil(1_000_000 / rate_per_s)
    debt      = min(max(tat - now, 0), burst * interval)
    allowance = (burst * interval - debt) / interval              integer division
    spend n   : tat = now + debt + n * interval
    next      = max(now, now + debt - (burst - 1) * interval)

No more than a burst is ever owed at one rate. A tat further ahead is of a clock that was ahead,
or of a lower rate that the endpoint had; paid off in full it would keep the lane silent for as
long as the clock was wrong.

SQL takes ``interval`` and ``burst`` as parameters and repeats the last four lines with
bigints, whose division truncates as here, because nothing divided is negative.
"""

from math import ceil
from typing import Final

MICROSECONDS: Final = 1_000_000
# A lane may send this share of a second's requests together, so no second sees more than a
# tenth above the limit, and a worker need not look more than ten times a second.
BURSTS_PER_S: Final = 10


def interval_us(rate_per_s: float) -> int:
    """Return the microseconds between two requests, rounded so that none comes too early."""
    assert rate_per_s > 0
    return ceil(MICROSECONDS / rate_per_s)


def burst_of(rate_per_s: float) -> int:
    """Return how many requests may leave together under this limit; at least one."""
    assert rate_per_s > 0
    return max(1, int(rate_per_s / BURSTS_PER_S))


def allowance(tat_us: int, now_us: int, rate_per_s: float, burst: int) -> int:
    """Return how many requests may leave now: 0 to *burst*."""
    interval = interval_us(rate_per_s)
    return (burst * interval - _debt_us(tat_us, now_us, interval, burst)) // interval


def spend(tat_us: int, now_us: int, rate_per_s: float, burst: int, *, count: int) -> int:
    """Return the tat after *count* requests leave now. Ask ``allowance`` first."""
    assert count >= 0
    interval = interval_us(rate_per_s)
    return now_us + _debt_us(tat_us, now_us, interval, burst) + count * interval


def next_at(tat_us: int, now_us: int, rate_per_s: float, burst: int) -> int:
    """Return the earliest time, not before now, at which the allowance is at least one."""
    interval = interval_us(rate_per_s)
    debt_us = _debt_us(tat_us, now_us, interval, burst)
    return max(now_us, now_us + debt_us - (burst - 1) * interval)


def _debt_us(tat_us: int, now_us: int, interval: int, burst: int) -> int:
    assert burst >= 1
    return min(max(tat_us - now_us, 0), burst * interval)

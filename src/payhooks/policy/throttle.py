"""The rate limit of a lane: GCRA, in whole microseconds, so that SQL and Python agree.

One number is kept per lane, ``tat``: the time at which everything sent so far would have
gone out at the even rate. Zero means never. With all times in microseconds since 1970:

    interval  = ceil(1_000_000 / rate_per_s)
    debt      = max(tat - now, 0)
    allowance = max((burst * interval - debt) / interval, 0)      integer division
    spend n   : tat = max(tat, now) + n * interval
    next      = max(now, tat - (burst - 1) * interval)

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
    assert burst >= 1
    interval = interval_us(rate_per_s)
    debt = max(tat_us - now_us, 0)
    return max(burst * interval - debt, 0) // interval


def spend(tat_us: int, now_us: int, rate_per_s: float, count: int) -> int:
    """Return the tat after *count* requests leave now. Ask ``allowance`` first."""
    assert count >= 0
    return max(tat_us, now_us) + count * interval_us(rate_per_s)


def next_at(tat_us: int, now_us: int, rate_per_s: float, burst: int) -> int:
    """Return the earliest time, not before now, at which the allowance is at least one."""
    assert burst >= 1
    return max(now_us, tat_us - (burst - 1) * interval_us(rate_per_s))

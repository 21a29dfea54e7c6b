"""The circuit breaker of a lane: nothing but failure rests the lane, not its deliveries.

Closed, it counts failures in a row. Open, the lane rests until a time that the store keeps
as ``rest_until``, and no delivery of it is leased, so a dead endpoint burns no attempts.
After that time it is half open: the lane's oldest delivery goes alone, as the probe. If it
fails the lane rests twice as long; one success closes the breaker.
"""

from random import Random
from typing import Final

import msgspec

# Ordinary trouble (a deploy, a lost connection) fails one request or two; five in a row
# without a single success is an endpoint that is down. It is below the in-flight cap of a
# proven lane, so one round of requests to a dead endpoint is enough to know.
FAILURES_TO_OPEN: Final = 5
# Long enough that a dead endpoint costs nothing, short enough that one that restarts is
# served before a person would look.
REST_S_MIN: Final = 30.0
# The cap bounds how late a receiver that came back hears of it: a quarter of an hour.
REST_S_MAX: Final = 900.0
# A fifth more at most, so that endpoints which died together are not all probed together.
JITTER_RATIO: Final = 0.2
# 30 s doubled five times is 960 s: beyond the cap, so higher levels would change nothing.
LEVEL_MAX: Final = 6


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane remembers of its failures."""

    failures: int = 0  # in a row, since the last success
    level: int = 0  # how often it has opened since then; 0: closed

    def __post_init__(self) -> None:
        assert self.failures >= 0
        assert 0 <= self.level <= LEVEL_MAX

    @property
    def half_open(self) -> bool:
        """Whether the lane, once it has rested, may send its oldest delivery only."""
        return self.level > 0


CLOSED: Final = Breaker()


def after_failure(
    breaker: Breaker, random: Random, *, resting: bool = False, probe: bool = False
) -> tuple[Breaker, float | None]:
    """Return the breaker after one counted failure, and how long the lane rests if it opened.

    *resting* says that the lane was at rest when the answer came: the request had left
    before the breaker opened. Such stragglers say nothing new; if they counted, the sixteen
    requests under way when an endpoint dies would take it straight to the longest rest.

    *probe* says that the store leased the delivery as the probe of a lane that had opened,
    perhaps for a process that is gone: what this one remembers is then too little.
    """
    if resting:
        return breaker, None
    failures = breaker.failures + 1
    opened_before = max(breaker.level, 1) if probe else breaker.level
    if not opened_before and failures < FAILURES_TO_OPEN:
        return Breaker(failures=failures), None
    level = min(opened_before + 1, LEVEL_MAX)
    rest_s: float = min(REST_S_MIN * 2 ** (level - 1), REST_S_MAX)
    # Jitter only adds, here as in the retry policies: the rest is a promise to the receiver.
    return Breaker(failures=failures, level=level), rest_s * (1 + random.uniform(0, JITTER_RATIO))


def after_success(breaker: Breaker) -> Breaker:
    """Return the breaker after one success: closed, whatever came before."""
    return CLOSED

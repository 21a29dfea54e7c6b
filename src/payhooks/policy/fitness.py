"""How a webhook fares, judged by counts: its response times, and whether it is degraded."""

from collections.abc import Sequence
from typing import Final

# Response times are counted up to each of these; what took longer counts behind the last. Close
# together where receivers are told to answer, and the last is the default deadline.
RESPONSE_MS: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 15_000)

# One request in five: a receiver that restarts fails fewer, one with a broken server more.
DEGRADED_SHARE: Final = 0.2
# Below so many requests a share says nothing: two of three may be a receiver's deployment.
DEGRADED_ATTEMPTS_MIN: Final = 10
# Over the hour that has begun and the one before: one alone would be judged by its first minutes.
DEGRADED_HOURS: Final = 2


def is_degraded(*, attempts: int, attempts_failed: int) -> bool:
    """Whether so many of the newest attempts failed that somebody should look.

    The counts are of the last DEGRADED_HOURS steps of an hour.
    """
    assert 0 <= attempts_failed <= attempts
    return attempts >= DEGRADED_ATTEMPTS_MIN and attempts_failed >= DEGRADED_SHARE * attempts


def percentile_ms(responses: Sequence[int], share: float) -> float | None:
    """Return what this share of the responses took at most, as the bound it was counted under.

    Infinity where that was longer than the last bound; None where nothing was counted.
    *responses* are counts: one for each of RESPONSE_MS, and of what took longer.
    """
    assert len(responses) == len(RESPONSE_MS) + 1
    assert 0 < share <= 1
    whole = sum(responses)
    if whole == 0:
        return None
    counted = 0
    for bound, count in zip(RESPONSE_MS, responses, strict=False):
        counted += count
        if counted >= share * whole:
            return float(bound)
    return float("inf")

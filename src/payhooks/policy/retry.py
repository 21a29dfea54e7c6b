"""When to try again: named policies as data, and one rule, that jitter only ever adds.

A policy is the list of waits between attempts, so n delays make n + 1 attempts; the first
attempt is made at once and has no delay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from random import Random
from types import MappingProxyType
from typing import Final

from payhooks import limits
from payhooks.errors import Fault, InvalidError
from payhooks.model.endpoint import Endpoint

_SECOND: Final = 1.0
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE

# Spreads what failed in the same second over a tenth of the wait, so that a receiver that
# comes back is not met by its whole backlog at once.
JITTER_RATIO: Final = 0.1
# Sooner than this a retry meets the same failure again, and only costs an attempt.
RETRY_DELAY_S_MIN: Final = 0.1
CUSTOM: Final = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The waits between attempts; when they run out, the delivery has failed."""

    name: str
    delays_s: tuple[float, ...]
    jitter_ratio: float = JITTER_RATIO
    gone_disables: bool = False  # a 410 ends the delivery and disables the endpoint

    def __post_init__(self) -> None:
        assert len(self.delays_s) <= limits.RETRY_DELAYS_MAX
        assert all(delay_s > 0 for delay_s in self.delays_s)
        assert 0 <= self.jitter_ratio < 1

    @property
    def attempts_max(self) -> int:
        """The first attempt plus one per delay."""
        return 1 + len(self.delays_s)

    @property
    def total_s(self) -> float:
        """From the first attempt to the last, before jitter and the attempts' own time."""
        return sum(self.delays_s)

    def delay_after(self, attempts_made: int, random: Random) -> float | None:
        """Return the seconds to wait after that many attempts, or None if it was the last."""
        assert attempts_made >= 1
        # More attempts than the policy has: it was shortened while the delivery was under way.
        if attempts_made >= self.attempts_max:
            return None
        # Jitter only ever adds. Taking some off would break the promise, made in the docs,
        # that an endpoint gets at least this long to recover.
        return self.delays_s[attempts_made - 1] * (1 + random.uniform(0, self.jitter_ratio))


# Standard Webhooks' list: ten attempts, the first at once, the last 75 h 35 min 5 s later,
# so that a receiver that breaks on Friday evening is still tried on Monday.
_STANDARD: Final = RetryPolicy(
    name="standard",
    delays_s=(
        5 * _SECOND,
        5 * _MINUTE,
        30 * _MINUTE,
        2 * _HOUR,
        5 * _HOUR,
        10 * _HOUR,
        14 * _HOUR,
        20 * _HOUR,
        24 * _HOUR,
    ),
    gone_disables=True,
)

# "Up to three times before it is marked as failed."
_OWNGATEWAY: Final = RetryPolicy(name="owngateway", delays_s=(_MINUTE, 5 * _MINUTE, 5 * _MINUTE))

# The original's default mapping: first after 60 s, then four frequencies; 24 h 1 min in all.
_HYPERSWITCH: Final = RetryPolicy(
    name="hyperswitch",
    delays_s=(
        _MINUTE,
        *(5 * _MINUTE,) * 2,
        *(10 * _MINUTE,) * 5,
        *(_HOUR,) * 5,
        *(6 * _HOUR,) * 3,
    ),
)

# Every minute, thirty times.
_TREEZOR: Final = RetryPolicy(name="treezor", delays_s=(_MINUTE,) * 30)

# Every 5 minutes for the first hour, every hour for the next 11, every 3 hours for the
# next 12, every 6 hours for the next 48: 35 retries over exactly 72 hours.
_MERCHANT_CONSOLE: Final = RetryPolicy(
    name="merchant-console",
    delays_s=(
        *(5 * _MINUTE,) * 12,
        *(_HOUR,) * 11,
        *(3 * _HOUR,) * 4,
        *(6 * _HOUR,) * 8,
    ),
)

# Three quick ones, then steps up to 8 hours, kept up until thirty days are full: the
# longest window in payments. 89 steps of 8 hours are the fewest that reach it.
_ADYEN_LIKE: Final = RetryPolicy(
    name="adyen-like",
    delays_s=(
        9 * _SECOND,
        18 * _SECOND,
        27 * _SECOND,
        2 * _MINUTE,
        5 * _MINUTE,
        10 * _MINUTE,
        15 * _MINUTE,
        30 * _MINUTE,
        _HOUR,
        2 * _HOUR,
        4 * _HOUR,
        *(8 * _HOUR,) * 89,
    ),
    gone_disables=True,
)

POLICIES: Final[Mapping[str, RetryPolicy]] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            _STANDARD,
            _OWNGATEWAY,
            _HYPERSWITCH,
            _TREEZOR,
            _MERCHANT_CONSOLE,
            _ADYEN_LIKE,
        )
    }
)
DEFAULT: Final = _STANDARD.name


def custom(delays_s: Sequence[float], *, pointer: str = "/retry_policy") -> RetryPolicy:
    """Return the policy for a list of waits of one's own. An empty list means one attempt.

    A 410 is a 4xx like any other under it: only the named policies that say so disable.

    Raises:
        InvalidError: names each wait that is refused, by its place under *pointer*.

    """
    if len(delays_s) > limits.RETRY_DELAYS_MAX:
        detail = f"At most {limits.RETRY_DELAYS_MAX} waits can be listed."
        raise InvalidError.at(pointer, "too_long", detail)
    least, most = RETRY_DELAY_S_MIN, limits.RETRY_DELAY_S_MAX
    faults = [
        Fault(
            pointer=f"{pointer}/{place}",
            code="out_of_range",
            detail=f"A wait is between {least} and {most} seconds.",
        )
        for place, delay_s in enumerate(delays_s)
        if not (isfinite(delay_s) and least <= delay_s <= most)
    ]
    if faults:
        raise InvalidError(faults)
    return RetryPolicy(name=CUSTOM, delays_s=tuple(delays_s))


def policy_of(endpoint: Endpoint, dialect_default: str) -> RetryPolicy:
    """Return the policy that holds: the endpoint's own list, its named one, its dialect's."""
    if endpoint.retry_delays_s is not None:
        return _custom_kept(endpoint.retry_delays_s)
    return POLICIES[endpoint.retry_policy or dialect_default]


# Asked once per attempt; building one anew each time would cost more than the decision.
@lru_cache(maxsize=1_024)
def _custom_kept(delays_s: tuple[float, ...]) -> RetryPolicy:
    return custom(delays_s)

"""How much each connector may bring of what nobody has verified: so many at once, then a rate.

In the memory of one process, for as many connectors as came last.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from payhooks.clock import Clock
from payhooks.errors import RateLimitedError
from payhooks.ids import ConnectorId
from payhooks.policy import throttle

_COUNTED_MAX: Final = 10_000


class Allowance(NamedTuple):
    """What each connector may do of one thing."""

    name: str  # each thing is counted apart
    per_s: float
    burst: int


class Allowances:
    """What connectors have left. One per process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tats: OrderedDict[tuple[ConnectorId, str], int] = OrderedDict()

    def spend(self, connector_id: ConnectorId, allowance: Allowance) -> None:
        """Count one.

        Raises:
            RateLimitedError: It was too many; nothing is counted.

        """
        now_us = int(self._clock.monotonic_s() * throttle.MICROSECONDS)
        account = (connector_id, allowance.name)
        tat_us = self._tats.pop(account, 0)
        rate = (allowance.per_s, allowance.burst)
        allowed = throttle.allowance(tat_us, now_us, *rate) > 0
        self._tats[account] = throttle.spend(tat_us, now_us, *rate, count=int(allowed))
        while len(self._tats) > _COUNTED_MAX:
            self._tats.popitem(last=False)
        if not allowed:
            detail = "Too many requests that cannot be verified came to this connector."
            raise RateLimitedError(detail, retry_after_s=1.0)

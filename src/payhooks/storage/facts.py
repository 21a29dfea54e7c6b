"""How much one page of event facts holds: an event with all of its deliveries, or not at all."""

from collections.abc import Sequence
from itertools import accumulate


def together(fan_outs: Sequence[int], deliveries_max: int) -> int:
    """Return how many of these events, from the first on, have so many deliveries; one at least."""
    within = sum(total <= deliveries_max for total in accumulate(fan_outs))
    return max(within, min(len(fan_outs), 1))

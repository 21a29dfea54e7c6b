"""How much of a replay stands in a lane: so little that live traffic goes first.

A lane sends what is longest due, whoever put it there. So a live event waits for what of a job
is due already, and no more is put there than the lane sends in a moment.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from payhooks import limits
from payhooks.ids import EndpointId
from payhooks.ports.controlling import LaneBacklog, Requeue

# Of everything, what waits for a retry too: the job stays cheap to cancel.
UNDONE_PER_LANE_MAX: Final = 100
# A worker comes round several times a second; with less in stock a fast job falls behind its rate.
UNDONE_PER_LANE_S: Final = 0.5
# What a lane has in flight at once; with less, a slow endpoint would be idle between two slices.
AHEAD_PER_LANE_MIN: Final = limits.IN_FLIGHT_PER_LANE
# For each that was sent since the last slice. One alone may run dry before the next one; and a
# lane that sends all it is given is given more and more.
AHEAD_PER_SENT: Final = 2
# Of an endpoint's own rate limit. A live event waits as long.
AHEAD_OF_LIMIT_S: Final = 1.0


class Room:
    """How many more deliveries of the job each lane may have in this slice."""

    def __init__(self, left: Callable[[EndpointId], int]) -> None:
        self._left_at_first = left
        self._left: dict[EndpointId, int] = {}

    def has(self, endpoint_id: EndpointId) -> bool:
        """Return whether the lane may have one more."""
        if endpoint_id not in self._left:
            self._left[endpoint_id] = self._left_at_first(endpoint_id)
        return self._left[endpoint_id] > 0

    def take(self, endpoint_id: EndpointId) -> bool:
        """Give the lane one more; return whether it had room for it."""
        if not self.has(endpoint_id):
            return False
        self._left[endpoint_id] -= 1
        return True


class Pace:
    """How fast each lane sends what a job puts there; kept by the process that advances it."""

    def __init__(self, rate_per_s: float) -> None:
        self._undone_max = max(UNDONE_PER_LANE_MAX, int(rate_per_s * UNDONE_PER_LANE_S))
        self._ahead = Counter[EndpointId]()  # when the last slice was on its way

    def room(self, backlog: Sequence[LaneBacklog], rate_limits: Mapping[EndpointId, float]) -> Room:
        """Return the room that lanes have now."""
        undone = Counter({one.endpoint_id: one.undone for one in backlog})
        ahead = Counter({one.endpoint_id: one.ahead for one in backlog})

        def left(lane: EndpointId) -> int:
            sent = self._ahead[lane] - ahead[lane]
            ahead_max = max(AHEAD_PER_LANE_MIN, sent * AHEAD_PER_SENT)
            if lane in rate_limits:
                ahead_max = min(ahead_max, max(int(rate_limits[lane] * AHEAD_OF_LIMIT_S), 1))
            return min(self._undone_max - undone[lane], ahead_max - ahead[lane])

        return Room(left)

    def note(self, backlog: Sequence[LaneBacklog], items: Sequence[Requeue]) -> None:
        """Remember what is ahead now that these are on their way too."""
        self._ahead = Counter({one.endpoint_id: one.ahead for one in backlog})
        self._ahead.update(item.endpoint_id for item in items)

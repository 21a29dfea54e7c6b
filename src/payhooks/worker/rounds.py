"""Whose turn it is: lanes in a row, and aside those of merchants that have their share.

However many stand aside, a slot that comes free costs one of them a move: each is let back
when there is room for it, and not all at once to be set aside again.
"""

from collections import deque

from payhooks.ids import MerchantId
from payhooks.worker.lanes import Lane


class Round:
    """Lanes that want a turn. A lane that has entered another since has none here."""

    def __init__(self) -> None:
        self._turns: deque[Lane] = deque()
        self._aside: dict[MerchantId, deque[Lane]] = {}

    def __bool__(self) -> bool:
        """Whether anybody has a turn."""
        return bool(self._turns)

    @property
    def aside(self) -> list[MerchantId]:
        """The merchants that have lanes set aside."""
        return list(self._aside)

    def enter(self, lane: Lane) -> None:
        """Give a lane a turn after all others, unless it has one or stands aside here."""
        if lane.queued_in is not self:
            lane.queued_in = self
            self._turns.append(lane)

    def take(self) -> Lane | None:
        """Take out the next lane; None where its turn was given up for one in another round."""
        lane = self._turns.popleft()
        if lane.queued_in is not self:
            return None
        lane.queued_in = None
        return lane

    def set_aside(self, lane: Lane) -> None:
        """Let a lane that was taken out wait until its merchant has room for it."""
        lane.queued_in = self
        self._aside.setdefault(lane.merchant_id, deque()).append(lane)

    def let_back(self, merchant_id: MerchantId) -> None:
        """Give the lane of this merchant that stands aside the longest, if any does, a turn."""
        lanes = self._aside.get(merchant_id)
        while lanes:
            lane = lanes.popleft()
            if not lanes:
                del self._aside[merchant_id]
            if lane.queued_in is self:
                self._turns.append(lane)
                return

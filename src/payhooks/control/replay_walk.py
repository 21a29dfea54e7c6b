"""The events that a slice of a replay walks over: read as it goes, and never too many.

Most slices find what they may send among the first events, so these are read first, and more only
while the slice looks for more. Where little is to be sent, or each event went to thousands of
endpoints, a walk ends early; the next slice goes on behind it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from payhooks import ids, limits
from payhooks.control.context import Control
from payhooks.ids import DeliveryId, EventId
from payhooks.model.replay import Replay, ReplayFilter
from payhooks.ports.reading import EventFacts

# Of one walk; a slice has three at most. With few endpoints the number of events ends it earlier.
DELIVERIES_PER_WALK_MAX: Final = 10 * limits.FACTS_DELIVERIES_MAX
# Each page is so many times the last one: few reads, and few times what had to be looked at.
_GROWTH: Final = 4
# For each event of a page. Most merchants have fewer endpoints; with more, fewer events are read.
_DELIVERIES_PER_EVENT: Final = 10


class Walk:
    """Events from that of the delivery *reached* on, up to that of *until*."""

    def __init__(
        self,
        control: Control,
        replay: Replay,
        *,
        reached: bytes | None,
        until: bytes | None = None,
        budget: int,
    ) -> None:
        """Take the bounds; *budget* deliveries are all that it looks for."""
        assert budget >= 1
        self._control = control
        self._replay = replay
        self._after, self._before = bounds(replay.filter, replay.created_at)
        if reached is not None:
            self._after = _before_what_is_left(DeliveryId(reached))
        if until is not None:
            self._before = _beside(ids.event_id_of(DeliveryId(until)), 1)
        self._events_next = budget
        self._events_left = limits.SLICE_ROWS_MAX
        self._deliveries_left = DELIVERIES_PER_WALK_MAX
        self.ended = False  # nothing lies behind what was read, up to the end

    async def page(self) -> Sequence[EventFacts]:
        """Return the next events; none where the walk ends, or has gone far enough."""
        if self.ended or self._events_left <= 0 or self._deliveries_left <= 0:
            return ()
        limit = min(self._events_next, self._events_left)
        page = await self._control.store.event_facts(
            self._replay.merchant_id,
            after=self._after,
            before=self._before,
            limit=limit,
            deliveries_max=min(limit * _DELIVERIES_PER_EVENT, limits.FACTS_DELIVERIES_MAX),
        )
        self.ended = page.ended
        self._events_next *= _GROWTH
        self._events_left -= len(page.events)
        self._deliveries_left -= sum(len(event.deliveries) for event in page.events)
        if page.events:
            self._after = page.events[-1].id
        return page.events


def bounds(filter_: ReplayFilter, now: datetime) -> tuple[EventId | None, EventId]:
    """Return the ids between which events lie, both exclusive."""
    gte = filter_.created_gte
    after = None if gte is None else _beside(EventId(ids.first_id_at(gte)), -1)
    return after, EventId(ids.first_id_at(filter_.created_lt or now))


def _before_what_is_left(reached: DeliveryId) -> EventId:
    """Return the id of the last event that is done; of that of *reached* more may be to do."""
    event_id = ids.event_id_of(reached)
    done = reached == ids.last_delivery_id_of(event_id)
    return event_id if done else _beside(event_id, -1)


def _beside(event_id: EventId, step: int) -> EventId:
    number = int.from_bytes(event_id, "big") + step
    return EventId(max(number, 0).to_bytes(len(event_id), "big"))

"""Payment objects: what their events tell of them, and where each of those events went.

Nothing of an object is stored but its events: who looks folds them (docs/adr/0014).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from payhooks.catalogue import Catalogue
from payhooks.catalogue.object_state import ObjectState, fold
from payhooks.control.context import Control
from payhooks.errors import NotFoundError
from payhooks.ids import DeliveryId, MerchantId
from payhooks.model.delivery import Delivery
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter, StoredEvent

# A payment has some dozens. The newest of more: what is shown must not cost what is stored.
OBJECT_EVENTS_MAX: Final = 1_000
# Read at once for somebody who looks: a thousand events of the largest size would be 256 MiB.
OBJECT_BYTES_MAX: Final = 16 * 1024 * 1024
_EVENTS_AT_ONCE: Final = 100
DELIVERIES_SHOWN_MAX: Final = 50  # of one event; all of them are in its own list


class ObjectStory(msgspec.Struct, frozen=True, kw_only=True):
    """An object, with all of its events that were read."""

    type: str
    id: str
    state: ObjectState
    events: tuple[StoredEvent, ...]  # newest first
    complete: bool  # False: it has more, which are older, and the state goes by these alone


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery of an event, and what its newest attempt was answered with."""

    delivery: Delivery
    last_status: int | None


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An event of an object, and where it went."""

    stored: StoredEvent
    sent: tuple[Sent, ...]  # by endpoint, the newest first
    has_more: bool  # whether it went to more endpoints than are told


async def find(
    control: Control, merchant_id: MerchantId, object_id: str, *, book: Catalogue
) -> list[ObjectStory]:
    """Return every object of the merchant with this id, of whatever type, by type."""
    events, complete = await _read(control, merchant_id, object_id)
    of_type: dict[str, list[StoredEvent]] = {}
    for stored in events:
        of_type.setdefault(stored.event.object_type or "", []).append(stored)
    return [
        ObjectStory(
            type=type_,
            id=object_id,
            state=_folded(control, [stored.event for stored in found], book),
            events=tuple(found),
            complete=complete,
        )
        for type_, found in sorted(of_type.items())
    ]


async def story(
    control: Control, merchant: Merchant, object_type: str, object_id: str, *, book: Catalogue
) -> ObjectStory:
    """Return the merchant's object of this type and id.

    Raises:
        NotFoundError: No event was about it, or it is another merchant's.

    """
    for found in await find(control, merchant.id, object_id, book=book):
        if found.type == object_type:
            return found
    raise NotFoundError("There is no such object.")


async def timeline(
    control: Control, merchant: Merchant, events: Sequence[StoredEvent]
) -> list[TimelineEntry]:
    """Return where each of a page of events went, as it is now."""
    made: list[tuple[StoredEvent, list[Delivery]]] = []
    for stored in events:
        window = Window(limit=DELIVERIES_SHOWN_MAX + 1)
        found = await control.store.deliveries_of(merchant.id, stored.event.id, window)
        made.append((stored, found))
    shown = [one.id for _, found in made for one in found[:DELIVERIES_SHOWN_MAX]]
    statuses = await control.store.last_statuses(merchant.id, shown) if shown else {}
    return [
        TimelineEntry(
            stored=stored,
            sent=tuple(_sent(one, statuses) for one in found[:DELIVERIES_SHOWN_MAX]),
            has_more=len(found) > DELIVERIES_SHOWN_MAX,
        )
        for stored, found in made
    ]


async def _read(
    control: Control, merchant_id: MerchantId, object_id: str
) -> tuple[list[StoredEvent], bool]:
    """Return the newest events about the id, newest first, and whether those are all."""
    events: list[StoredEvent] = []
    read_bytes = 0
    filter_ = EventFilter(object_id=object_id)
    while len(events) < OBJECT_EVENTS_MAX and read_bytes < OBJECT_BYTES_MAX:
        after = events[-1].event.id if events else None
        window = Window(limit=_EVENTS_AT_ONCE, after=after)
        page = await control.store.events(merchant_id, filter_, window)
        events += page
        read_bytes += sum(len(stored.event.data) for stored in page)
        if len(page) < _EVENTS_AT_ONCE:
            return events, True
    last = Window(limit=1, after=events[-1].event.id)
    return events, not await control.store.events(merchant_id, filter_, last)


def _folded(control: Control, newest_first: Sequence[Event], book: Catalogue) -> ObjectState:
    return fold(reversed(newest_first), book, now=control.clock.now())


def _sent(delivery: Delivery, statuses: dict[DeliveryId, int | None]) -> Sent:
    return Sent(delivery=delivery, last_status=statuses.get(delivery.id))

"""Payment objects: what their events tell of them, and where each of those events went.

Nothing of an object is stored but its events: who looks folds them (docs/adr/0014).
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from payhooks.catalogue import Catalogue
from payhooks.catalogue.object_state import Look, ObjectState, fold_in_steps
from payhooks.control.context import Control
from payhooks.errors import NotFoundError
from payhooks.ids import DeliveryId, MerchantId
from payhooks.model.delivery import Delivery
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter, StoredEvent

# A payment has some dozens. The newest of more: what is shown must not cost what is stored.
OBJECT_EVENTS_MAX: Final = 1_000
# Read at once for somebody who looks: a thousand events of the largest size would be 256 MiB.
OBJECT_BYTES_MAX: Final = 4 * 1024 * 1024
_EVENTS_AT_ONCE: Final = 20  # of the largest size, 5 MiB are in hand at once
DELIVERIES_SHOWN_MAX: Final = 50  # of one event; all of them are in its own list
RECEIPTS_SHOWN_MAX: Final = 50  # the newest linked to an object; beside what told its events
NAMES_MAX: Final = 20  # objects of one name, and names of one object


class ObjectEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of the events about an id, of whatever type."""

    events: tuple[StoredEvent, ...]  # newest first
    complete: bool  # False: there are more, which are older


class ObjectStory(msgspec.Struct, frozen=True, kw_only=True):
    """An object, with all of its events that were read."""

    type: str
    id: str
    state: ObjectState
    events: tuple[StoredEvent, ...]  # newest first
    complete: bool  # False: it has more, which are older, and the state goes by these alone
    # Of a look at the object itself: what connectors brought of it, the newest first, and what
    # others call it.
    receipts: tuple[Receipt, ...] = ()
    receipts_complete: bool = True  # False: there are more, which are older
    references: tuple[str, ...] = ()


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
    """Return every object of the merchant with this id, of whatever type, by type.

    Where there is none, those that somebody calls so.
    """
    found = await read(control, merchant_id, object_id, bytes_max=OBJECT_BYTES_MAX)
    types = sorted({stored.event.object_type or "" for stored in found.events})
    stories = [await folded(control, object_id, type_, found, book=book) for type_ in types]
    told = [await _with_heard(control, merchant_id, one) for one in stories if one is not None]
    return told or await called(control, merchant_id, object_id, book=book)


async def called(
    control: Control, merchant_id: MerchantId, reference: str, *, book: Catalogue
) -> list[ObjectStory]:
    """Return the objects that somebody calls so: the merchant's order, the provider's number."""
    told = []
    for one in await control.store.objects_called(merchant_id, reference, limit=NAMES_MAX):
        found = await read(control, merchant_id, one.object_id, bytes_max=OBJECT_BYTES_MAX)
        story_ = await folded(control, one.object_id, one.object_type, found, book=book)
        if story_ is not None:
            told.append(await _with_heard(control, merchant_id, story_))
    return told


async def story(
    control: Control, merchant: Merchant, object_type: str, object_id: str, *, book: Catalogue
) -> ObjectStory:
    """Return the merchant's object of this type and id.

    Raises:
        NotFoundError: No event was about it, or it is another merchant's.

    """
    found = await read(control, merchant.id, object_id, bytes_max=OBJECT_BYTES_MAX)
    told = await folded(control, object_id, object_type, found, book=book)
    if told is None:
        raise NotFoundError("There is no such object.")
    return await _with_heard(control, merchant.id, told)


async def read(
    control: Control,
    merchant_id: MerchantId,
    object_id: str,
    *,
    bytes_max: int,
    types: tuple[str, ...] = (),
) -> ObjectEvents:
    """Return the newest events about the id: so many bytes of data, or the first alone.

    Of these types, where some are named.
    """
    events: list[StoredEvent] = []
    bytes_left = bytes_max
    filter_ = EventFilter(object_id=object_id, types=types)
    while len(events) < OBJECT_EVENTS_MAX:
        after = events[-1].event.id if events else None
        window = Window(limit=_EVENTS_AT_ONCE, after=after)
        page = await control.store.events(merchant_id, filter_, window)
        for stored in page:
            bytes_left -= len(stored.event.data)
            if bytes_left < 0 and events:
                return ObjectEvents(events=tuple(events), complete=False)
            events.append(stored)
        if len(page) < _EVENTS_AT_ONCE:
            return ObjectEvents(events=tuple(events), complete=True)
    last = Window(limit=1, after=events[-1].event.id)
    older = await control.store.events(merchant_id, filter_, last)
    return ObjectEvents(events=tuple(events), complete=not older)


async def folded(  # noqa: PLR0913 - what, of what, over what, and for whom
    control: Control,
    object_id: str,
    object_type: str,
    found: ObjectEvents,
    *,
    book: Catalogue,
    look: Look | None = None,
) -> ObjectStory | None:
    """Return the object of one type of those that were read; None where no event is about it.

    Others come to work in between. *look* sees each event's entry beside its data.
    """
    events = tuple(one for one in found.events if (one.event.object_type or "") == object_type)
    if not events:
        return None
    heard = [stored.event for stored in reversed(events)]
    steps = fold_in_steps(heard, book, now=control.clock.now(), look=look)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            state: ObjectState = done.value
            return ObjectStory(
                type=object_type,
                id=object_id,
                state=state,
                events=events,
                complete=found.complete,
            )
        await asyncio.sleep(0)


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


async def _with_heard(control: Control, merchant_id: MerchantId, told: ObjectStory) -> ObjectStory:
    window = Window(limit=RECEIPTS_SHOWN_MAX + 1)
    receipts = await control.store.receipts_about(merchant_id, told.type, told.id, window)
    names = await control.store.references_of(merchant_id, told.type, told.id, limit=NAMES_MAX)
    return msgspec.structs.replace(
        told,
        receipts=tuple(receipts[:RECEIPTS_SHOWN_MAX]),
        receipts_complete=len(receipts) <= RECEIPTS_SHOWN_MAX,
        references=tuple(one.reference for one in names),
    )


def _sent(delivery: Delivery, statuses: dict[DeliveryId, int | None]) -> Sent:
    return Sent(delivery=delivery, last_status=statuses.get(delivery.id))

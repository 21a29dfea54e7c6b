"""Payments: what became of one, by what it is called, and whether every webhook heard of it.

Not of payments alone: whatever events are about is found here, a refund or a card as well. An id
may have any character in it, so it is in the query and not in the path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from payhooks import ids
from payhooks.catalogue.life_cycle import START
from payhooks.catalogue.object_state import Entry, Mark
from payhooks.console.evidence import pretty
from payhooks.console.listing import Listed, labelled, part_of, searched, window_of
from payhooks.console.page import ROOT, Factor, Visit, page
from payhooks.control import objects, trails
from payhooks.control.deliveries import status_of
from payhooks.control.objects import (
    OBJECT_EVENTS_MAX,
    RECEIPTS_SHOWN_MAX,
    ObjectStory,
    TimelineEntry,
)
from payhooks.control.trails import Step
from payhooks.limits import OBJECT_ID_CHARS_MAX
from payhooks.model.key import Scope

_PAGE: Final = "/payments"
_BY_TIME: Final = "time"
# In the words of who looks for a payment at night.
MARKS: Final = {
    Mark.SUPERSEDED: ("late", "It came late: newer news of this had come before."),
    Mark.CORRECTION: ("correction", "A correction: what was final is not any more."),
    Mark.IRREGULAR: ("unexpected", "Unexpected in this state; taken as it was told."),
    Mark.REPEATED: ("repeated", "Told once more, in the state that it had brought about."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of an object: what it did, and where it went."""

    entry: Entry
    went: TimelineEntry

    @property
    def did(self) -> str:
        """What it did, in words; the states are the catalogue's."""
        entry = self.entry
        if entry.kind is None:
            return "What it does to an object is not known."
        if not entry.moved:
            return "Nothing came of it." if entry.after == START else f"It stays {entry.after}."
        if entry.before == START:
            return f"It began as {entry.after}."
        return f"From {entry.before} to {entry.after}."

    @property
    def receipt(self) -> str:
        """The printed id of the receipt that it follows from; empty of one that was published."""
        found = trails.receipt_of(self.went.stored)
        return "" if found is None else ids.to_text(ids.RECEIPT, found)

    @property
    def tone(self) -> str:
        """How its deliveries fare, as a class of the style sheet."""
        tones = {"failed": "bad", "pending": "wait", "delivered": "good"}
        return tones.get(self.went.stored.status, "plain")


@page("GET", _PAGE, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def payments(visit: Visit) -> Response:
    """Ask for an id, or show what it is of."""
    book = await visit.parts.book.current()
    object_id, object_type = visit.query.get("id", ""), visit.query.get("type")
    if object_type is not None:
        story = await objects.story(
            visit.control, visit.merchant, object_type, object_id, book=book
        )
        return await _show(visit, story)
    # Pasted, it brings blanks with it.
    wanted = object_id.strip()
    if not wanted:
        return _ask(visit, "", [])
    place = searched(wanted)
    if not place.startswith("/events?"):
        return visit.go(place)
    found = await objects.find(visit.control, visit.merchant.id, wanted, book=book)
    if len(found) == 1:
        # Not sent on to its own address: it would be read and folded once more.
        return await _show(visit, found[0])
    return _ask(visit, wanted, found)


def address_of(object_type: str, object_id: str) -> str:
    """Return where, below /console, an object has its page."""
    return f"{_PAGE}?{urlencode({'id': object_id, 'type': object_type})}"


def _ask(visit: Visit, object_id: str, found: Sequence[ObjectStory]) -> Response:
    return visit.show(
        "objects/find.html",
        title="Payments",
        wanted=object_id,
        found=found,
        address_of=address_of,
        id_chars_max=OBJECT_ID_CHARS_MAX,
        sees_overdue=visit.may(Scope.CONNECTORS_READ),
    )


async def _show(visit: Visit, story: ObjectStory) -> Response:
    by_time = visit.query.get("view") == _BY_TIME
    # By the provider's time, as they were folded, or by ours.
    entries = list(reversed(story.state.entries))
    if by_time:
        entries.sort(key=lambda entry: entry.event.id, reverse=True)
    shown = part_of(visit, ids.EVENT, entries, id_of=lambda entry: entry.event.id)
    stored = {one.event.id: one for one in story.events}
    timeline = await objects.timeline(
        visit.control, visit.merchant, [stored[entry.event.id] for entry in shown.items]
    )
    state, pay_back = story.state, story.state.pay_back
    deliveries = [sent.delivery for one in timeline for sent in one.sent]
    endpoints = await labelled(visit, [one.endpoint_id for one in deliveries])
    place = f"{ROOT}{address_of(story.type, story.id)}"
    return visit.show(
        "objects/one.html",
        title=story.id,
        story=story,
        state=state,
        heard=[one.event.created_at for one in (story.events[-1], story.events[0])],
        events_max=OBJECT_EVENTS_MAX,
        receipts_max=RECEIPTS_SHOWN_MAX,
        views=[
            (place, "What was told of it", not by_time),
            (f"{place}&view={_BY_TIME}", "All by time", by_time),
        ],
        steps=await _steps(visit, story, shown, timeline) if by_time else [],
        by_time=by_time,
        told=[
            Told(entry=entry, went=went) for entry, went in zip(shown.items, timeline, strict=True)
        ],
        pages=shown,
        marks=MARKS,
        pay_back="" if pay_back is None else pretty(msgspec.json.encode(pay_back)),
        endpoints=endpoints,
        labels={ids.to_text(ids.ENDPOINT, one.id): one.label for one in endpoints.values()},
        status_of=status_of,
        sees_receipts=visit.may(Scope.CONNECTORS_READ),
    )


async def _steps(
    visit: Visit, story: ObjectStory, shown: Listed[Entry], timeline: Sequence[TimelineEntry]
) -> list[Step]:
    """Return all that happened about a page of events, with its receipts."""
    part = trails.Page(
        entries=timeline,
        after=window_of(visit, ids.EVENT).after,
        has_more=shown.next is not None,
    )
    return await trails.trail(visit.control, visit.merchant, story, part)

"""All that happened about an object, in one list: from what a provider sent to what answered.

A step is a receipt, an event, a delivery or an attempt, and names the step that it came of.
"""

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from payhooks import ids
from payhooks.control.context import Control
from payhooks.control.deliveries import status_of
from payhooks.control.objects import ObjectStory, Sent, TimelineEntry
from payhooks.dialects.reading import decode_members, scalar_text
from payhooks.ids import ReceiptId
from payhooks.model.attempt import Attempt
from payhooks.model.merchant import Merchant
from payhooks.model.receipt import Receipt
from payhooks.ports.reading import StoredEvent

# Each is a look of its own; of more, the deliveries alone are told.
ATTEMPTS_OF_MAX: Final = 50


class Kind(StrEnum):
    """What a step is; each comes of one before it."""

    RECEIPT = "receipt"
    EVENT = "event"
    DELIVERY = "delivery"
    ATTEMPT = "attempt"


_DEPTH: Final = {kind: depth for depth, kind in enumerate(Kind)}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    at: datetime
    kind: Kind
    id: str  # as it is printed
    of: str | None  # the printed id of what it came of
    name: str | None  # the event in words, or the endpoint that it went to
    status: str
    detail: str | None  # why, in a word or a sentence
    http_status: int | None  # what a provider was answered, or what a receiver answered


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page of an object's events, and where it lies among the others."""

    entries: Sequence[TimelineEntry]  # the newest first
    after: bytes | None  # the id of the last event of the page before; None: it is the first page
    has_more: bool  # older events are on the next page

    def spans(self, receipt_id: ReceiptId) -> bool:
        """Whether a receipt came in its time; the last page goes back to the beginning."""
        # Ids tell of time, whatever they are of.
        if self.after is not None and receipt_id >= self.after:
            return False
        return not self.has_more or receipt_id > self.entries[-1].stored.event.id


async def trail(control: Control, merchant: Merchant, story: ObjectStory, page: Page) -> list[Step]:
    """Return the steps of a page of the object's events, the newest first.

    With the receipts that told these events, and the newest others that came on this page.
    """
    receipts = await _receipts(control, merchant, story, page)
    steps = [_of_receipt(receipt) for receipt in receipts]
    told_by = {receipt.id for receipt in receipts}
    looks_left = ATTEMPTS_OF_MAX
    for entry in page.entries:
        steps.append(_of_event(entry.stored, told_by))
        for sent in entry.sent:
            steps.append(_of_delivery(sent))
            if sent.delivery.attempts_made and looks_left:
                looks_left -= 1
                found = await control.store.delivery_with_attempts(merchant.id, sent.delivery.id)
                steps += [_of_attempt(one) for one in (found[1] if found else ())]
    return sorted(steps, key=lambda step: (step.at, _DEPTH[step.kind], step.id), reverse=True)


async def _receipts(
    control: Control, merchant: Merchant, story: ObjectStory, page: Page
) -> list[Receipt]:
    told = _named(entry.stored for entry in page.entries)
    # A receipt stands with its event, on whatever page that is; else it would look like two.
    elsewhere = _named(story.events) - told
    found = [
        receipt
        for receipt in story.receipts
        if receipt.id in told or (receipt.id not in elsewhere and page.spans(receipt.id))
    ]
    # A provider may repeat itself so often that what told an event is not among the newest.
    left = told - {receipt.id for receipt in found}
    if left:
        found += await control.store.linked_receipts(merchant.id, story.type, story.id, left)
    return found


def _named(events: Iterable[StoredEvent]) -> set[ReceiptId]:
    return {id_ for id_ in map(receipt_of, events) if id_ is not None}


def _of_receipt(receipt: Receipt) -> Step:
    return Step(
        at=receipt.received_at,
        kind=Kind.RECEIPT,
        id=ids.to_text(ids.RECEIPT, receipt.id),
        of=None,
        name=receipt.word,
        status=receipt.state,
        detail=receipt.detail or receipt.reason,
        http_status=receipt.answered,
    )


def _of_event(stored: StoredEvent, told_by: Container[ReceiptId]) -> Step:
    event = stored.event
    receipt = receipt_of(stored)
    return Step(
        at=ids.made_at(event.id),
        kind=Kind.EVENT,
        id=ids.to_text(ids.EVENT, event.id),
        of=ids.to_text(ids.RECEIPT, receipt)
        if receipt is not None and receipt in told_by
        else None,
        name=event.type,
        status=stored.status,
        detail=None,
        http_status=None,
    )


def receipt_of(stored: StoredEvent) -> ReceiptId | None:
    """Return which receipt an event says it follows from. Whoever publishes may say so too."""
    if stored.event.metadata is None:
        return None
    # Nothing else is read: it is the publisher's own, and may have numbers that no decoder takes.
    said = decode_members(stored.event.metadata).get("receipt")
    if said is None or bytes(said)[:1] != b'"':
        return None
    found = ids.from_text(ids.RECEIPT, scalar_text(said) or "")
    return None if found is None else ReceiptId(found)


def _of_delivery(sent: Sent) -> Step:
    delivery = sent.delivery
    return Step(
        at=ids.made_at(delivery.id),
        kind=Kind.DELIVERY,
        id=ids.to_text(ids.DELIVERY, delivery.id),
        of=ids.to_text(ids.EVENT, ids.event_id_of(delivery.id)),
        name=ids.to_text(ids.ENDPOINT, delivery.endpoint_id),
        status=status_of(delivery),
        detail=delivery.reason,
        http_status=None,
    )


def _of_attempt(attempt: Attempt) -> Step:
    return Step(
        at=attempt.at,
        kind=Kind.ATTEMPT,
        id=ids.attempt_text(attempt.delivery_id, attempt.fence, late=attempt.late),
        of=ids.to_text(ids.DELIVERY, attempt.delivery_id),
        name=None,
        status="succeeded" if attempt.reason is None else "failed",
        detail=attempt.detail or attempt.reason,
        http_status=attempt.status,
    )

"""All that happened about an object, in one list: from what a provider sent to what answered.

A step is a receipt, an event, a delivery or an attempt, and names the step that it came of.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from payhooks import ids
from payhooks.control.context import Control
from payhooks.control.deliveries import status_of
from payhooks.control.objects import Sent, TimelineEntry
from payhooks.dialects.reading import decode_members, scalar_text
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


async def trail(
    control: Control,
    merchant: Merchant,
    receipts: Sequence[Receipt],
    entries: Sequence[TimelineEntry],
) -> list[Step]:
    """Return the steps of these receipts and events, the newest first."""
    steps = [_of_receipt(receipt) for receipt in receipts]
    told_by = {step.id for step in steps}
    looks_left = ATTEMPTS_OF_MAX
    for entry in entries:
        steps.append(_of_event(entry.stored, told_by))
        for sent in entry.sent:
            steps.append(_of_delivery(sent))
            if sent.delivery.attempts_made and looks_left:
                looks_left -= 1
                found = await control.store.delivery_with_attempts(merchant.id, sent.delivery.id)
                steps += [_of_attempt(one) for one in (found[1] if found else ())]
    return sorted(steps, key=lambda step: (step.at, _DEPTH[step.kind], step.id), reverse=True)


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


def _of_event(stored: StoredEvent, told_by: set[str]) -> Step:
    event = stored.event
    receipt = receipt_of(stored)
    return Step(
        at=ids.made_at(event.id),
        kind=Kind.EVENT,
        id=ids.to_text(ids.EVENT, event.id),
        of=receipt if receipt in told_by else None,
        name=event.type,
        status=stored.status,
        detail=None,
        http_status=None,
    )


def receipt_of(stored: StoredEvent) -> str | None:
    """Return what an event that a receipt tells says of it. Others may say so too."""
    if stored.event.metadata is None:
        return None
    # Nothing else is read: it is the publisher's own, and may have numbers that no decoder takes.
    found = decode_members(stored.event.metadata).get("receipt")
    return scalar_text(found) if found is not None and bytes(found)[:1] == b'"' else None


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

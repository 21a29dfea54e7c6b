"""From payment objects to what callers read."""

import msgspec

from payhooks import ids
from payhooks.api.views import View, time
from payhooks.catalogue.object_state import Entry
from payhooks.control.deliveries import status_of
from payhooks.control.objects import ObjectStory, Sent, TimelineEntry
from payhooks.control.trails import Step


def summary(story: ObjectStory) -> View:
    """Return an object without its events."""
    state = story.state
    return {
        "type": story.type,
        "id": story.id,
        "family": None if state.kind is None else state.kind.family,
        "state": state.state,
        "words": state.words,
        "unified": None if state.unified is None else msgspec.to_builtins(state.unified),
        "since": time(state.since),
        "final": state.final,
        "delayed": state.delayed,
        "corrections": state.corrections,
        "pay_back": state.pay_back,
        "references": story.references,
        "events": len(story.events),
        "complete": story.complete,
    }


def history_entry(entry: Entry) -> View:
    """Return what one event did to its object."""
    return {
        "event_id": ids.to_text(ids.EVENT, entry.event.id),
        "type": entry.event.type,
        "family": entry.event.family,
        "occurred_at": time(entry.event.occurred_at),
        "created_at": time(entry.event.created_at),
        "before": entry.before if entry.kind is not None else None,
        "after": entry.after if entry.kind is not None else None,
        "marks": entry.marks,
    }


def timeline_entry(entry: TimelineEntry) -> View:
    """Return an event of an object and where it went."""
    event = entry.stored.event
    return {
        "event_id": ids.to_text(ids.EVENT, event.id),
        "type": event.type,
        "family": event.family,
        "occurred_at": time(event.occurred_at),
        "created_at": time(event.created_at),
        "status": entry.stored.status,
        "deliveries": [_sent(one) for one in entry.sent],
        "has_more": entry.has_more,
    }


def step(value: Step) -> View:
    """Return one thing that happened."""
    return {
        "at": time(value.at),
        "kind": value.kind,
        "id": value.id,
        "of": value.of,
        "name": value.name,
        "status": value.status,
        "detail": value.detail,
        "http_status": value.http_status,
    }


def _sent(one: Sent) -> View:
    delivery = one.delivery
    return {
        "id": ids.to_text(ids.DELIVERY, delivery.id),
        "endpoint_id": ids.to_text(ids.ENDPOINT, delivery.endpoint_id),
        "status": status_of(delivery),
        "attempts_made": delivery.attempts_made,
        "last_status": one.last_status,
        "reason": delivery.reason,
    }

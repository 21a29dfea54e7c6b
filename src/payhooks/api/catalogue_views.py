"""From the catalogue to what callers read: event types, and what their objects go through."""

import msgspec

from payhooks.api.views import View, time
from payhooks.catalogue import Catalogue
from payhooks.catalogue.life_cycle import LifeCycle, ObjectKind, Transition, Unified
from payhooks.model.event_type import PROVENANCE_SENTENCES, EventType


def event_type(value: EventType, book: Catalogue) -> View:
    """Return an event type as lists have it: all but what takes much room."""
    family = book.families.get(value.family)
    return {
        "family": value.family,
        "family_title": value.family if family is None else family.title,
        "name": value.name,
        "title": value.title,
        "words": value.words,
        "note": value.note,
        "solution": value.solution,
        "object_type": value.object_type or None,
        "aliases": value.aliases,
        "provenance": value.provenance,
        "provenance_text": PROVENANCE_SENTENCES[value.provenance],
        "version": value.version,
        "created_at": time(value.created_at),
    }


def event_type_in_full(value: EventType, book: Catalogue) -> View:
    """Return an event type with schema, example, and what its object goes through."""
    kind = book.kind_of(value)
    return {
        **event_type(value, book),
        "schema": None if value.schema is None else msgspec.Raw(value.schema),
        "example": None if value.example is None else msgspec.Raw(value.example),
        "object": None if kind is None else _object(kind),
    }


def _object(kind: ObjectKind) -> View:
    return {
        "type": kind.object,
        "title": kind.title,
        "words": kind.words,
        "life_cycle": _life_cycle(kind.life_cycle),
        "unified": [_unified(row) for row in kind.unified],
    }


def _life_cycle(cycle: LifeCycle) -> View:
    return {
        "states": [
            {"name": name, "words": words, "final": name in cycle.final}
            for name, words in cycle.states.items()
        ],
        "transitions": [_transition(row) for row in cycle.transitions],
    }


def _transition(row: Transition) -> View:
    return {
        "event": row.event,
        "from": row.sources,
        "to": row.to,
        "when": dict(row.when),
        "words": row.words,
    }


def _unified(row: Unified) -> View:
    return {"state": row.state, "after": row.after, "event": row.event, "why": row.why}

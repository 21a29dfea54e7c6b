"""What callers say and read of event types."""

from typing import Any

from pydantic import Field

from payhooks.api.schemas.base import Body, JsonObject, View
from payhooks.model.event_type import Provenance


class EventTypeCreate(Body):
    """A type of the operator's own."""

    family: str
    name: str
    words: str
    schema_: JsonObject | None = Field(
        default=None,
        alias="schema",
        description="JSON Schema 2020-12 of `data`; refers to itself only.",
    )
    example: JsonObject | None = Field(default=None, description="Satisfies the schema.")


class EventTypeEdit(Body):
    """What is left out keeps its value."""

    words: str = ""
    schema_: JsonObject | None = Field(default=None, alias="schema")
    example: JsonObject | None = None


class EventTypeView(View):
    """An event type."""

    family: str
    family_title: str
    name: str
    title: str = Field(description="The heading under which its source has it.")
    words: str = Field(description="The source's, to the letter.")
    note: str = Field(description="What the source leaves out.")
    solution: str
    object_type: str | None = Field(description="What publishers name in `object.type`.")
    aliases: list[str] = Field(description="Other names under which it may be published.")
    provenance: Provenance
    provenance_text: str
    version: int
    created_at: str | None = Field(description="Of the operator's own types.")


class EventTypesView(View):
    """The catalogue."""

    data: list[EventTypeView]


class StateView(View):
    """A state of an object."""

    name: str
    words: str
    final: bool


class TransitionView(View):
    """What an event does to an object that is in one of the states."""

    event: str
    from_: list[str] = Field(alias="from", description="`start`: not heard of before.")
    to: str | None = Field(description="null: it stays where it is.")
    when: dict[str, Any] = Field(description="What stands in `data`, by JSON pointer.")
    words: str


class LifeCycleView(View):
    """The states of an object, and what moves it."""

    states: list[StateView]
    transitions: list[TransitionView]


class UnifiedView(View):
    """What a state means in the unified events, or why it means nothing there."""

    state: str
    after: str | None = Field(description="Only if this event brought it there.")
    event: str | None
    why: str | None


class ObjectKindView(View):
    """What an event type is about."""

    type: str
    title: str
    words: str
    life_cycle: LifeCycleView
    unified: list[UnifiedView]


class EventTypeInFullView(EventTypeView):
    """An event type with all that is known of it."""

    schema_: JsonObject | None = Field(alias="schema")
    example: JsonObject | None
    object: ObjectKindView | None = Field(description="null for the operator's own types.")


class EventTypesInFullView(View):
    """One per family that has the word."""

    data: list[EventTypeInFullView]

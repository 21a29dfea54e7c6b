"""What callers read of payment objects."""

from typing import Any, Literal

from pydantic import Field

from payhooks.api.schemas.base import Page, View
from payhooks.api.schemas.catalogue import UnifiedView
from payhooks.api.schemas.delivery_responses import DeliveryStatus
from payhooks.control.trails import Kind
from payhooks.model.attempt import Reason


class ObjectSummaryView(View):
    """A payment object as its events tell of it."""

    type: str
    id: str
    family: str | None = Field(description="Whose word the state is.")
    state: str | None = Field(description="null: no event about it has a life cycle.")
    words: str | None = Field(description="A sentence for people about the state.")
    unified: UnifiedView | None = Field(description="What the state means in the unified events.")
    since: str | None
    final: bool
    delayed: bool = Field(description="It has been in processing for longer than is usual.")
    corrections: int = Field(description="How often a final state was left again.")
    pay_back: Any = Field(description="What the newest event's data has under that name.")
    references: list[str] = Field(
        description="What others call it: the merchant's order, the provider's numbers."
    )
    events: int = Field(description="How many were read.")
    complete: bool = Field(description="false: there are older ones, of which nothing is told.")


class ObjectsView(View):
    """Every object with one id, by type."""

    data: list[ObjectSummaryView]


class HistoryEntryView(View):
    """What one event did to its object."""

    event_id: str
    type: str
    family: str
    occurred_at: str | None
    created_at: str
    before: str | None = Field(description="`start`: not heard of before. null: no life cycle.")
    after: str | None
    marks: list[Literal["superseded", "correction", "irregular", "repeated"]]


class SentView(View):
    """Where an event went."""

    id: str
    endpoint_id: str
    status: DeliveryStatus
    attempts_made: int
    last_status: int | None = Field(description="What the newest attempt was answered with.")
    reason: Reason | None


class TimelineEntryView(View):
    """An event and where it went."""

    event_id: str
    type: str
    family: str
    occurred_at: str | None
    created_at: str
    status: str
    deliveries: list[SentView]
    has_more: bool = Field(description="It went to more endpoints than are told here.")


class TimelinePage(Page):
    """Events, newest first."""

    data: list[TimelineEntryView]


class TrailStepView(View):
    """One thing that happened about an object."""

    at: str
    kind: Kind
    id: str
    of: str | None = Field(description="The step that it came of.")
    name: str | None = Field(description="The event in words, or the endpoint that it went to.")
    status: str
    detail: str | None = Field(description="Why.")
    http_status: int | None = Field(
        description="What the provider was answered, or what the receiver answered."
    )


class ObjectView(ObjectSummaryView):
    """A payment object with its events."""

    history: list[HistoryEntryView] = Field(description="In the provider's time, oldest first.")
    timeline: TimelinePage
    trail: list[TrailStepView] = Field(
        description="Receipts, events, deliveries and attempts of this page, the newest first."
    )
    receipts_complete: bool = Field(
        description="false: it has older receipts, of which the trail has those alone that told "
        "its events."
    )

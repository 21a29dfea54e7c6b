"""What callers read of deliveries, attempts and feeds."""

from typing import Literal

from pydantic import Field

from payhooks.api.schemas.base import Page, View
from payhooks.api.schemas.responses import EventView
from payhooks.model.attempt import Reason

DeliveryStatus = Literal[
    "scheduled", "blocked", "held", "sending", "delivered", "failed", "cancelled"
]


class DeliveryView(View):
    """A delivery."""

    id: str
    event_id: str
    endpoint_id: str
    event_type: str
    status: DeliveryStatus
    dialect: str
    attempts_made: int
    due_at: str | None
    created_at: str
    delivered_at: str | None
    finished_at: str | None
    reason: Reason | None
    reason_text: str | None
    replay_id: str | None


class TimingView(View):
    """Where the time went, in milliseconds."""

    dns: float
    connect: float
    tls: float
    wait: float
    total: float


class AnswerView(View):
    """What was kept of the answer."""

    headers: list[list[str]]
    body: str
    truncated: bool


class AttemptView(View):
    """One HTTP request."""

    id: str
    fence: int
    late: bool
    at: str
    status: int | None
    reason: Reason | None
    detail: str
    timing_ms: TimingView
    answer: AnswerView


class DeliveryWithAttempts(DeliveryView):
    """A delivery and its attempts, oldest first."""

    attempts: list[AttemptView]


class DeliveryPage(Page):
    """Deliveries, newest event first."""

    data: list[DeliveryView]


class FeedEntryView(View):
    """One delivery in the order that a puller reads."""

    sequence: int
    delivery: DeliveryView
    event: EventView


class FeedView(View):
    """A part of a feed."""

    data: list[FeedEntryView]
    has_more: bool
    next: int = Field(description="Give this as `after`, now or when there is more.")

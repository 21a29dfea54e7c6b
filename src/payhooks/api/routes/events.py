"""Events: published on the hot path, read here."""

from typing import Annotated, Literal, NoReturn

from fastapi import APIRouter, Depends, Header, Query, Response

from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import (
    PROBLEMS,
    DeliveriesRead,
    EventsRead,
    EventsWrite,
    MerchantWrite,
    TextId,
    demand_order,
)
from payhooks.api.schemas.base import Time
from payhooks.api.schemas.delivery_responses import DeliveryPage
from payhooks.api.schemas.requests import BatchPublish, EventPublish
from payhooks.api.schemas.responses import AcceptedView, BatchView, EventPage, EventView
from payhooks.control import deliveries
from payhooks.errors import InvalidError
from payhooks.limits import IDEMPOTENCY_KEY_CHARS_MAX, OBJECT_ID_CHARS_MAX
from payhooks.policy.match import is_valid_pattern
from payhooks.ports.reading import EventFilter

router = APIRouter(prefix="/v1/merchants/{m}/events", tags=["events"], responses=PROBLEMS)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=IDEMPOTENCY_KEY_CHARS_MAX,
        description="Repeating it repeats the first answer, with `Idempotent-Replayed: true`.",
    ),
]


@router.post("", status_code=202, response_model=AcceptedView, summary="Publish an event")
async def publish(
    granted: EventsWrite, body: EventPublish, idempotency_key: IdempotencyKey = None
) -> NoReturn:
    """202 means stored: event and deliveries are on the disk before the answer."""
    raise AssertionError("the hot path answers this; the route is its description")


@router.post("/batch", status_code=202, response_model=BatchView, summary="Publish events")
async def publish_batch(granted: EventsWrite, body: BatchPublish) -> NoReturn:
    """One result per event, in order; a bad item does not refuse the others."""
    raise AssertionError("the hot path answers this; the route is its description")


@router.get("", response_model=EventPage, summary="List events")
async def list_(  # noqa: PLR0913, PLR0917 - FastAPI reads the filters from the signature
    granted: EventsRead,
    page: Annotated[PageQuery, Depends()],
    type_: Annotated[str | None, Query(alias="type", description="A type or pattern.")] = None,
    status: Literal["unsubscribed", "pending", "delivered", "failed", "cancelled"] | None = None,
    object_id: Annotated[str | None, Query(max_length=OBJECT_ID_CHARS_MAX)] = None,
    gte: Annotated[Time | None, Query(alias="created[gte]")] = None,
    lt: Annotated[Time | None, Query(alias="created[lt]")] = None,
) -> Response:
    """Newest first."""
    demand_order(gte, lt)
    filter_ = EventFilter(
        types=patterns(type_, "?type"),
        status=status,
        object_id=object_id,
        created_gte=gte,
        created_lt=lt,
    )
    found = await granted.control.store.events(granted.merchant.id, filter_, page.window())
    members, headers = page.page(found, views.stored_event, id_of=lambda stored: stored.event.id)
    return views.reply(members, headers=headers)


@router.get("/{event_id}", response_model=EventView, summary="Read an event")
async def read(granted: EventsRead, event_id: TextId) -> Response:
    """Return the payload byte for byte as it was published."""
    stored = await deliveries.find_event(granted.control, granted.merchant, event_id)
    return views.reply(views.stored_event(stored))


@router.get(
    "/{event_id}/deliveries", response_model=DeliveryPage, summary="List an event's deliveries"
)
async def list_deliveries(
    granted: DeliveriesRead, event_id: TextId, page: Annotated[PageQuery, Depends()]
) -> Response:
    """By endpoint, the newest first."""
    stored = await deliveries.find_event(granted.control, granted.merchant, event_id)
    found = await granted.control.store.deliveries_of(
        granted.merchant.id, stored.event.id, page.window()
    )
    members, headers = page.page(found, views.delivery, id_of=lambda delivery: delivery.id)
    return views.reply(members, headers=headers)


@router.post("/{event_id}/expunge", response_model=EventView, summary="Remove a payload")
async def expunge(granted: MerchantWrite, event_id: TextId) -> Response:
    """Remove the payload for good; the event stays and says so.

    What waits to be delivered is called off. It needs `merchant:write`, which of people only
    owners have.
    """
    stored = await deliveries.find_event(granted.control, granted.merchant, event_id)
    expunged = await deliveries.expunge(granted.control, granted.caller, granted.merchant, stored)
    return views.reply(views.stored_event(expunged))


def patterns(text: str | None, pointer: str) -> tuple[str, ...]:
    """Return the one pattern of a filter, or none.

    Raises:
        InvalidError: At *pointer*; it is not a pattern.

    """
    if text is None:
        return ()
    if not is_valid_pattern(text):
        raise InvalidError.at(pointer, "invalid_pattern", "Use a type, a.b.*, prefix* or *.")
    return (text,)

"""Deliveries."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import (
    PROBLEMS,
    DeliveriesRead,
    DeliveriesWrite,
    TextId,
    demand_order,
)
from payhooks.api.routes.events import patterns
from payhooks.api.schemas.base import Time
from payhooks.api.schemas.delivery_responses import (
    DeliveryPage,
    DeliveryStatus,
    DeliveryView,
    DeliveryWithAttempts,
)
from payhooks.control import deliveries
from payhooks.errors import InvalidError
from payhooks.ids import EndpointId
from payhooks.model.attempt import Reason
from payhooks.ports.reading import DeliveryFilter

router = APIRouter(prefix="/v1/merchants/{m}/deliveries", tags=["deliveries"], responses=PROBLEMS)


@router.get("", response_model=DeliveryPage, summary="List deliveries")
async def list_(  # noqa: PLR0913, PLR0917 - FastAPI reads the filters from the signature
    granted: DeliveriesRead,
    page: Annotated[PageQuery, Depends()],
    status: DeliveryStatus | None = None,
    endpoint_id: Annotated[str | None, Query(max_length=64)] = None,
    event_type: Annotated[str | None, Query(description="A type or pattern.")] = None,
    reason: Reason | None = None,
    gte: Annotated[Time | None, Query(alias="created[gte]")] = None,
    lt: Annotated[Time | None, Query(alias="created[lt]")] = None,
) -> Response:
    """Newest event first."""
    demand_order(gte, lt)
    states, held = deliveries.STATUSES[status] if status is not None else ((), None)
    filter_ = DeliveryFilter(
        states=states,
        held=held,
        endpoint_id=None if endpoint_id is None else endpoint_id_of(endpoint_id, "?endpoint_id"),
        event_types=patterns(event_type, "?event_type"),
        reason=reason,
        created_gte=gte,
        created_lt=lt,
    )
    found = await granted.control.store.deliveries(granted.merchant.id, filter_, page.window())
    members, headers = page.page(found, views.delivery, id_of=lambda delivery: delivery.id)
    return views.reply(members, headers=headers)


@router.get("/{delivery_id}", response_model=DeliveryWithAttempts, summary="Read a delivery")
async def read(granted: DeliveriesRead, delivery_id: TextId) -> Response:
    """With its attempts, oldest first."""
    delivery, attempts = await deliveries.find_with_attempts(
        granted.control, granted.merchant, delivery_id
    )
    view = {
        **views.delivery(delivery),
        "attempts": [views.attempt(attempt) for attempt in attempts],
    }
    return views.reply(view)


@router.post("/{delivery_id}/retry", response_model=DeliveryView, summary="Send again")
async def retry(granted: DeliveriesWrite, delivery_id: TextId) -> Response:
    """With a fresh budget of attempts and the same message id."""
    delivery = await deliveries.find_delivery(granted.control, granted.merchant, delivery_id)
    retried = await deliveries.retry(granted.control, granted.caller, granted.merchant, delivery)
    return views.reply(views.delivery(retried))


@router.post("/{delivery_id}/cancel", response_model=DeliveryView, summary="Call off")
async def cancel(granted: DeliveriesWrite, delivery_id: TextId) -> Response:
    """Only what waits can be called off."""
    delivery = await deliveries.find_delivery(granted.control, granted.merchant, delivery_id)
    gone = await deliveries.cancel(granted.control, granted.caller, granted.merchant, delivery)
    return views.reply(views.delivery(gone))


def endpoint_id_of(text: str, pointer: str) -> EndpointId:
    """Return the id that *text* spells.

    Raises:
        InvalidError: At *pointer*; it spells none.

    """
    raw = ids.from_text(ids.ENDPOINT, text)
    if raw is None:
        raise InvalidError.at(pointer, "invalid_id", "This is not the id of an endpoint.")
    return EndpointId(raw)

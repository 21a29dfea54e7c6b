"""Listening: a stream of deliveries, and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from payhooks import ids
from payhooks.api import views
from payhooks.api.listening import stream
from payhooks.api.routes.common import PROBLEMS, EndpointsWrite, TextId
from payhooks.api.schemas.requests import AckBody
from payhooks.api.schemas.responses import AckView
from payhooks.control import endpoints, listen
from payhooks.control.listen import Ack
from payhooks.errors import InvalidError
from payhooks.ids import DeliveryId
from payhooks.limits import PATTERNS_PER_ENDPOINT_MAX

router = APIRouter(prefix="/v1/merchants/{m}/listen", tags=["listen"], responses=PROBLEMS)


@router.get(
    "",
    response_class=StreamingResponse,
    responses={200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}},
    summary="Listen",
)
async def listen_(
    granted: EndpointsWrite,
    events: Annotated[list[str], Query(min_length=1, max_length=PATTERNS_PER_ENDPOINT_MAX)] = ["*"],  # noqa: B006 - FastAPI copies defaults
) -> Response:
    """Open a temporary endpoint that delivers into this stream until it ends."""
    endpoint, secret = await listen.start(
        granted.control, granted.caller, granted.merchant, tuple(events)
    )
    return StreamingResponse(
        stream(granted, endpoint, secret),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@router.post("/{endpoint_id}/acks", response_model=AckView, summary="Tell what became of one")
async def acknowledge(granted: EndpointsWrite, endpoint_id: TextId, body: AckBody) -> Response:
    """Write down what the receiver behind the stream answered."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    raw = ids.from_text(ids.DELIVERY, body.delivery_id)
    if raw is None:
        raise InvalidError.at("/delivery_id", "invalid_id", "This is not the id of a delivery.")
    ack = Ack(
        delivery_id=DeliveryId(raw),
        fence=body.fence,
        status=body.status,
        duration_s=float(body.duration_s),
        body=body.body.encode(),
    )
    held = await listen.acknowledge(granted.control, granted.merchant, endpoint, ack)
    return views.reply({"settled": held})

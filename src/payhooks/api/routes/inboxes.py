"""The sandbox's inboxes: opened, looked into, closed."""

from base64 import b64encode
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import PROBLEMS, EventsRead, EventsWrite, TextId
from payhooks.api.schemas.sandbox import HeardPage, HeardView, InboxPage, InboxView
from payhooks.control import inboxes
from payhooks.control.inboxes import Judged, Opened
from payhooks.limits import KIB

# A page of the largest bodies would be 60 MiB of JSON, and everybody else would wait for it.
_LISTED_BYTES_MAX: Final = 4 * KIB

router = APIRouter(prefix="/v1/merchants/{m}/sandbox/inboxes", tags=["sandbox"], responses=PROBLEMS)


@router.post("", status_code=201, response_model=InboxView, summary="Open an inbox")
async def open_(granted: EventsWrite) -> Response:
    """Get a URL that takes any request; sandbox merchants only."""
    opened = await inboxes.open_(granted.control, granted.caller, granted.merchant)
    view = _inbox(opened)
    merchant_id = ids.to_text(ids.MERCHANT, opened.inbox.merchant_id)
    location = {"location": f"/v1/merchants/{merchant_id}/sandbox/inboxes/{view['id']}"}
    return views.reply(view, status=201, headers=location)


@router.get("", response_model=InboxPage, summary="List inboxes")
async def list_(granted: EventsRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first."""
    found = await granted.control.store.inboxes(granted.merchant.id, page.window())
    opened = [await inboxes.opened(granted.control, inbox) for inbox in found]
    members, headers = page.page(opened, _inbox, id_of=lambda one: one.inbox.id)
    return views.reply(members, headers=headers)


@router.get("/{inbox_id}", response_model=InboxView, summary="Read an inbox")
async def read(granted: EventsRead, inbox_id: TextId) -> Response:
    """Its URL is for whoever may read events."""
    inbox = await inboxes.find(granted.control, granted.merchant, inbox_id)
    return views.reply(_inbox(await inboxes.opened(granted.control, inbox)))


@router.get("/{inbox_id}/requests", response_model=HeardPage, summary="Look into an inbox")
async def list_requests(
    granted: EventsRead, inbox_id: TextId, page: Annotated[PageQuery, Depends()]
) -> Response:
    """Newest first, each with the beginning of its body and what its signature is worth."""
    inbox = await inboxes.find(granted.control, granted.merchant, inbox_id)
    found = await inboxes.heard(granted.control, granted.merchant, inbox, page.window())
    members, headers = page.page(found, _listed, id_of=lambda one: one.heard.id)
    return views.reply(members, headers=headers)


@router.get("/{inbox_id}/requests/{heard_id}", response_model=HeardView, summary="Read a request")
async def read_request(granted: EventsRead, inbox_id: TextId, heard_id: TextId) -> Response:
    """Get all of it, with what a receiver would say of its signature."""
    inbox = await inboxes.find(granted.control, granted.merchant, inbox_id)
    found = await inboxes.request(granted.control, granted.merchant, inbox, heard_id)
    return views.reply(_heard(found, found.heard.body))


@router.delete("/{inbox_id}", status_code=204, summary="Close an inbox")
async def close(granted: EventsWrite, inbox_id: TextId) -> Response:
    """Forget it and all that came."""
    inbox = await inboxes.find(granted.control, granted.merchant, inbox_id)
    await inboxes.close(granted.control, granted.caller, inbox)
    return Response(status_code=204)


def _inbox(value: Opened) -> views.View:
    return {
        "id": ids.to_text(ids.INBOX, value.inbox.id),
        "url": value.url,
        "created_at": views.time(value.inbox.created_at),
    }


def _listed(value: Judged) -> views.View:
    return _heard(value, value.heard.body[:_LISTED_BYTES_MAX])


def _heard(value: Judged, body: bytes) -> views.View:
    heard = value.heard
    path, query = inboxes.parts_of(heard)
    endpoint_id = value.endpoint_id
    return {
        "id": ids.to_text(ids.HEARD, heard.id),
        "at": views.time(heard.at),
        "method": heard.method,
        "path": path,
        "query": query,
        "headers": heard.headers,
        "body": body.decode("utf-8", "replace"),
        "body_base64": b64encode(body).decode(),
        "body_bytes": len(heard.body),
        "status": heard.status,
        "signature": {
            "verdict": value.verdict,
            "words": value.words,
            "endpoint_id": None if endpoint_id is None else ids.to_text(ids.ENDPOINT, endpoint_id),
        },
    }

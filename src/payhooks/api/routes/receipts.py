"""Receipts: what connectors brought, and to have it read again; and what is overdue."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from payhooks.api import receipt_views, views
from payhooks.api.auth import Granted
from payhooks.api.pagination import PageQuery, opened, sealed
from payhooks.api.routes.common import PROBLEMS, ConnectorsRead, ConnectorsWrite, TextId
from payhooks.api.schemas.receipts import (
    OverduePage,
    ReceiptPage,
    ReceiptView,
    ReprocessAllBody,
    ReprocessBody,
    ReprocessedView,
)
from payhooks.control import connectors, expectations, receipts
from payhooks.control.diagnosis import diagnosis
from payhooks.ids import CONNECTOR, ReceiptId, to_text
from payhooks.model.connector import Connector
from payhooks.model.receipt import Receipt, ReceiptState
from payhooks.ports.receiving import ReceiptFilter

router = APIRouter(prefix="/v1/merchants/{m}", tags=["connectors"], responses=PROBLEMS)

_ConnectorId = Annotated[str | None, Query(max_length=64, description="A connector's id or name.")]
_States = Annotated[
    list[ReceiptState] | None, Query(alias="state", description="May be given several times.")
]


@router.get("/receipts", response_model=ReceiptPage, summary="List receipts")
async def list_(
    granted: ConnectorsRead,
    page: Annotated[PageQuery, Depends()],
    connector_id: _ConnectorId = None,
    state: _States = None,
) -> Response:
    """Newest first, without headers and bodies."""
    connector = await _connector(granted, connector_id)
    which = ReceiptFilter(
        connector_id=None if connector is None else connector.id,
        states=tuple(state) if state else None,
    )
    found = await receipts.listed(granted.control, granted.merchant, which, page.window())
    members, headers = page.page(found, receipt_views.summary, id_of=lambda one: one.id)
    return views.reply(members, headers=headers)


@router.get("/receipts/{receipt_id}", response_model=ReceiptView, summary="Read a receipt")
async def read(granted: ConnectorsRead, receipt_id: TextId) -> Response:
    """As it is kept: without credentials, and with card data masked.

    Of one in quarantine it is tried why its signature does not fit.
    """
    found = await receipts.find(granted.control, granted.merchant, receipt_id)
    return views.reply(await _shown(granted, found))


@router.post(
    "/receipts/{receipt_id}/reprocess",
    status_code=202,
    response_model=ReceiptView,
    summary="Reprocess a receipt",
)
async def reprocess(
    granted: ConnectorsWrite, receipt_id: TextId, body: ReprocessBody | None = None
) -> Response:
    """Have it read again; a quarantined one has to be verified by the secrets of now."""
    found = await receipts.find(granted.control, granted.merchant, receipt_id)
    await receipts.reprocess(
        granted.control,
        granted.caller,
        granted.merchant,
        [found],
        despite_conflict=(body or ReprocessBody()).despite_conflict,
    )
    found = await receipts.find(granted.control, granted.merchant, receipt_id)
    return views.reply(await _shown(granted, found), status=202)


@router.post(
    "/connectors/{connector_id}/reprocess",
    status_code=202,
    response_model=ReprocessedView,
    summary="Reprocess receipts of a connector",
)
async def reprocess_all(
    granted: ConnectorsWrite, connector_id: TextId, body: ReprocessAllBody
) -> Response:
    """Have those in these states read again, oldest first; what is still not verified stays."""
    connector = await connectors.find(granted.control, granted.merchant, connector_id)
    key = granted.services.cursor_key
    # Of other states it would pass over some.
    list_ = " ".join([to_text(CONNECTOR, connector.id), "reprocess", *sorted(set(body.states))])
    after = None if body.after is None else opened(key, list_, body.after, "/after")
    done = await receipts.reprocess_all(
        granted.control,
        granted.caller,
        granted.merchant,
        connector,
        states=body.states,
        after=None if after is None else ReceiptId(after),
    )
    following = None if done.following is None else sealed(key, list_, done.following)
    return views.reply(receipt_views.reprocessed(done, following=following), status=202)


@router.get("/overdue", response_model=OverduePage, summary="List what is overdue")
async def list_overdue(
    granted: ConnectorsRead,
    page: Annotated[PageQuery, Depends()],
    connector_id: _ConnectorId = None,
) -> Response:
    """Return what waits for longer than its provider usually takes, newest first."""
    connector = await _connector(granted, connector_id)
    found = await expectations.overdue(granted.control, granted.merchant, connector, page.window())
    members, headers = page.page(found, receipt_views.overdue, id_of=lambda one: one.id)
    return views.reply(members, headers=headers)


async def _shown(granted: Granted, receipt: Receipt) -> views.View:
    known = await diagnosis(granted.control, granted.merchant, receipt)
    return receipt_views.receipt(receipt, known)


async def _connector(granted: Granted, text: str | None) -> Connector | None:
    if text is None:
        return None
    return await connectors.find(granted.control, granted.merchant, text)

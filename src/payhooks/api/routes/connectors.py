"""Connectors: who sends to us for a merchant, and the providers that can be heard."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import UNSET

from payhooks import ids
from payhooks.api import connector_views, views
from payhooks.api.auth import Granted
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import (
    PROBLEMS,
    CatalogueRead,
    ConnectorsRead,
    ConnectorsWrite,
    IfMatch,
    TextId,
    if_version,
    unconditional,
)
from payhooks.api.schemas.connectors import (
    ConnectorCreate,
    ConnectorEdit,
    ConnectorPage,
    ConnectorView,
    ProvidersView,
    RotateConnectorBody,
)
from payhooks.connectors.registry import PROVIDERS
from payhooks.control import connectors
from payhooks.control.connector_draft import ConnectorDraft
from payhooks.model.connector import Connector

catalogue = APIRouter(prefix="/v1/providers", tags=["connectors"], responses=PROBLEMS)
router = APIRouter(prefix="/v1/merchants/{m}/connectors", tags=["connectors"], responses=PROBLEMS)


@catalogue.get("", response_model=ProvidersView, summary="List providers")
async def list_providers(granted: CatalogueRead) -> Response:
    """Those whose webhooks can be heard, and what a person has to do at each."""
    found = [connector_views.provider(PROVIDERS[name]) for name in sorted(PROVIDERS)]
    return views.reply({"data": found})


@router.post("", status_code=201, response_model=ConnectorView, summary="Make a connector")
async def create(granted: ConnectorsWrite, body: ConnectorCreate) -> Response:
    """Return the connector with the URL to paste at the provider."""
    made = await connectors.create(granted.control, granted.caller, granted.merchant, _draft(body))
    merchant_id = ids.to_text(ids.MERCHANT, made.merchant_id)
    made_id = ids.to_text(ids.CONNECTOR, made.id)
    location = {"location": f"/v1/merchants/{merchant_id}/connectors/{made_id}"}
    return await _reply(granted, made, status=201, headers=location)


@router.get("", response_model=ConnectorPage, summary="List connectors")
async def list_(granted: ConnectorsRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first, without deleted ones."""
    found = await granted.control.store.connectors(granted.merchant.id, page.window())
    health = await connectors.health(granted.control, granted.merchant, found)
    of_id = {one.connector_id: one for one in health}

    def view(one: Connector) -> views.View:
        return connector_views.connector(
            one, of_id[one.id], control=granted.control, merchant=granted.merchant
        )

    members, headers = page.page(found, view, id_of=lambda one: one.id)
    return views.reply(members, headers=headers)


@router.get("/{connector_id}", response_model=ConnectorView, summary="Read a connector")
async def read(granted: ConnectorsRead, connector_id: TextId) -> Response:
    """By its id or its name; never with a secret."""
    return await _reply(granted, await _find(granted, connector_id))


@router.patch("/{connector_id}", response_model=ConnectorView, summary="Edit a connector")
@unconditional
async def edit(
    granted: ConnectorsWrite, connector_id: TextId, body: ConnectorEdit, if_match: IfMatch = None
) -> Response:
    """Change what is given; secrets that are given replace the old ones at once."""
    edited = await connectors.edit(
        granted.control,
        granted.caller,
        granted.merchant,
        await _find(granted, connector_id),
        _draft(body),
        if_version=if_version(if_match),
    )
    return await _reply(granted, edited)


@router.delete("/{connector_id}", status_code=204, summary="Delete a connector")
@unconditional
async def delete(
    granted: ConnectorsWrite, connector_id: TextId, if_match: IfMatch = None
) -> Response:
    """Forget its secrets, too; what it brought stays."""
    await connectors.delete(
        granted.control,
        granted.caller,
        await _find(granted, connector_id),
        if_version=if_version(if_match),
    )
    return Response(status_code=204)


@router.post(
    "/{connector_id}/rotate-secret",
    response_model=ConnectorView,
    summary="Rotate the secret of a connector",
)
@unconditional
async def rotate(
    granted: ConnectorsWrite, connector_id: TextId, body: RotateConnectorBody
) -> Response:
    """Both secrets verify until the grace ends."""
    rotated = await connectors.rotate_secret(
        granted.control,
        granted.caller,
        granted.merchant,
        await _find(granted, connector_id),
        body.secret,
        grace_s=body.grace_s,
    )
    return await _reply(granted, rotated)


@router.post("/{connector_id}/disable", response_model=ConnectorView, summary="Disable a connector")
@unconditional
async def disable(granted: ConnectorsWrite, connector_id: TextId) -> Response:
    """Hear nothing more by it: from outside there is no such connector."""
    found = await _find(granted, connector_id)
    return await _reply(granted, await connectors.disable(granted.control, granted.caller, found))


@router.post("/{connector_id}/enable", response_model=ConnectorView, summary="Enable a connector")
@unconditional
async def enable(granted: ConnectorsWrite, connector_id: TextId) -> Response:
    """Hear it again."""
    found = await _find(granted, connector_id)
    return await _reply(granted, await connectors.enable(granted.control, granted.caller, found))


async def _find(granted: Granted, text: str) -> Connector:
    return await connectors.find(granted.control, granted.merchant, text)


async def _reply(
    granted: Granted,
    connector: Connector,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    [health] = await connectors.health(granted.control, granted.merchant, [connector])
    view = connector_views.connector(
        connector, health, control=granted.control, merchant=granted.merchant
    )
    kept = views.etag(connector.version) | (headers or {})
    return views.reply(view, status=status, headers=kept)


def _draft(body: ConnectorEdit) -> ConnectorDraft:
    """Return what the caller said, and only that."""
    said = body.model_fields_set
    return ConnectorDraft(
        name=body.name if "name" in said else UNSET,
        dialect=body.dialect if "dialect" in said else UNSET,
        secrets=tuple(body.secrets) if "secrets" in said else UNSET,
        credential=body.credential if "credential" in said else UNSET,
        options=body.options if "options" in said else UNSET,
        events=tuple(body.events) if "events" in said else UNSET,
    )

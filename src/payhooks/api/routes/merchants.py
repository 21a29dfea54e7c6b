"""Merchants."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import (
    PROBLEMS,
    IfMatch,
    MerchantRead,
    Operator,
    OperatorOfMerchant,
    if_version,
    unconditional,
)
from payhooks.api.schemas.requests import MerchantCreate, MerchantEdit
from payhooks.api.schemas.responses import MerchantPage, MerchantView
from payhooks.control import merchants
from payhooks.control.custom_dialects import CustomDialectDraft
from payhooks.control.merchants import MerchantDraft

router = APIRouter(prefix="/v1/merchants", tags=["merchants"], responses=PROBLEMS)
one = APIRouter(prefix="/v1/merchants/{m}", tags=["merchants"], responses=PROBLEMS)


@router.post("", status_code=201, response_model=MerchantView, summary="Make a merchant")
async def create(granted: Operator, body: MerchantCreate) -> Response:
    """Operator only."""
    merchant = await merchants.create(granted.control, granted.caller, body.mode, _draft(body))
    location = {"location": f"/v1/merchants/{views.merchant(merchant)['id']}"}
    return views.reply(
        views.merchant(merchant), status=201, headers=views.etag(merchant.version) | location
    )


@router.get("", response_model=MerchantPage, summary="List merchants")
async def list_(granted: Operator, page: Annotated[PageQuery, Depends()]) -> Response:
    """Operator only; newest first."""
    found = await granted.control.store.merchants(page.window())
    members, headers = page.page(found, views.merchant, id_of=lambda merchant: merchant.id)
    return views.reply(members, headers=headers)


@one.get("", response_model=MerchantView, summary="Read a merchant")
async def read(granted: MerchantRead) -> Response:
    """By id or reference."""
    merchant = granted.merchant
    return views.reply(views.merchant(merchant), headers=views.etag(merchant.version))


@one.patch("", response_model=MerchantView, summary="Edit a merchant")
@unconditional
async def edit(
    granted: OperatorOfMerchant, body: MerchantEdit, if_match: IfMatch = None
) -> Response:
    """Operator only; what is left out keeps its value."""
    printed = ids.to_text(ids.MERCHANT, granted.merchant.id)
    merchant = await merchants.edit(
        granted.control,
        granted.caller,
        await merchants.find(granted.control, granted.caller, printed),
        _draft(body),
        if_version=if_version(if_match),
    )
    # A batch is judged by what this process knows of the merchant; others learn it at their
    # next accept.
    await granted.services.directory.reload(merchant.id)
    return views.reply(views.merchant(merchant), headers=views.etag(merchant.version))


def _draft(body: MerchantCreate | MerchantEdit) -> MerchantDraft:
    given = {name: getattr(body, name) for name in body.model_fields_set if name != "mode"}
    if "provider_ids" in given:
        given["provider_ids"] = tuple(sorted(given["provider_ids"].items()))
    if body.custom_dialect is not None:
        given["custom_dialect"] = CustomDialectDraft(**body.custom_dialect.model_dump())
    return MerchantDraft(**given)

"""API keys and the Signature Key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import PROBLEMS, KeysRead, KeysWrite, SecretsRead, TextId
from payhooks.api.schemas.requests import KeyCreate, RotateBody
from payhooks.api.schemas.responses import KeyPage, KeyView, NewKeyView, SecretsView, SecretView
from payhooks.control import keys, secrets
from payhooks.control.keys import KeyDraft

router = APIRouter(prefix="/v1/merchants/{m}", tags=["keys"], responses=PROBLEMS)


@router.post("/keys", status_code=201, response_model=NewKeyView, summary="Make a key")
async def create(granted: KeysWrite, body: KeyCreate) -> Response:
    """Return the key with its text, which is shown this once."""
    draft = KeyDraft(
        label=body.label,
        scopes=body.scopes,
        signing=body.signing,
        expires_at=body.expires_at,
    )
    new = await keys.create(granted.control, granted.caller, granted.merchant, draft)
    return views.reply(views.new_key(new), status=201)


@router.get("/keys", response_model=KeyPage, summary="List keys")
async def list_(granted: KeysRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first, revoked ones too."""
    found = await granted.control.store.keys(granted.merchant.id, page.window())
    members, headers = page.page(found, views.key, id_of=lambda key: key.id)
    return views.reply(members, headers=headers)


@router.delete("/keys/{key_id}", response_model=KeyView, summary="Revoke a key")
async def revoke(granted: KeysWrite, key_id: TextId) -> Response:
    """Close it: it opens nothing from the next request on."""
    key = await keys.find(granted.control, granted.merchant, key_id)
    return views.reply(views.key(await keys.revoke(granted.control, granted.caller, key)))


@router.get("/signature-key", response_model=SecretsView, summary="Reveal the Signature Key")
async def reveal(granted: SecretsRead) -> Response:
    """Live ones, newest first. Each look is in the audit log."""
    found = await secrets.reveal_signature_key(granted.control, granted.caller, granted.merchant)
    return views.reply(views.secrets(found))


@router.post("/signature-key/rotate", response_model=SecretView, summary="Rotate the Signature Key")
async def rotate(granted: KeysWrite, body: RotateBody | None = None) -> Response:
    """Both keys sign until the grace ends."""
    new = await secrets.rotate_signature_key(
        granted.control,
        granted.caller,
        granted.merchant,
        grace_s=(body or RotateBody()).grace_s,
    )
    return views.reply(views.secret(new))

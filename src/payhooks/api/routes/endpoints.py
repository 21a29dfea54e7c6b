"""Endpoints, their secrets, their status, their feed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from msgspec import UNSET

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import (
    PROBLEMS,
    EndpointsRead,
    EndpointsWrite,
    FeedRead,
    IfMatch,
    SecretsRead,
    TextId,
    if_version,
    unconditional,
)
from payhooks.api.schemas.delivery_responses import FeedView
from payhooks.api.schemas.requests import (
    BasicAuthentication,
    BearerAuthentication,
    EndpointCreate,
    EndpointEdit,
    HeaderAuthentication,
    NoAuthentication,
    RotateBody,
    SignatureBody,
)
from payhooks.api.schemas.responses import (
    EndpointPage,
    EndpointView,
    NewEndpointView,
    SecretsView,
    SecretView,
    TestView,
)
from payhooks.control import deliveries, endpoints, secrets
from payhooks.control.endpoint_draft import AuthenticationDraft, EndpointDraft, SignatureDraft
from payhooks.control.endpoints import Move
from payhooks.errors import InvalidError
from payhooks.ids import KeyId
from payhooks.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from payhooks.model.endpoint import AuthenticationType, SignatureType

router = APIRouter(prefix="/v1/merchants/{m}/endpoints", tags=["endpoints"], responses=PROBLEMS)

_SEQUENCE_MAX = 2**53 - 1  # what every JSON parser can hold


@router.post("", status_code=201, response_model=NewEndpointView, summary="Make an endpoint")
async def create(granted: EndpointsWrite, body: EndpointCreate) -> Response:
    """Return the endpoint and its secret."""
    endpoint, secret = await endpoints.create(
        granted.control, granted.caller, granted.merchant, _draft(body), secret=body.secret
    )
    view = {**views.endpoint(endpoint), "secret": secret.text}
    merchant_id = ids.to_text(ids.MERCHANT, endpoint.merchant_id)
    location = {"location": f"/v1/merchants/{merchant_id}/endpoints/{view['id']}"}
    return views.reply(view, status=201, headers=views.etag(endpoint.version) | location)


@router.get("", response_model=EndpointPage, summary="List endpoints")
async def list_(granted: EndpointsRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first, without deleted ones."""
    found = await granted.control.store.endpoints(granted.merchant.id, page.window())
    members, headers = page.page(found, views.endpoint, id_of=lambda endpoint: endpoint.id)
    return views.reply(members, headers=headers)


@router.get("/{endpoint_id}", response_model=EndpointView, summary="Read an endpoint")
async def read(granted: EndpointsRead, endpoint_id: TextId) -> Response:
    """Without its secret."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    return views.reply(views.endpoint(endpoint), headers=views.etag(endpoint.version))


@router.patch("/{endpoint_id}", response_model=EndpointView, summary="Edit an endpoint")
@unconditional
async def edit(
    granted: EndpointsWrite, endpoint_id: TextId, body: EndpointEdit, if_match: IfMatch = None
) -> Response:
    """Change what is given, checked as for a new endpoint; the rest keeps its value.

    A URL on another server needs the authentication to be given again.
    """
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    edited = await endpoints.edit(
        granted.control,
        granted.caller,
        granted.merchant,
        endpoint,
        _draft(body),
        if_version=if_version(if_match),
    )
    return views.reply(views.endpoint(edited), headers=views.etag(edited.version))


@router.delete("/{endpoint_id}", status_code=204, summary="Delete an endpoint")
@unconditional
async def delete(
    granted: EndpointsWrite, endpoint_id: TextId, if_match: IfMatch = None
) -> Response:
    """Cancel what waits for it, too."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    await endpoints.delete(
        granted.control, granted.caller, endpoint, if_version=if_version(if_match)
    )
    return Response(status_code=204)


@router.post("/{endpoint_id}/pause", response_model=EndpointView, summary="Pause an endpoint")
@unconditional
async def pause(granted: EndpointsWrite, endpoint_id: TextId) -> Response:
    """Deliveries are made and wait."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    moved = await endpoints.move(granted.control, granted.caller, endpoint, Move.PAUSE)
    return views.reply(views.endpoint(moved), headers=views.etag(moved.version))


@router.post("/{endpoint_id}/resume", response_model=EndpointView, summary="Resume an endpoint")
@unconditional
async def resume(granted: EndpointsWrite, endpoint_id: TextId) -> Response:
    """Let go what waits, in the order of acceptance."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    moved = await endpoints.move(granted.control, granted.caller, endpoint, Move.RESUME)
    return views.reply(views.endpoint(moved), headers=views.etag(moved.version))


@router.post("/{endpoint_id}/disable", response_model=EndpointView, summary="Disable an endpoint")
@unconditional
async def disable(granted: EndpointsWrite, endpoint_id: TextId) -> Response:
    """Make no more deliveries; what it misses, a replay can bring."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    moved = await endpoints.move(granted.control, granted.caller, endpoint, Move.DISABLE)
    return views.reply(views.endpoint(moved), headers=views.etag(moved.version))


@router.post("/{endpoint_id}/enable", response_model=EndpointView, summary="Enable an endpoint")
@unconditional
async def enable(granted: EndpointsWrite, endpoint_id: TextId) -> Response:
    """Let it hear again; what it missed, a replay can bring."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    moved = await endpoints.move(granted.control, granted.caller, endpoint, Move.ENABLE)
    return views.reply(views.endpoint(moved), headers=views.etag(moved.version))


@router.post(
    "/{endpoint_id}/test", status_code=202, response_model=TestView, summary="Test an endpoint"
)
async def test(granted: EndpointsWrite, endpoint_id: TextId) -> Response:
    """Send `webhook.test` to this endpoint alone, whatever it selected."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    delivery_id = await deliveries.send_test(
        granted.control,
        granted.caller,
        granted.merchant,
        endpoint,
        owner=granted.services.owner,
    )
    view = {
        "delivery_id": ids.to_text(ids.DELIVERY, delivery_id),
        "event_id": ids.to_text(ids.EVENT, ids.event_id_of(delivery_id)),
    }
    return views.reply(view, status=202)


@router.get("/{endpoint_id}/secret", response_model=SecretsView, summary="Reveal the secret")
async def reveal(granted: SecretsRead, endpoint_id: TextId) -> Response:
    """Live secrets, newest first. Each look is in the audit log."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    found = await secrets.reveal_endpoint_secret(granted.control, granted.caller, endpoint)
    return views.reply(views.secrets(found))


@router.post("/{endpoint_id}/rotate-secret", response_model=SecretView, summary="Rotate the secret")
async def rotate(
    granted: EndpointsWrite, endpoint_id: TextId, body: RotateBody | None = None
) -> Response:
    """Both secrets sign until the grace ends."""
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    new = await secrets.rotate_endpoint_secret(
        granted.control, granted.caller, endpoint, grace_s=(body or RotateBody()).grace_s
    )
    return views.reply(views.secret(new))


@router.get("/{endpoint_id}/feed", response_model=FeedView, summary="Pull deliveries")
async def feed(
    granted: FeedRead,
    endpoint_id: TextId,
    after: Annotated[int, Query(ge=0, le=_SEQUENCE_MAX)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE_DEFAULT,
) -> Response:
    """Return the same deliveries to pull, by a sequence without gaps.

    It has the payloads, and needs `events:read` beside `deliveries:read`.
    """
    endpoint = await endpoints.find(granted.control, granted.merchant, endpoint_id)
    found = await granted.control.store.feed(
        granted.merchant.id, endpoint.id, after=after, limit=limit + 1
    )
    shown = found[:limit]
    view = {
        "data": [views.feed_entry(entry) for entry in shown],
        "has_more": len(found) > limit,
        "next": shown[-1].sequence if shown else after,
    }
    return views.reply(view)


def _draft(body: EndpointEdit) -> EndpointDraft:
    """Return what the caller said, and only that."""
    said = body.model_fields_set
    plain = {
        name: getattr(body, name)
        for name in ("label", "url", "events", "dialect", "ordering", "on_failed", "timeout_s")
        if name in said
    }
    waits_s = body.retry_policy
    policy: str | tuple[float, ...] | None = (
        tuple(float(wait_s) for wait_s in waits_s) if isinstance(waits_s, list) else waits_s
    )
    return EndpointDraft(
        **plain,
        retry_policy=policy if "retry_policy" in said else UNSET,
        rate_limit_per_s=body.rate_limit if "rate_limit" in said else UNSET,
        dialect_options=(
            tuple(body.dialect_options.items()) if "dialect_options" in said else UNSET
        ),
        headers=tuple(body.headers.items()) if "headers" in said else UNSET,
        authentication=_authentication(body) if "authentication" in said else UNSET,
        signature=_signature(body.signature) if "signature" in said else UNSET,
    )


def _authentication(body: EndpointEdit) -> AuthenticationDraft:
    match body.authentication:
        case NoAuthentication():
            return AuthenticationDraft(type=AuthenticationType.NONE)
        case BasicAuthentication(username=username, password=password):
            return AuthenticationDraft(
                type=AuthenticationType.BASIC, username=username, secret=password
            )
        case BearerAuthentication(token=token):
            return AuthenticationDraft(type=AuthenticationType.BEARER, secret=token)
        case HeaderAuthentication(name=name, value=value):
            return AuthenticationDraft(type=AuthenticationType.HEADER, name=name, secret=value)


def _signature(body: SignatureBody) -> SignatureDraft:
    key_id = None
    if body.key_id is not None:
        raw = ids.from_text(ids.KEY, body.key_id)
        if raw is None:
            raise InvalidError.at("/signature/key_id", "unknown_key", "There is no such key.")
        key_id = KeyId(raw)
    return SignatureDraft(type=SignatureType(body.type), key_id=key_id)

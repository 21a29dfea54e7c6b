"""Endpoints: made, edited, paused, resumed, disabled, deleted, tried out.

Each is one ``Change``: the endpoint, its secrets, one audit entry and what it announces. The
backlog is never touched here; the lane's state says what becomes of it.
"""

from enum import StrEnum
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from payhooks import ids
from payhooks.control import announcements, keys, secrets
from payhooks.control.context import Caller, Control, audit_entry, differences
from payhooks.control.endpoint_draft import (
    AuthenticationDraft,
    EndpointDraft,
    checked,
    demand_distinct_headers,
    next_number,
)
from payhooks.control.secrets import Revealed
from payhooks.dialects import deadlines, registry
from payhooks.errors import InvalidError, NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import EndpointId
from payhooks.model.endpoint import (
    Authentication,
    AuthenticationType,
    DisabledReason,
    Endpoint,
    EndpointStatus,
    Signature,
    SignatureType,
)
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.controlling import Change


class Move(StrEnum):
    """What a person can do to an endpoint's status."""

    PAUSE = "paused"
    RESUME = "resumed"
    DISABLE = "disabled"
    ENABLE = "enabled"


async def find(control: Control, merchant: Merchant, text: str) -> Endpoint:
    """Return the merchant's endpoint with this printed id.

    Raises:
        NotFoundError: There is none, it is deleted, or it is another merchant's.

    """
    endpoint_id = ids.from_text(ids.ENDPOINT, text)
    if endpoint_id is not None:
        endpoint = await control.store.endpoint(merchant.id, EndpointId(endpoint_id))
        if endpoint is not None and endpoint.status is not EndpointStatus.DELETED:
            return endpoint
    raise NotFoundError("There is no such endpoint.")


async def create(
    control: Control,
    caller: Caller,
    merchant: Merchant,
    draft: EndpointDraft,
    *,
    secret: str | None = None,
) -> tuple[Endpoint, Revealed]:
    """Return a new endpoint and its secret, which is in this answer even if it does not sign.

    Raises:
        InvalidError: Names every member that is wrong.
        WrongStateError: The Source Key that it names is revoked in this moment.

    """
    draft = await checked(control, merchant, draft)
    assert draft.label is not UNSET
    assert draft.url is not UNSET
    assert draft.events is not UNSET
    now = control.clock.now()
    blank = Endpoint(
        id=EndpointId(control.ids.new()),
        merchant_id=merchant.id,
        number=1,
        label=draft.label,
        url=draft.url,
        events=draft.events,
        status=EndpointStatus.ACTIVE,
        disabled_reason=None,
        version=1,
        created_at=now,
        updated_at=now,
    )
    if draft.signature is UNSET and draft.dialect is not UNSET:
        signs = registry.bound(draft.dialect, merchant).signs_by_default
        kind = SignatureType.ENDPOINT_SECRET if signs else SignatureType.NONE
        blank = msgspec.structs.replace(blank, signature=Signature(type=kind))
    endpoint = await _applied(control, merchant, blank, draft)
    text = secrets.new_text(control, endpoint.dialect) if secret is None else secret
    registry.bound(endpoint.dialect, merchant).signing_secret(text)
    # Taken last: a number that a refused draft took would be lost for ever.
    number = await next_number(control, merchant.id)
    endpoint = msgspec.structs.replace(endpoint, number=number)
    sealed = secrets.seal(
        control,
        text,
        merchant_id=merchant.id,
        owner_id=endpoint.id,
        purpose=SecretPurpose.ENDPOINT,
    )
    change = _change(
        control,
        caller,
        None,
        endpoint,
        action="endpoint.created",
        new_secrets=(sealed, *_credential(control, endpoint, draft)),
        announced="webhook.created",
    )
    await control.apply(change)
    revealed = Revealed(text=text, created_at=sealed.created_at, expires_at=None)
    return endpoint, revealed


async def edit(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    merchant: Merchant,
    endpoint: Endpoint,
    draft: EndpointDraft,
    *,
    if_version: int | None,
) -> Endpoint:
    """Return the endpoint as it is after the edit; one that changes nothing is none.

    A credential that is given counts as another one: it is not compared with what is sealed.

    Raises:
        InvalidError: Names every member that is wrong.
        StaleVersionError: It was edited since *if_version*.
        WrongStateError: The Source Key that it names is revoked in this moment.

    """
    _demand_version(endpoint, if_version)
    draft = await checked(control, merchant, draft)
    _demand_credential_anew(endpoint, draft)
    applied = await _applied(control, merchant, endpoint, draft)
    edited = _next_version(control, applied)
    if edited.dialect != endpoint.dialect:
        await _demand_fitting_secrets(control, merchant, edited)
    new_secrets = tuple(_credential(control, edited, draft))
    forget: tuple[bytes, ...] = ()
    if draft.authentication is not UNSET:
        known = await control.store.secrets(endpoint.merchant_id, endpoint.id)
        forget = tuple(s.id for s in known if s.purpose is SecretPurpose.AUTHENTICATION)
    if applied == endpoint and not new_secrets and not forget:
        return endpoint
    change = _change(
        control,
        caller,
        endpoint,
        edited,
        action="endpoint.updated",
        new_secrets=new_secrets,
        forget=forget,
        announced="webhook.updated",
    )
    await control.apply(change)
    return edited


async def delete(
    control: Control, caller: Caller, endpoint: Endpoint, *, if_version: int | None
) -> None:
    """Delete the endpoint; what waits for it is cancelled, in the background.

    Raises:
        StaleVersionError: It was edited since *if_version*.

    """
    _demand_version(endpoint, if_version)
    deleted = _next_version(
        control,
        msgspec.structs.replace(endpoint, status=EndpointStatus.DELETED, disabled_reason=None),
    )
    known = await control.store.secrets(endpoint.merchant_id, endpoint.id)
    change = _change(
        control,
        caller,
        endpoint,
        deleted,
        action="endpoint.deleted",
        forget=tuple(secret.id for secret in known),
        announced="webhook.deleted",
    )
    await control.apply(change)


async def move(
    control: Control,
    caller: Caller,
    endpoint: Endpoint,
    to: Move,
    *,
    reason: DisabledReason = DisabledReason.OPERATOR,
) -> Endpoint:
    """Return the endpoint after a pause, resume, disable or enable; a repeat changes nothing.

    Raises:
        WrongStateError: It is not in a state that allows it.

    """
    status = endpoint.status
    match to:
        case Move.PAUSE:
            allowed, goal = status is not EndpointStatus.DISABLED, EndpointStatus.PAUSED
        case Move.RESUME:
            allowed, goal = status is not EndpointStatus.DISABLED, EndpointStatus.ACTIVE
        case Move.DISABLE:
            allowed, goal = True, EndpointStatus.DISABLED
        case Move.ENABLE:
            allowed, goal = status is not EndpointStatus.PAUSED, EndpointStatus.ACTIVE
    if status is EndpointStatus.DELETED or not allowed:
        raise WrongStateError(f"An endpoint that is {status} cannot be {to}.")
    if status is goal:
        return endpoint
    moved = _next_version(
        control,
        msgspec.structs.replace(
            endpoint,
            status=goal,
            disabled_reason=reason if goal is EndpointStatus.DISABLED else None,
        ),
    )
    announced = "webhook.disabled" if to is Move.DISABLE else "webhook.updated"
    change = _change(control, caller, endpoint, moved, action=f"endpoint.{to}", announced=announced)
    await control.apply(change)
    return moved


def facts(endpoint: Endpoint) -> dict[str, object]:
    """Return what the audit log keeps of an endpoint. Secrets are no part of an endpoint."""
    return {
        "label": endpoint.label,
        "url": endpoint.url,
        "events": endpoint.events,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "dialect": endpoint.dialect,
        "dialect_options": dict(endpoint.dialect_options),
        "authentication": msgspec.to_builtins(endpoint.authentication),
        "signature": {
            "type": endpoint.signature.type,
            "key_id": None
            if endpoint.signature.key_id is None
            else ids.to_text(ids.KEY, endpoint.signature.key_id),
        },
        "retry_policy": endpoint.retry_policy or endpoint.retry_delays_s,
        "ordering": endpoint.ordering,
        "on_failed": endpoint.on_failed,
        "rate_limit": endpoint.rate_limit_per_s,
        "timeout_s": endpoint.timeout_s,
        # Names alone: people do put tokens into headers.
        "headers": [name for name, _ in endpoint.headers],
    }


async def _applied(
    control: Control, merchant: Merchant, endpoint: Endpoint, draft: EndpointDraft
) -> Endpoint:
    plain = ("label", "url", "events", "dialect", "ordering", "on_failed", "rate_limit_per_s")
    given: dict[str, object] = {
        name: value
        for name in (*plain, "timeout_s", "headers")
        if (value := getattr(draft, name)) is not UNSET
    }
    if draft.retry_policy is not UNSET:
        policy = draft.retry_policy
        given["retry_policy"] = policy if isinstance(policy, str) else None
        given["retry_delays_s"] = policy if isinstance(policy, tuple) else None
    if draft.authentication is not UNSET:
        given["authentication"] = _public(draft.authentication)
    if draft.signature is not UNSET:
        signature = Signature(type=draft.signature.type, key_id=draft.signature.key_id)
        await _demand_signer(control, endpoint, signature)
        given["signature"] = signature
    if draft.dialect_options is not UNSET:
        given["dialect_options"] = draft.dialect_options
    elif draft.dialect is not UNSET and draft.dialect != endpoint.dialect:
        given["dialect_options"] = ()  # those of the other dialect
    applied = msgspec.structs.replace(endpoint, **given)
    dialect = registry.bound(applied.dialect, merchant)
    dialect.check_options(dict(applied.dialect_options))
    demand_distinct_headers(dialect, applied)
    return applied


async def _demand_fitting_secrets(control: Control, merchant: Merchant, endpoint: Endpoint) -> None:
    """Refuse a dialect that cannot sign with what the endpoint has: nobody would trust it."""
    dialect = registry.bound(endpoint.dialect, merchant)
    known = await control.store.secrets(merchant.id, endpoint.id)
    for secret in secrets.live(known, SecretPurpose.ENDPOINT, control.clock.now()):
        try:
            dialect.signing_secret(secrets.open_secret(control.keyring, secret))
        except InvalidError:
            detail = "The endpoint's secret does not fit this dialect; create a new endpoint."
            raise InvalidError.at("/dialect", "secret_does_not_fit", detail) from None


def _public(draft: AuthenticationDraft) -> Authentication:
    return Authentication(type=draft.type, username=draft.username, name=draft.name)


async def _demand_signer(control: Control, endpoint: Endpoint, signature: Signature) -> None:
    """Refuse a signer that has no secret, or that was revoked: nobody would trust its word."""
    if signature.type is not SignatureType.SOURCE_KEY:
        return
    assert signature.key_id is not None
    if not await keys.may_sign(control, endpoint.merchant_id, signature.key_id):
        detail = "There is no such Source Key: a live API key of this merchant, made to sign."
        raise InvalidError.at("/signature/key_id", "unknown_key", detail)


def _credential(control: Control, endpoint: Endpoint, draft: EndpointDraft) -> list[SealedSecret]:
    if draft.authentication is UNSET or draft.authentication.type is AuthenticationType.NONE:
        return []
    assert draft.authentication.secret is not None
    return [
        secrets.seal(
            control,
            draft.authentication.secret,
            merchant_id=endpoint.merchant_id,
            owner_id=endpoint.id,
            purpose=SecretPurpose.AUTHENTICATION,
        )
    ]


def _demand_credential_anew(endpoint: Endpoint, draft: EndpointDraft) -> None:
    """Refuse to take a stored credential along to another server.

    Nobody can read it here, and whoever may edit an endpoint would read it there.
    """
    if draft.url is UNSET or draft.authentication is not UNSET:
        return
    kept = endpoint.authentication.type is not AuthenticationType.NONE
    if kept and urlsplit(draft.url)[:2] != urlsplit(endpoint.url)[:2]:
        detail = "The credential was given for another server; give it again with this URL."
        raise InvalidError.at("/authentication", "required", detail)


def _demand_version(endpoint: Endpoint, if_version: int | None) -> None:
    if if_version is not None and if_version != endpoint.version:
        raise StaleVersionError("The endpoint was edited since you read it.")


def _next_version(control: Control, endpoint: Endpoint) -> Endpoint:
    return msgspec.structs.replace(
        endpoint, version=endpoint.version + 1, updated_at=control.clock.now()
    )


def _change(  # noqa: PLR0913 - every part of a change is named at the call site
    control: Control,
    caller: Caller,
    before: Endpoint | None,
    after: Endpoint,
    *,
    action: str,
    announced: str,
    new_secrets: tuple[SealedSecret, ...] = (),
    forget: tuple[bytes, ...] = (),
) -> Change:
    changes = differences(None if before is None else facts(before), facts(after))
    if any(secret.purpose is SecretPurpose.AUTHENTICATION for secret in new_secrets):
        changes["credential"] = ["(not shown)", "(changed)"]
    entry = audit_entry(
        control,
        caller,
        merchant_id=after.merchant_id,
        action=action,
        target=ids.to_text(ids.ENDPOINT, after.id),
        changes=changes,
    )
    chosen = before is None or before.signature.key_id != after.signature.key_id
    return Change(
        audit=entry,
        endpoint=after,
        lease_s=deadlines.lease_s(after),
        moved=before is not None and before.url != after.url,
        unblocked=before is not None and before.blocks and not after.blocks,
        signer=after.signature.key_id if chosen else None,
        secrets=new_secrets,
        forget_secrets=forget,
        announcements=(announcements.of_endpoint(control, announced, after),),
    )

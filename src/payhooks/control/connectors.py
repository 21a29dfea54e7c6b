"""Connectors: made, edited, given new secrets, disabled, deleted; and how they fare.

Each change is one ``Change``: the connector, its secrets and one audit entry. What a provider
wants of its settings, the provider's own file says (``connectors/``).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
from msgspec import UNSET

from payhooks import ids, limits
from payhooks.connectors import registry
from payhooks.connectors.contract import Keys
from payhooks.control import secrets
from payhooks.control.connector_draft import (
    NAME,
    ConnectorDraft,
    check_name,
    check_plain,
    check_rotation,
    check_settings,
    is_heard,
    replaces,
    said_of_secrets,
)
from payhooks.control.context import Caller, Control, audit_entry, differences
from payhooks.control.faults import Faults
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import ConnectorId
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.controlling import Change, Window
from payhooks.ports.receiving import ConnectorHealth


async def find(control: Control, merchant: Merchant, text: str) -> Connector:
    """Return the merchant's connector with this printed id or name.

    Raises:
        NotFoundError: There is none, it is deleted, or it is another merchant's.

    """
    connector_id = ids.from_text(ids.CONNECTOR, text)
    if connector_id is not None:
        connector = await control.store.connector(merchant.id, ConnectorId(connector_id))
        if connector is not None and connector.status is not ConnectorStatus.DELETED:
            return connector
    elif NAME.fullmatch(text):
        for connector in await _all(control, merchant):
            if connector.name == text:
                return connector
    raise NotFoundError("There is no such connector.")


async def create(
    control: Control, caller: Caller, merchant: Merchant, draft: ConnectorDraft
) -> Connector:
    """Return a new connector.

    Raises:
        InvalidError: Names every member that is wrong.
        WrongStateError: Another connector got this name in the same moment.

    """
    faults = Faults()
    connector = _applied(_blank(control, merchant, draft), draft)
    check_name(draft.name, faults)
    check_plain(draft, faults)
    if is_heard(merchant, draft.dialect, faults):
        check_settings(registry.bound(connector, merchant), draft, faults)
    others = await _all(control, merchant)
    if any(one.name == draft.name for one in others):
        faults.add("/name", "taken", "Another connector of the merchant has this name.")
    if len(others) >= limits.CONNECTORS_PER_MERCHANT_MAX:
        detail = f"A merchant has at most {limits.CONNECTORS_PER_MERCHANT_MAX} connectors."
        faults.add("", "quota", detail)
    faults.check()
    change = _change(
        control,
        caller,
        None,
        connector,
        action="connector.created",
        said=said_of_secrets(draft),
        new_secrets=_sealed(control, connector, draft),
    )
    await control.apply(change)
    return connector


async def edit(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    merchant: Merchant,
    connector: Connector,
    draft: ConnectorDraft,
    *,
    if_version: int | None,
) -> Connector:
    """Return the connector as it is after the edit; one that changes nothing is none.

    Secrets that are given replace the old at once, and count as others: they are not compared.

    Raises:
        InvalidError: Names every member that is wrong.
        StaleVersionError: It was edited since *if_version*.

    """
    _demand_version(connector, if_version)
    faults = Faults()
    for member in ("name", "dialect"):
        if getattr(draft, member) not in {UNSET, getattr(connector, member)}:
            detail = "This stays as it was made: what is sent to us is addressed by it."
            faults.add(f"/{member}", "not_allowed", detail)
    check_plain(draft, faults)
    known = await control.store.secrets(merchant.id, connector.id)
    if not (draft.secrets is UNSET and draft.credential is UNSET and draft.options is UNSET):
        whole = _completed(control, connector, known, draft)
        check_settings(registry.bound(_applied(connector, draft), merchant), whole, faults)
    faults.check()
    applied = _applied(connector, draft)
    new_secrets = _sealed(control, applied, draft)
    forget = tuple(secret.id for secret in known if replaces(draft, secret))
    if applied == connector and not new_secrets and not forget:
        return connector
    edited = _next_version(control, applied)
    change = _change(
        control,
        caller,
        connector,
        edited,
        action="connector.updated",
        said=said_of_secrets(draft),
        new_secrets=new_secrets,
        forget=forget,
    )
    await control.apply(change)
    return edited


async def rotate_secret(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    merchant: Merchant,
    connector: Connector,
    secret: str,
    *,
    grace_s: int,
) -> Connector:
    """Return the connector, which goes by the new secret, and until the grace ends by the old too.

    Raises:
        InvalidError: The grace or the secret is not possible.
        WrongStateError: As many secrets live as may; wait for one to end, or use no grace.

    """
    provider = registry.bound(connector, merchant)
    check_rotation(provider, connector, secret, grace_s)
    now = control.clock.now()
    known = await control.store.secrets(merchant.id, connector.id)
    living = secrets.live(known, SecretPurpose.CONNECTOR, now)
    if grace_s and len(living) >= limits.LIVE_SECRETS_MAX:
        raise WrongStateError(f"{limits.LIVE_SECRETS_MAX} secrets live already; none may be added.")
    ends_at = now + timedelta(seconds=grace_s)
    kept = living if grace_s else []
    ending = tuple(msgspec.structs.replace(one, expires_at=ends_at) for one in kept)
    gone = {one.id for one in known if one.purpose is SecretPurpose.CONNECTOR}
    given = ConnectorDraft(secrets=(secret,))
    rotated = _next_version(control, connector)
    change = _change(
        control,
        caller,
        connector,
        rotated,
        action="connector.rotated",
        new_secrets=_sealed(control, rotated, given),
        ending=ending,
        forget=tuple(sorted(gone - {one.id for one in kept})),
        said={**said_of_secrets(given), "grace_s": [None, grace_s]},
    )
    await control.apply(change)
    return rotated


async def disable(control: Control, caller: Caller, connector: Connector) -> Connector:
    """Return the connector, which hears nothing any more: from outside there is none."""
    return await _move(control, caller, connector, ConnectorStatus.DISABLED, "disabled")


async def enable(control: Control, caller: Caller, connector: Connector) -> Connector:
    """Return the connector, which hears again."""
    return await _move(control, caller, connector, ConnectorStatus.ACTIVE, "enabled")


async def delete(
    control: Control, caller: Caller, connector: Connector, *, if_version: int | None
) -> None:
    """Delete the connector with its secrets; its name is free again, what it brought stays.

    Raises:
        StaleVersionError: It was edited since *if_version*.

    """
    _demand_version(connector, if_version)
    known = await control.store.secrets(connector.merchant_id, connector.id)
    deleted = msgspec.structs.replace(connector, status=ConnectorStatus.DELETED)
    change = _change(
        control,
        caller,
        connector,
        _next_version(control, deleted),
        action="connector.deleted",
        forget=tuple(secret.id for secret in known),
    )
    await control.apply(change)


def url_of(control: Control, merchant: Merchant, connector: Connector) -> str:
    """Return where the provider has to post to: what a person pastes there."""
    return url_named(control, merchant, connector.name)


def url_named(control: Control, merchant: Merchant, name: str) -> str:
    """Return the URL that a connector of this name has, or will have.

    Some providers tell their secret only once they know it.
    """
    owner = merchant.reference or ids.to_text(ids.MERCHANT, merchant.id)
    return f"{control.urls.webhooks[merchant.mode]}{owner}/{name}"


async def health(
    control: Control, merchant: Merchant, connectors: Sequence[Connector]
) -> list[ConnectorHealth]:
    """Return how each fares, in the order given."""
    if not connectors:
        return []
    return await control.store.connector_health(merchant.id, [one.id for one in connectors])


async def opened_keys(control: Control, merchant: Merchant, connector: Connector) -> Keys:
    """Return what requests to the connector are verified with now.

    Raises:
        UnavailableError: A secret cannot be opened; an operator has to act.

    """
    known = await control.store.secrets(merchant.id, connector.id)
    return _opened(control, known)


def facts(connector: Connector) -> dict[str, object]:
    """Return what the audit log keeps of a connector. Secrets are no part of a connector."""
    return {
        "name": connector.name,
        "dialect": connector.dialect,
        "status": connector.status,
        "options": dict(connector.options),
        "events": connector.events,
    }


async def _all(control: Control, merchant: Merchant) -> list[Connector]:
    found: list[Connector] = []
    while True:
        after = found[-1].id if found else None
        window = Window(limit=limits.CONNECTORS_PER_MERCHANT_MAX, after=after)
        page = await control.store.connectors(merchant.id, window)
        found += page
        if len(page) < window.limit:
            return found


def _completed(
    control: Control, connector: Connector, known: Sequence[SealedSecret], draft: ConnectorDraft
) -> ConnectorDraft:
    """Return the settings as they are after the edit, for the provider to look at."""
    held = _opened(control, known)
    return ConnectorDraft(
        options=dict(connector.options) if draft.options is UNSET else draft.options,
        secrets=tuple(held.secrets) if draft.secrets is UNSET else draft.secrets,
        credential=held.credential if draft.credential is UNSET else draft.credential,
    )


def _opened(control: Control, known: Sequence[SealedSecret]) -> Keys:
    now = control.clock.now()

    def texts(purpose: SecretPurpose) -> list[str]:
        held = secrets.live(known, purpose, now)
        return [secrets.open_secret(control.keyring, secret) for secret in held]

    credentials = texts(SecretPurpose.CONNECTOR_CREDENTIAL)
    return Keys(
        secrets=texts(SecretPurpose.CONNECTOR),
        credential=credentials[0] if credentials else None,
    )


def _blank(control: Control, merchant: Merchant, draft: ConnectorDraft) -> Connector:
    now = control.clock.now()
    return Connector(
        id=ConnectorId(control.ids.new()),
        merchant_id=merchant.id,
        name="" if draft.name is UNSET else draft.name,
        dialect="" if draft.dialect is UNSET else draft.dialect,
        status=ConnectorStatus.ACTIVE,
        version=1,
        created_at=now,
        updated_at=now,
    )


def _applied(connector: Connector, draft: ConnectorDraft) -> Connector:
    given: dict[str, object] = {}
    if draft.events is not UNSET:
        given["events"] = draft.events
    if draft.options is not UNSET:
        # One that says nothing is none, as in the console's form: whoever asks which there are
        # would take it for a choice.
        said = {name: value for name, value in draft.options.items() if value}
        given["options"] = tuple(sorted(said.items()))
    return msgspec.structs.replace(connector, **given)


def _sealed(
    control: Control, connector: Connector, draft: ConnectorDraft
) -> tuple[SealedSecret, ...]:
    # Made oldest first, so that they are read as they were given: newest first.
    texts = () if draft.secrets is UNSET else draft.secrets[::-1]
    held = [(text, SecretPurpose.CONNECTOR) for text in texts]
    if isinstance(draft.credential, str):
        held.append((draft.credential, SecretPurpose.CONNECTOR_CREDENTIAL))
    return tuple(
        secrets.seal(
            control,
            text,
            merchant_id=connector.merchant_id,
            owner_id=connector.id,
            purpose=purpose,
        )
        for text, purpose in held
    )


async def _move(
    control: Control, caller: Caller, connector: Connector, to: ConnectorStatus, done: str
) -> Connector:
    if connector.status is to:
        return connector
    moved = _next_version(control, msgspec.structs.replace(connector, status=to))
    await control.apply(_change(control, caller, connector, moved, action=f"connector.{done}"))
    return moved


def _demand_version(connector: Connector, if_version: int | None) -> None:
    if if_version is not None and if_version != connector.version:
        raise StaleVersionError("The connector was edited since you read it.")


def _next_version(control: Control, connector: Connector) -> Connector:
    return msgspec.structs.replace(
        connector, version=connector.version + 1, updated_at=control.clock.now()
    )


def _change(  # noqa: PLR0913 - every part of a change is named at the call site
    control: Control,
    caller: Caller,
    before: Connector | None,
    after: Connector,
    *,
    action: str,
    new_secrets: tuple[SealedSecret, ...] = (),
    ending: tuple[SealedSecret, ...] = (),
    forget: tuple[bytes, ...] = (),
    said: Mapping[str, object] | None = None,
) -> Change:
    changes = differences(None if before is None else facts(before), facts(after))
    entry = audit_entry(
        control,
        caller,
        merchant_id=after.merchant_id,
        action=action,
        target=ids.to_text(ids.CONNECTOR, after.id),
        changes={**changes, **(said or {})},
    )
    return Change(
        audit=entry,
        connector=after,
        secrets=new_secrets,
        ending_secrets=ending,
        forget_secrets=forget,
    )

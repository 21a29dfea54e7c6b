"""Secrets of endpoints and merchants: made, sealed, rotated with a grace, revealed on record.

Plain text exists in the answer to whoever may read it and while a request is signed; the
audit log and announcements say that a secret changed, never what it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import msgspec

from payhooks import ids, limits
from payhooks.control import announcements
from payhooks.control.context import Caller, Control, audit_entry, upon_what_is_there
from payhooks.control.keyring import Keyring, SealContext
from payhooks.dialects import registry
from payhooks.dialects.contract import SECRET_RANDOM_BYTES
from payhooks.errors import InvalidError, NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.endpoint import Endpoint, Signature, SignatureType
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.controlling import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """A secret in the clear, on its way to somebody who may see it."""

    text: str = field(repr=False)  # reprs end up in logs and in failing tests
    created_at: datetime
    expires_at: datetime | None


def context_of(secret: SealedSecret) -> SealContext:
    """Return what the secret's seal is bound to: row, owner, merchant and purpose."""
    return SealContext(
        purpose=secret.purpose,
        table="secrets",
        column="sealed",
        merchant_id=secret.merchant_id,
        # The owner too, so that a row given to another endpoint does not open there.
        row_id=secret.id + secret.owner_id,
    )


def open_secret(keyring: Keyring, secret: SealedSecret) -> str:
    """Return the secret's text.

    Raises:
        UnavailableError: We cannot open it; an operator has to act.

    """
    return keyring.open(secret.sealed, context=context_of(secret)).decode()


def opener(keyring: Keyring) -> Callable[[SealedSecret], str]:
    """Return ``open_secret`` for one keyring; the flow signs with what it opens."""
    return partial(open_secret, keyring)


def seal(
    control: Control,
    text: str,
    *,
    merchant_id: MerchantId,
    owner_id: bytes,
    purpose: SecretPurpose,
) -> SealedSecret:
    """Return *text* sealed, ready to be written."""
    secret = SealedSecret(
        id=control.ids.new(),
        merchant_id=merchant_id,
        owner_id=owner_id,
        purpose=purpose,
        sealed=b"",
        created_at=control.clock.now(),
        expires_at=None,
    )
    sealed = control.keyring.seal(text.encode(), context=context_of(secret))
    return msgspec.structs.replace(secret, sealed=sealed)


def new_text(control: Control, dialect: str) -> str:
    """Return a new secret as this dialect spells them."""
    return registry.find(dialect).new_secret(control.random_bytes(SECRET_RANDOM_BYTES))


def signer_of(
    signature: Signature, endpoint_id: EndpointId, merchant_id: MerchantId
) -> tuple[bytes, SecretPurpose]:
    """Return whose secrets sign, and which of them."""
    match signature.type:
        case SignatureType.NONE:
            raise AssertionError("what is not signed has no signer")
        case SignatureType.ENDPOINT_SECRET:
            return endpoint_id, SecretPurpose.ENDPOINT
        case SignatureType.SIGNATURE_KEY:
            return merchant_id, SecretPurpose.SIGNATURE_KEY
        case SignatureType.SOURCE_KEY:
            assert signature.key_id is not None
            return signature.key_id, SecretPurpose.SOURCE_KEY


def live(
    secrets: Sequence[SealedSecret], purpose: SecretPurpose, now: datetime
) -> list[SealedSecret]:
    """Return those of one purpose that still count, newest first."""
    return [
        secret
        for secret in secrets
        if secret.purpose is purpose and (secret.expires_at is None or secret.expires_at > now)
    ]


async def reveal_endpoint_secret(
    control: Control, caller: Caller, endpoint: Endpoint
) -> list[Revealed]:
    """Return the endpoint's live secrets, newest first. Leaves an audit entry."""
    return await _reveal(
        control,
        caller,
        merchant_id=endpoint.merchant_id,
        owner_id=endpoint.id,
        purpose=SecretPurpose.ENDPOINT,
        target=ids.to_text(ids.ENDPOINT, endpoint.id),
    )


async def reveal_signature_key(
    control: Control, caller: Caller, merchant: Merchant
) -> list[Revealed]:
    """Return the merchant's live Signature Keys, newest first. Leaves an audit entry."""
    return await _reveal(
        control,
        caller,
        merchant_id=merchant.id,
        owner_id=merchant.id,
        purpose=SecretPurpose.SIGNATURE_KEY,
        target=ids.to_text(ids.MERCHANT, merchant.id),
    )


async def rotate_endpoint_secret(
    control: Control, caller: Caller, endpoint: Endpoint, *, grace_s: int, text: str | None = None
) -> Revealed:
    """Give the endpoint a new secret; deliveries carry both signatures until the grace ends.

    Raises:
        InvalidError: The grace or the given text is not possible.
        WrongStateError: As many secrets live as may; wait for one to end, or use no grace. Or
            others rotate it all the time; try again.

    """
    new = new_text(control, endpoint.dialect) if text is None else text
    registry.find(endpoint.dialect).signing_secret(new)
    return await _rotate(
        control,
        caller,
        new,
        merchant_id=endpoint.merchant_id,
        owner_id=endpoint.id,
        purpose=SecretPurpose.ENDPOINT,
        grace_s=grace_s,
        endpoint=endpoint,
    )


async def rotate_signature_key(
    control: Control, caller: Caller, merchant: Merchant, *, grace_s: int
) -> Revealed:
    """Give the merchant a new Signature Key; both sign until the grace ends.

    Raises:
        InvalidError: The grace is not possible.
        WrongStateError: As many keys live as may, or others rotate it all the time.

    """
    return await _rotate(
        control,
        caller,
        new_text(control, "standard"),
        merchant_id=merchant.id,
        owner_id=merchant.id,
        purpose=SecretPurpose.SIGNATURE_KEY,
        grace_s=grace_s,
        endpoint=None,
    )


async def _reveal(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    *,
    merchant_id: MerchantId,
    owner_id: bytes,
    purpose: SecretPurpose,
    target: str,
) -> list[Revealed]:
    found = live(await control.store.secrets(merchant_id, owner_id), purpose, control.clock.now())
    if not found:
        raise NotFoundError("There is no such secret.")
    revealed = [_revealed(secret, open_secret(control.keyring, secret)) for secret in found]
    entry = audit_entry(
        control, caller, merchant_id=merchant_id, action=f"{purpose}.revealed", target=target
    )
    await control.store.apply(Change(audit=entry))
    return revealed


async def _rotate(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    text: str,
    *,
    merchant_id: MerchantId,
    owner_id: bytes,
    purpose: SecretPurpose,
    grace_s: int,
    endpoint: Endpoint | None,
) -> Revealed:
    if not 0 <= grace_s <= limits.ROTATION_GRACE_S_MAX:
        detail = f"A grace is between 0 and {limits.ROTATION_GRACE_S_MAX} seconds."
        raise InvalidError.at("/grace_s", "out_of_range", detail)

    async def rotate() -> Revealed:
        # Anew each time: a secret that another rotation made in this moment has to end as well.
        known = await control.store.secrets(merchant_id, owner_id)
        new = seal(control, text, merchant_id=merchant_id, owner_id=owner_id, purpose=purpose)
        change = _rotation(control, caller, known, new, grace_s=grace_s, endpoint=endpoint)
        await control.store.apply(change)
        return _revealed(new, text)

    try:
        return await upon_what_is_there(rotate)
    except StaleVersionError as error:
        # Whoever rotates has named no version, and has none to read again.
        raise WrongStateError("Others rotate it in this moment; try again.") from error


def _rotation(  # noqa: PLR0913 - every part is named at the call site
    control: Control,
    caller: Caller,
    known: Sequence[SealedSecret],
    new: SealedSecret,
    *,
    grace_s: int,
    endpoint: Endpoint | None,
) -> Change:
    """Return the change that puts *new* beside or in the place of those that live."""
    now = control.clock.now()
    living = live(known, new.purpose, now)
    if grace_s and len(living) >= limits.LIVE_SECRETS_MAX:
        raise WrongStateError(f"{limits.LIVE_SECRETS_MAX} secrets live already; none may be added.")
    ends_at = now + timedelta(seconds=grace_s)
    # Told apart from what is new: one that somebody revokes in this moment must not come back.
    ending = [msgspec.structs.replace(secret, expires_at=ends_at) for secret in living]
    target = (
        ids.to_text(ids.MERCHANT, new.merchant_id)
        if endpoint is None
        else ids.to_text(ids.ENDPOINT, endpoint.id)
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=new.merchant_id,
        action=f"{new.purpose}.rotated",
        target=target,
        changes={"grace_s": [None, grace_s]},
    )
    gone = {secret.id for secret in known if secret.purpose is new.purpose}
    kept = {secret.id for secret in living} if grace_s else set()
    announced = (
        ()
        if endpoint is None
        else (announcements.of_endpoint(control, "webhook.renew.secret", endpoint),)
    )
    return Change(
        audit=entry,
        secrets=(new,),
        secrets_before=frozenset(secret.id for secret in known),
        ending_secrets=tuple(ending if grace_s else ()),
        forget_secrets=tuple(sorted(gone - kept)),
        announcements=announced,
    )


def _revealed(secret: SealedSecret, text: str) -> Revealed:
    return Revealed(text=text, created_at=secret.created_at, expires_at=secret.expires_at)

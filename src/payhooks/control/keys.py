"""API keys: made and shown once, looked up by their hash, revoked for good.

A Source Key (``signing``) must sign, so its text is sealed beside the hash; revoking one that
an endpoint signs with is refused, because its deliveries could not be signed any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from payhooks import ids, limits
from payhooks.control import key_text, secrets
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.faults import Faults
from payhooks.control.key_text import KeyKind
from payhooks.errors import (
    InvalidError,
    NotFoundError,
    UnauthenticatedError,
)
from payhooks.ids import KeyId, MerchantId
from payhooks.model.endpoint import Endpoint
from payhooks.model.key import ApiKey, Scope
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.controlling import Change, Window

# What a merchant's key may be given; the operator's scope is not among them.
GRANTABLE = frozenset(Scope) - {Scope.OPERATOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made; the only moment at which its text is known."""

    key: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDraft:
    """What a caller wants a key to be."""

    label: str
    scopes: Sequence[Scope]
    signing: bool = False
    expires_at: datetime | None = None


async def create(
    control: Control, caller: Caller, merchant: Merchant | None, draft: KeyDraft
) -> NewKey:
    """Return a new key of the merchant, or of the operator where that is None.

    Raises:
        InvalidError: Names every member that is wrong.
        ForbiddenError: The caller would give away more than it has.

    """
    await _check(control, merchant, draft)
    for scope in draft.scopes:
        caller.demand(scope)
    kind = KeyKind.OPERATOR if merchant is None else _kind(merchant.mode)
    text = key_text.new_key(kind, control.random_bytes)
    merchant_id = None if merchant is None else merchant.id
    key = ApiKey(
        id=KeyId(control.ids.new()),
        merchant_id=merchant_id,
        label=draft.label,
        digest=key_text.digest(text),
        scopes=tuple(sorted(set(draft.scopes))),
        signing=draft.signing,
        created_at=control.clock.now(),
        expires_at=draft.expires_at,
        revoked_at=None,
        hint=key_text.hint(text),
    )
    sealed: tuple[SealedSecret, ...] = ()
    if key.signing:
        assert merchant_id is not None
        sealed = (
            secrets.seal(
                control,
                text,
                merchant_id=merchant_id,
                owner_id=key.id,
                purpose=SecretPurpose.SOURCE_KEY,
            ),
        )
    changes = {
        "label": [None, key.label],
        "scopes": [None, key.scopes],
        "signing": [None, key.signing],
        "expires_at": [None, key.expires_at],
    }
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant_id,
        action="key.created",
        target=ids.to_text(ids.KEY, key.id),
        changes=changes,
    )
    await control.store.apply(Change(audit=entry, key=key, secrets=sealed))
    return NewKey(key=key, text=text)


async def revoke(control: Control, caller: Caller, key: ApiKey) -> ApiKey:
    """Return the key, which opens nothing from now on; a repeat changes nothing.

    Raises:
        WrongStateError: An endpoint signs with it.

    """
    if key.revoked_at is not None:
        return key
    revoked = msgspec.structs.replace(key, revoked_at=control.clock.now())
    entry = audit_entry(
        control,
        caller,
        merchant_id=key.merchant_id,
        action="key.revoked",
        target=ids.to_text(ids.KEY, key.id),
        changes={"revoked_at": [None, revoked.revoked_at]},
    )
    await control.store.apply(Change(audit=entry, key=revoked))
    return revoked


async def find(control: Control, merchant: Merchant, text: str) -> ApiKey:
    """Return the merchant's key with this printed id.

    Raises:
        NotFoundError: There is none, or it is another merchant's.

    """
    key_id = ids.from_text(ids.KEY, text)
    key = None if key_id is None else await _with_id(control, merchant.id, KeyId(key_id))
    if key is None:
        raise NotFoundError("There is no such key.")
    return key


async def may_sign(control: Control, merchant_id: MerchantId, key_id: KeyId) -> bool:
    """Return whether this is a live Source Key of the merchant."""
    key = await _with_id(control, merchant_id, key_id)
    return key is not None and key.signing and is_live(key, control.clock.now())


async def authenticate(control: Control, text: str) -> ApiKey:
    """Return the live key that *text* is.

    The look-up is by hash, so how long it takes says nothing of how near a guess came.

    Raises:
        UnauthenticatedError: It is none, or one that has expired or was revoked.

    """
    if not key_text.looks_like(text):
        raise UnauthenticatedError("not a key")
    key = await control.store.key_by_digest(key_text.digest(text))
    if key is None or not is_live(key, control.clock.now()):
        raise UnauthenticatedError("not a live key")
    return key


async def is_still_live(control: Control, caller: Caller) -> bool:
    """Return whether what let the caller in would do so now; for requests that do not end."""
    if caller.key_digest is None:
        return True
    key = await control.store.key_by_digest(caller.key_digest)
    return key is not None and is_live(key, control.clock.now())


async def was_revoked(control: Control, merchant_id: MerchantId, text: str) -> bool:
    """Return whether the key with this printed id was closed: the merchant's, or the operator's."""
    key_id = ids.from_text(ids.KEY, text)
    for owner in (merchant_id, None):
        key = None if key_id is None else await _with_id(control, owner, KeyId(key_id))
        if key is not None:
            return key.revoked_at is not None
    return True


async def users_of(control: Control, merchant_id: MerchantId) -> dict[KeyId, list[Endpoint]]:
    """Return the endpoints that sign with a Source Key, by the key."""
    found: dict[KeyId, list[Endpoint]] = {}
    for routing in await control.store.routing([merchant_id]):
        for endpoint in routing.endpoints:
            if endpoint.signature.key_id is not None:
                found.setdefault(endpoint.signature.key_id, []).append(endpoint)
    return found


def is_live(key: ApiKey, now: datetime) -> bool:
    """Whether the key opens anything at this time."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def caller_of(key: ApiKey, *, request_id: str | None, ip: str | None) -> Caller:
    """Return who calls with this key."""
    return Caller(
        actor=f"key:{ids.to_text(ids.KEY, key.id)}",
        scopes=frozenset(key.scopes),
        merchant_id=key.merchant_id,
        request_id=request_id,
        ip=ip,
        key_digest=key.digest,
    )


async def _check(control: Control, merchant: Merchant | None, draft: KeyDraft) -> None:
    faults = Faults()
    faults.text("/label", draft.label, chars_max=limits.LABEL_CHARS_MAX)
    if not draft.scopes:
        faults.add("/scopes", "too_few", "Give the key at least one permission.")
    for place, scope in enumerate(draft.scopes):
        if merchant is not None and scope not in GRANTABLE:
            faults.add(f"/scopes/{place}", "not_allowed", "A merchant's key cannot have this.")
    if draft.expires_at is not None and draft.expires_at <= control.clock.now():
        faults.add("/expires_at", "in_the_past", "A key must expire in the future.")
    if draft.signing and merchant is None:
        faults.add("/signing", "not_allowed", "Only a merchant's key can sign.")
    faults.check()
    if merchant is not None:
        now = control.clock.now()
        living = [key for key in await _all(control, merchant) if is_live(key, now)]
        if len(living) >= limits.KEYS_PER_MERCHANT_MAX:
            detail = f"A merchant has at most {limits.KEYS_PER_MERCHANT_MAX} live keys."
            raise InvalidError.at("", "quota", detail)


async def _with_id(
    control: Control, merchant_id: MerchantId | None, key_id: KeyId
) -> ApiKey | None:
    # Where the list goes on after the next higher id, so that a key is found however many are
    # newer: one that could not be found could not be revoked.
    above = (int.from_bytes(key_id, "big") + 1) % (1 << 8 * len(key_id))
    window = Window(limit=1, after=above.to_bytes(len(key_id), "big"))
    return next(
        (key for key in await control.store.keys(merchant_id, window) if key.id == key_id), None
    )


async def _all(control: Control, merchant: Merchant) -> list[ApiKey]:
    # Revoked keys stay listed, so there may be more than may live; ten pages are ample.
    found: list[ApiKey] = []
    after: bytes | None = None
    for _ in range(10):
        page = await control.store.keys(
            merchant.id, Window(limit=limits.KEYS_PER_MERCHANT_MAX, after=after)
        )
        found += page
        if len(page) < limits.KEYS_PER_MERCHANT_MAX:
            break
        after = page[-1].id
    return found


def _kind(mode: Mode) -> KeyKind:
    return KeyKind.SANDBOX if mode is Mode.SANDBOX else KeyKind.LIVE

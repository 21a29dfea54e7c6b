"""Second factors: codes from an app (TOTP), and ten recovery codes for when the phone is gone.

A code counts one step of 30 seconds around now, each step once: what somebody reads over a
shoulder is used up already. A recovery code counts once.
"""

import hmac
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec
import pyotp

from payhooks import ids, limits
from payhooks.control import lockout, secrets, sessions
from payhooks.control.context import Caller, Control, audit_entry, upon_what_is_there
from payhooks.control.lockout import Tried
from payhooks.errors import InvalidError, WrongStateError
from payhooks.model.audit import AuditEntry
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.model.user import NO_MERCHANT, User
from payhooks.ports.identity import IdentityChange, SignedIn

ISSUER: Final = "Payhooks"
_STEP_S: Final = 30
_STEPS_AROUND: Final = 1  # phones are seldom more than half a minute off
_CODE_DIGITS: Final = 6
_SEED_BYTES: Final = 20  # RFC 4226: as long as the hash
_RECOVERY_BYTES: Final = 10  # 80 random bits: 16 characters of base 32
_RECOVERY_GROUP: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A seed that does not count yet: its code has to come back first."""

    seed: str = field(repr=False)  # base 32, to type in
    url: str = field(repr=False)  # otpauth://, for the QR code


async def enrol(control: Control, caller: Caller, user: User) -> Enrolment:
    """Return a new seed; one that was begun before and not confirmed is forgotten.

    Raises:
        WrongStateError: There is a second factor already; turn it off first.
        StaleVersionError: The user changed in this moment; try again.

    """
    user = await _as_it_is(control, user)
    _demand_none(user)
    text = b32encode(control.random_bytes(_SEED_BYTES)).decode()
    seed = secrets.seal(
        control, text, merchant_id=NO_MERCHANT, owner_id=user.id, purpose=SecretPurpose.TOTP
    )
    begun = await control.store.secrets(NO_MERCHANT, user.id)
    change = IdentityChange(
        audit=_entry(control, caller, user, "factor.begun"),
        # A version of its own: or a seed that was confirmed in this moment would be forgotten.
        user=msgspec.structs.replace(user, version=user.version + 1),
        seed=seed,
        forget_secrets=tuple(secret.id for secret in begun),
    )
    await control.store.apply_identity(change)
    return _enrolment(user, text)


async def pending(control: Control, user: User) -> Enrolment | None:
    """Return the seed that waits to be confirmed, to be shown again after a wrong code."""
    if user.has_factor:
        return None
    begun = await control.store.secrets(NO_MERCHANT, user.id)
    return _enrolment(user, secrets.open_secret(control.keyring, begun[0])) if begun else None


async def confirm(
    control: Control, caller: Caller, signed_in: SignedIn, code: str
) -> tuple[str, ...]:
    """Return the recovery codes, shown once; the seed counts, and the factor is given.

    Raises:
        InvalidError: The code does not match.
        WrongStateError: There is a second factor already, or none was begun.
        RateLimitedError: After too many tries.

    """
    user = await _as_it_is(control, signed_in.user)
    _demand_none(user)
    begun = await control.store.secrets(NO_MERCHANT, user.id)
    if not begun:
        raise WrongStateError("Begin to enable the second factor first.")
    tried = lockout.subjects(Tried.CODE, user.id, caller.ip)
    await lockout.begin(control, tried)
    now = control.clock.now()
    step = _matching_step(_normal(code), secrets.open_secret(control.keyring, begun[0]), now)
    if step is None or step <= user.last_step:
        raise _wrong_code()
    codes = _new_recovery_codes(control)
    enabled = msgspec.structs.replace(
        user,
        seed_id=begun[0].id,
        last_step=step,
        recovery_digests=_digests(codes),
        version=user.version + 1,
    )
    change = IdentityChange(
        audit=_entry(control, caller, user, "factor.enabled"),
        user=enabled,
        forget_secrets=tuple(secret.id for secret in begun[1:]),
        factor_given=(signed_in.session.id, now),
    )
    await control.store.apply_identity(change)
    await control.store.end_try(tried)
    return codes


async def verify(control: Control, caller: Caller, signed_in: SignedIn, code: str) -> User:
    """Return the user, whose session has given a second factor now: a code of either kind.

    Raises:
        InvalidError: No code of this user, or one that was used.
        RateLimitedError: After too many tries.
        WrongStateError: There is no second factor to give.
        NotFoundError: The session has ended meanwhile.
        StaleVersionError: Others change the user all the time; try again.

    """
    tried = lockout.subjects(Tried.CODE, signed_in.user.id, caller.ip)
    await lockout.begin(control, tried)
    given = _normal(code)

    async def use() -> User:
        # Read anew each time: a code that somebody else used in this moment is used.
        user = await _as_it_is(control, signed_in.user)
        used = await _used(control, user, given)
        change = IdentityChange(
            audit=_entry(
                control,
                caller,
                user,
                "factor.given",
                {"recovery_codes": [len(user.recovery_digests), len(used.recovery_digests)]},
            ),
            user=used,
            factor_given=(signed_in.session.id, control.clock.now()),
        )
        await control.store.apply_identity(change)
        return used

    used = await upon_what_is_there(use)
    await control.store.end_try(tried)
    return used


async def renew_recovery_codes(
    control: Control, caller: Caller, signed_in: SignedIn
) -> tuple[str, ...]:
    """Return ten new recovery codes, shown once; none of before counts.

    Raises:
        ForbiddenError: The second factor was not given just now.

    """
    sessions.demand_fresh_factor(control, signed_in)
    user = signed_in.user
    codes = _new_recovery_codes(control)
    renewed = msgspec.structs.replace(
        user, recovery_digests=_digests(codes), version=user.version + 1
    )
    entry = _entry(control, caller, user, "recovery_codes.renewed")
    await control.store.apply_identity(IdentityChange(audit=entry, user=renewed))
    return codes


async def turn_off(control: Control, caller: Caller, signed_in: SignedIn) -> User:
    """Return the user without a second factor; every other session ends.

    Raises:
        ForbiddenError: The second factor was not given just now.

    """
    sessions.demand_fresh_factor(control, signed_in)
    entry = _entry(control, caller, signed_in.user, "factor.disabled")
    change = IdentityChange(audit=entry, except_session=signed_in.session.id)
    return await _remove(control, signed_in.user, change)


async def reset(control: Control, caller: Caller, user: User) -> User:
    """Return the user without a second factor, signed out everywhere; for who lost theirs."""
    change = IdentityChange(audit=_entry(control, caller, user, "factor.reset"))
    return await _remove(control, user, change)


async def _as_it_is(control: Control, user: User) -> User:
    """Return the user as stored now: what was read with the request may be older."""
    stored = await control.store.user(user.id)
    assert stored is not None, "users are never removed"
    return stored


async def _remove(control: Control, user: User, change: IdentityChange) -> User:
    without = msgspec.structs.replace(
        user, seed_id=None, recovery_digests=(), version=user.version + 1
    )
    known = await control.store.secrets(NO_MERCHANT, user.id)
    await control.store.apply_identity(
        msgspec.structs.replace(
            change,
            user=without,
            forget_secrets=tuple(secret.id for secret in known),
            end_sessions_of=user.id,
        )
    )
    return without


async def _used(control: Control, user: User, given: str) -> User:
    """Return the user after this code was used."""
    seed = await _seed(control, user)
    if seed is None:
        raise WrongStateError("There is no second factor.")
    if len(given) == _CODE_DIGITS:
        step = _matching_step(given, seed, control.clock.now())
        if step is None or step <= user.last_step:
            raise _wrong_code()
        return msgspec.structs.replace(user, last_step=step, version=user.version + 1)
    [digest] = _digests([given])
    left = tuple(kept for kept in user.recovery_digests if not hmac.compare_digest(kept, digest))
    if len(left) == len(user.recovery_digests):
        raise _wrong_code()
    return msgspec.structs.replace(user, recovery_digests=left, version=user.version + 1)


async def _seed(control: Control, user: User) -> str | None:
    found: Sequence[SealedSecret] = await control.store.secrets(NO_MERCHANT, user.id)
    for secret in found:
        if secret.id == user.seed_id:
            return secrets.open_secret(control.keyring, secret)
    return None


def _matching_step(given: str, seed: str, now: datetime) -> int | None:
    """Return the step whose code it is; all are compared, so that time tells nothing."""
    totp = pyotp.TOTP(seed)
    here = int(now.timestamp()) // _STEP_S
    steps = range(here - _STEPS_AROUND, here + _STEPS_AROUND + 1)
    codes = [totp.generate_otp(step) for step in steps]
    matching = [
        step
        for step, code in zip(steps, codes, strict=True)
        if hmac.compare_digest(code.encode(), given.encode())
    ]
    # The same six digits may come twice; the later step uses up both.
    return max(matching, default=None)


def _normal(code: str) -> str:
    """Return the code as it was made: people type spaces, dashes and capitals."""
    kept = "".join(character for character in code[:64] if character.isalnum())
    return kept.encode("ascii", "replace").decode().upper()


def _new_recovery_codes(control: Control) -> tuple[str, ...]:
    drawn = [
        b32encode(control.random_bytes(_RECOVERY_BYTES)).decode().lower()
        for _ in range(limits.RECOVERY_CODES)
    ]
    starts = range(0, len(drawn[0]), _RECOVERY_GROUP)
    return tuple(
        "-".join(text[start : start + _RECOVERY_GROUP] for start in starts) for text in drawn
    )


def _digests(codes: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(sessions.digest(_normal(code)) for code in codes)


def _enrolment(user: User, seed: str) -> Enrolment:
    url = pyotp.TOTP(seed).provisioning_uri(name=user.username, issuer_name=ISSUER)
    return Enrolment(seed=seed, url=url)


def _demand_none(user: User) -> None:
    if user.has_factor:
        raise WrongStateError("There is a second factor already; turn it off first.")


def _wrong_code() -> InvalidError:
    detail = "That code did not match. Codes change every 30 seconds."
    return InvalidError.at("/code", "wrong_code", detail)


def _entry(
    control: Control,
    caller: Caller,
    user: User,
    action: str,
    changes: dict[str, object] | None = None,
) -> AuditEntry:
    return audit_entry(
        control,
        caller,
        merchant_id=None,
        action=action,
        target=ids.to_text(ids.USER, user.id),
        changes=changes,
    )

"""Who is signed in: from name and password to a cookie, and from a cookie to a ``Caller``.

A session says who somebody is. What they may do is read with it each time, so that a role that
was taken away, a user who was disabled and a session that was killed count at the next request.
"""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from payhooks import ids, limits
from payhooks.control import lockout
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.lockout import Tried
from payhooks.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StaleVersionError,
    UnauthenticatedError,
)
from payhooks.ids import MerchantId, SessionId
from payhooks.model.user import NO_MERCHANT, SCOPES, Membership, Session, User
from payhooks.ports.identity import IdentityChange, SignedIn

_TOKEN_BYTES: Final = 32
_TOKEN_CHARS_MAX: Final = 64
_AGENT_CHARS_MAX: Final = 200
_TURNS: Final = 3  # of a sign-in that changes of its user may overtake
_NOT_RIGHT: Final = "The username, e-mail or password is not right."


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """From where somebody not yet signed in asks."""

    ip: str | None
    agent: str = ""
    request_id: str | None = None
    cookie: str = field(default="", repr=False)  # of the session that this browser has already


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session that was just opened; the only moment at which its cookie is known."""

    session: Session
    user: User
    text: str = field(repr=False)  # the cookie's value


async def sign_in(control: Control, visitor: Visitor, *, name: str, password: str) -> NewSession:
    """Return a session of the user with this username or e-mail; no second factor is given yet.

    The session that the browser had ends: its cookie would live on wherever else it was kept.

    Raises:
        UnauthenticatedError: Unknown, disabled, or another password; nobody is told which.
        RateLimitedError: After too many tries, for this user or from this address.
        OverloadedError: Too many passwords are being checked.

    """
    user = await control.store.user_by_name(name) if name.isprintable() else None
    tried = lockout.subjects(Tried.PASSWORD, name, visitor.ip)
    await lockout.begin(control, tried)
    kept = None if user is None or user.disabled_at is not None else user.password_hash
    if not await control.passwords.matches(password, kept) or user is None:
        raise UnauthenticatedError(_NOT_RIGHT)
    await control.store.end_try(tried)
    user = await _rehash(control, user, password)
    for _ in range(_TURNS):
        now = await control.store.user(user.id)
        # What was compared must still be so: a thief's sign-in that is under way while the
        # password changes would outlive it by twelve hours.
        if now is None or now.disabled_at is not None or now.password_hash != user.password_hash:
            break
        try:
            return await _open(control, visitor, now)
        except StaleVersionError:
            continue
    raise UnauthenticatedError(_NOT_RIGHT)


async def demand_password(control: Control, caller: Caller, user: User, password: str) -> None:
    """Return if it is the password of somebody who is signed in.

    Raises:
        InvalidError: It is not.
        RateLimitedError: After too many tries.

    """
    tried = lockout.subjects(Tried.PASSWORD, user.username, caller.ip)
    await lockout.begin(control, tried)
    if not await control.passwords.matches(password, user.password_hash):
        raise InvalidError.at("/password", "wrong_password", "This is not your password.")
    await control.store.end_try(tried)


async def find(control: Control, text: str, *, present: bool = True) -> SignedIn | None:
    """Return who has this cookie; None where it is none, or the session has ended.

    *present*: somebody is there. What asks by itself does not keep a session from ending.
    """
    if len(text) > _TOKEN_CHARS_MAX:
        return None
    found = await control.store.signed_in(digest(text))
    now = control.clock.now()
    if found is None or found.user.disabled_at is not None or has_ended(found.session, now):
        return None
    unseen = now - found.session.seen_at
    if present and unseen >= timedelta(seconds=limits.SESSION_SEEN_EVERY_S):
        await control.store.seen(found.session.id, at=now)
    return found


def current(signed_in: SignedIn) -> Membership | None:
    """Return the membership that is looked at; None where the user has none (any more)."""
    for membership in signed_in.memberships:
        if membership.merchant_id == signed_in.session.merchant_id:
            return membership
    return next(iter(signed_in.memberships), None)


def caller_of(signed_in: SignedIn, *, request_id: str | None, ip: str | None) -> Caller:
    """Return who asks: the user, with what the role allows for the merchant looked at."""
    membership = current(signed_in)
    return Caller(
        actor=actor_of(signed_in.user),
        scopes=frozenset() if membership is None else SCOPES[membership.role],
        # Never None, which would be every merchant.
        merchant_id=NO_MERCHANT if membership is None else membership.merchant_id,
        request_id=request_id,
        ip=ip,
    )


def actor_of(user: User) -> str:
    """Return how the audit log names the user."""
    return f"user:{ids.to_text(ids.USER, user.id)}"


def factor_fresh(signed_in: SignedIn, now: datetime, *, within_s: float) -> bool:
    """Whether the user has a second factor and gave it here in the last *within_s* seconds."""
    given_at = signed_in.session.factor_at
    return (
        signed_in.user.has_factor
        and given_at is not None
        and now - given_at <= timedelta(seconds=within_s)
    )


def demand_fresh_factor(control: Control, signed_in: SignedIn) -> None:
    """Return if a second factor was given in the last five minutes.

    Raises:
        ForbiddenError: It was not.

    """
    if not factor_fresh(signed_in, control.clock.now(), within_s=limits.FRESH_FACTOR_S):
        raise ForbiddenError("This asks for a second factor once more.")


def has_ended(session: Session, now: datetime) -> bool:
    """Whether the session ended by time: idle for too long, or too old."""
    return now - session.seen_at >= timedelta(
        seconds=limits.SESSION_IDLE_S
    ) or now - session.created_at >= timedelta(seconds=limits.SESSION_S_MAX)


async def of_user(control: Control, user: User) -> list[Session]:
    """Return the user's living sessions, newest first."""
    now = control.clock.now()
    found = await control.store.sessions(user.id)
    return [session for session in found if not has_ended(session, now)]


async def switch(control: Control, signed_in: SignedIn, merchant_id: MerchantId) -> None:
    """Let the session look at another of the user's merchants.

    Raises:
        NotFoundError: It is none of the user's.

    """
    if all(one.merchant_id != merchant_id for one in signed_in.memberships):
        raise NotFoundError("There is no such merchant.")
    await control.store.look_at(signed_in.session.id, merchant_id)


async def end(control: Control, caller: Caller, user: User, session_id: SessionId) -> None:
    """End one of the user's sessions, as signing out does with the own.

    Raises:
        NotFoundError: It is gone, or another user's.

    """
    if all(one.id != session_id for one in await control.store.sessions(user.id)):
        raise NotFoundError("There is no such session.")
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action="session.ended",
        target=ids.to_text(ids.SESSION, session_id),
    )
    await control.store.apply_identity(IdentityChange(audit=entry, end_sessions=(session_id,)))


async def end_others(control: Control, caller: Caller, signed_in: SignedIn) -> None:
    """End every session of the user but this one."""
    user = signed_in.user
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action="session.others_ended",
        target=ids.to_text(ids.USER, user.id),
    )
    change = IdentityChange(
        audit=entry, end_sessions_of=user.id, except_session=signed_in.session.id
    )
    await control.store.apply_identity(change)


def new_token(control: Control) -> str:
    """Return a text with 256 random bits, for a cookie or a link."""
    return urlsafe_b64encode(control.random_bytes(_TOKEN_BYTES)).decode().rstrip("=")


def digest(text: str) -> bytes:
    """Return what is stored and looked up: SHA-256, enough for so many random bits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


async def _open(control: Control, visitor: Visitor, user: User) -> NewSession:
    now = control.clock.now()
    await control.store.forget_sessions(
        seen_before=now - timedelta(seconds=limits.SESSION_IDLE_S),
        created_before=now - timedelta(seconds=limits.SESSION_S_MAX),
        limit=limits.SLICE_ROWS_MAX,
    )
    ending = await _ending(control, visitor, user)
    text = new_token(control)
    agent = "".join(filter(str.isprintable, visitor.agent))[:_AGENT_CHARS_MAX]
    session = Session(
        id=SessionId(control.ids.new()),
        digest=digest(text),
        user_id=user.id,
        merchant_id=None,
        created_at=now,
        seen_at=now,
        factor_at=None,
        ip=visitor.ip,
        agent=agent,
    )
    caller = Caller(
        actor=actor_of(user),
        scopes=frozenset(),
        merchant_id=NO_MERCHANT,
        request_id=visitor.request_id,
        ip=visitor.ip,
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action="user.signed_in",
        target=ids.to_text(ids.SESSION, session.id),
        changes={
            "agent": [None, agent],
            "ended": [[ids.to_text(ids.SESSION, one) for one in ending], []],
        },
    )
    change = IdentityChange(
        audit=entry, opened=session, opened_for=user.version, end_sessions=ending
    )
    await control.store.apply_identity(change)
    return NewSession(session=session, user=user, text=text)


async def _ending(control: Control, visitor: Visitor, user: User) -> tuple[SessionId, ...]:
    """Return the sessions that end where a new one begins."""
    known = await control.store.sessions(user.id)
    # Somebody who signs in again and again loses the oldest, not the way in.
    ending = [one.id for one in known[limits.SESSIONS_PER_USER_MAX - 1 :]]
    replaced = None
    if 0 < len(visitor.cookie) <= _TOKEN_CHARS_MAX:
        replaced = await control.store.signed_in(digest(visitor.cookie))
    if replaced is not None and replaced.session.id not in ending:
        ending.append(replaced.session.id)
    return tuple(ending)


async def _rehash(control: Control, user: User, password: str) -> User:
    """Keep the password at today's cost; not kept is not worth failing a sign-in for."""
    if not control.passwords.is_outdated(user.password_hash):
        return user
    rehashed = msgspec.structs.replace(
        user, password_hash=await control.passwords.hash(password), version=user.version + 1
    )
    caller = Caller(actor="system", scopes=frozenset(), merchant_id=NO_MERCHANT)
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action="user.password_rehashed",
        target=ids.to_text(ids.USER, user.id),
    )
    try:
        await control.store.apply_identity(IdentityChange(audit=entry, user=rehashed))
    except StaleVersionError:
        return user
    return rehashed

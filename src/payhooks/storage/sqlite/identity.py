"""People at rest, and who is signed in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import apsw

from payhooks import limits
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import MerchantId, SessionId, UserId
from payhooks.model.merchant import Merchant
from payhooks.model.user import Invitation, Membership, Role, Session, User
from payhooks.policy import lockout
from payhooks.policy.lockout import Subject, Tries
from payhooks.ports.controlling import Window
from payhooks.ports.identity import IdentityChange, Member, SignedIn
from payhooks.storage import statements
from payhooks.storage.documents import decode, encode
from payhooks.storage.sqlite.applying import announce, forget_secret, log, write_secret
from payhooks.storage.sqlite.connection import (
    Row,
    first,
    from_us,
    optional_time,
    optional_us,
    rows,
    run,
    to_us,
)
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "identity.sql")


class SqliteIdentity(Part):
    """See IdentityStore."""

    async def apply_identity(self, change: IdentityChange) -> None:
        """See IdentityStore."""
        await self._write(Kind.QUICK, lambda db: _write_change(db, change))

    async def user(self, user_id: UserId) -> User | None:
        """See IdentityStore."""
        return await self._user("user", user_id)

    async def user_by_name(self, name: str) -> User | None:
        """See IdentityStore."""
        return await self._user("user_by_name", name.casefold())

    async def users(self, window: Window) -> list[User]:
        """See IdentityStore."""
        found = await self._rows("users", *_bounds(window))
        return [decode(User, document) for (document,) in found]

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """See IdentityStore."""
        return [_membership(row) for row in await self._rows("memberships", user_id)]

    async def merchants_of(self, user_id: UserId) -> list[Merchant]:
        """See IdentityStore."""
        found = await self._rows("merchants_of", user_id)
        return [decode(Merchant, document) for (document,) in found]

    async def member(self, merchant_id: MerchantId, user_id: UserId) -> Member | None:
        """See IdentityStore."""
        found = await self._rows("member", merchant_id, user_id)
        return _member(found[0]) if found else None

    async def members(self, merchant_id: MerchantId, window: Window) -> list[Member]:
        """See IdentityStore."""
        found = await self._rows("members", merchant_id, *_bounds(window))
        return [_member(row) for row in found]

    async def invitation(self, digest: bytes) -> Invitation | None:
        """See IdentityStore."""
        found = await self._rows("invitation", digest)
        return decode(Invitation, found[0][0]) if found else None

    async def invitations(self, merchant_id: MerchantId, window: Window) -> list[Invitation]:
        """See IdentityStore."""
        found = await self._rows("invitations", merchant_id, *_bounds(window))
        return [decode(Invitation, document) for (document,) in found]

    async def signed_in(self, digest: bytes) -> SignedIn | None:
        """See IdentityStore."""

        def work(db: apsw.Connection) -> SignedIn | None:
            found = first(db, _SQL["signed_in"], (digest,))
            if found is None:
                return None
            *session, document = found
            mine = rows(db, _SQL["memberships"], (found[2],))
            return SignedIn(
                session=_session(session),
                user=decode(User, document),
                memberships=tuple(map(_membership, mine)),
            )

        return await self._read(work)

    async def sessions(self, user_id: UserId) -> list[Session]:
        """See IdentityStore."""
        return [_session(row) for row in await self._rows("sessions", user_id)]

    async def seen(self, session_id: SessionId, *, at: datetime) -> None:
        """See IdentityStore."""
        values = (session_id, to_us(at))
        await self._write(Kind.QUICK, lambda db: run(db, _SQL["seen"], values))

    async def look_at(self, session_id: SessionId, merchant_id: MerchantId) -> None:
        """See IdentityStore."""
        values = (session_id, merchant_id)
        await self._write(Kind.QUICK, lambda db: run(db, _SQL["look_at"], values))

    async def forget_sessions(
        self, *, seen_before: datetime, created_before: datetime, limit: int
    ) -> int:
        """See IdentityStore."""
        values = (to_us(seen_before), to_us(created_before), limit)
        return await self._write(Kind.QUICK, lambda db: run(db, _SQL["forget_sessions"], values))

    async def begin_try(self, subjects: Sequence[Subject], *, now: datetime) -> float:
        """See IdentityStore."""
        return await self._write(Kind.QUICK, lambda db: _begin_try(db, subjects, now))

    async def end_try(self, subjects: Sequence[Subject]) -> None:
        """See IdentityStore."""

        def work(db: apsw.Connection) -> None:
            for subject in subjects:
                name = "take_back_try" if subject.shared else "forget_tries"
                run(db, _SQL[name], (subject.digest,))

        await self._write(Kind.QUICK, work)

    async def _rows(self, name: str, *bindings: Any) -> list[Row]:  # noqa: ANN401 - any binding
        return await self._read(lambda db: rows(db, _SQL[name], bindings))

    async def _user(self, name: str, binding: UserId | str) -> User | None:
        found = await self._rows(name, binding)
        return decode(User, found[0][0]) if found else None


def _write_change(db: apsw.Connection, change: IdentityChange) -> None:
    """Write every member of *change*, and its audit entry; the savepoint undoes a half."""
    if change.user is not None:
        _write_user(db, change.user)
    if change.seed is not None:
        write_secret(db, change.seed)
    for id_ in change.forget_secrets:
        forget_secret(db, id_)
    _write_team(db, change)
    _write_sessions(db, change)
    for announcement in change.announcements:
        announce(db, announcement)
    log(db, change.audit)


def _write_user(db: apsw.Connection, user: User) -> None:
    names = (user.username.casefold(), user.email.casefold())
    values = (user.id, *names, user.version, int(user.disabled_at is not None), encode(user))
    stored = first(db, _SQL["user_version"], (user.id,)) or (0,)
    if stored[0] != user.version - 1:
        raise StaleVersionError(f"user version {user.version} does not follow the stored one")
    if first(db, _SQL["names_taken"], (user.id, *names)) is not None:
        raise WrongStateError("The username or e-mail is taken.")
    run(db, _SQL["write_user"], values)


def _write_team(db: apsw.Connection, change: IdentityChange) -> None:
    _demand_owners_beside(db, change)
    if change.joining is not None:
        one = change.joining
        values = (one.merchant_id, one.user_id, one.role, to_us(one.created_at))
        if run(db, _SQL["join"], values) == 0:
            raise WrongStateError("The user is in this team already.")
    if change.role is not None:
        seen, role = change.role
        _write_member(db, "set_role", seen, role)
    if change.leaving is not None:
        _write_member(db, "leave", change.leaving)
    if change.invitation is not None:
        invited = change.invitation
        row = (invited.id, invited.merchant_id, invited.digest, encode(invited))
        run(db, _SQL["insert_invitation"], row)
    used = change.forget_invitation
    if used is not None and run(db, _SQL["forget_invitation"], (used,)) == 0:
        raise NotFoundError("There is no such invitation.")


def _demand_owners_beside(db: apsw.Connection, change: IdentityChange) -> None:
    """Return if every team that loses an owner has another who can sign in."""
    going = [] if change.owner_no_more is None else [change.owner_no_more]
    if change.stays_owned:
        assert change.user is not None
        mine = map(_membership, rows(db, _SQL["memberships"], (change.user.id,)))
        going += [one for one in mine if one.role is Role.OWNER]
    for one in going:
        if first(db, _SQL["owner_beside"], (one.merchant_id, one.user_id)) is None:
            raise WrongStateError("The last owner of a team stays.")


def _write_member(db: apsw.Connection, name: str, seen: Membership, *values: object) -> None:
    """Write to a membership if it is as it was seen."""
    key = (seen.merchant_id, seen.user_id)
    if run(db, _SQL[name], (*key, seen.role, *values)) == 0:
        if first(db, _SQL["member"], key) is None:
            raise NotFoundError("There is no such member.")
        raise StaleVersionError("the member has another role by now")


def _write_sessions(db: apsw.Connection, change: IdentityChange) -> None:
    if change.factor_given is not None:
        id_, at = change.factor_given
        if run(db, _SQL["give_factor"], (id_, to_us(at))) == 0:
            raise NotFoundError("There is no such session.")
    for session_id in change.end_sessions:
        run(db, _SQL["end_session"], (session_id,))
    if change.end_sessions_of is not None:
        run(db, _SQL["end_sessions"], (change.end_sessions_of, change.except_session))
    if change.opened is not None:
        one = change.opened
        if first(db, _SQL["user_version"], (one.user_id,)) != (change.opened_for,):
            raise StaleVersionError("the user has changed meanwhile")
        values = (
            *(one.id, one.digest, one.user_id, one.merchant_id, to_us(one.created_at)),
            *(to_us(one.seen_at), optional_us(one.factor_at), one.ip, one.agent),
        )
        run(db, _SQL["open_session"], values)


def _begin_try(db: apsw.Connection, subjects: Sequence[Subject], now: datetime) -> float:
    old = (to_us(now - lockout.FORGOTTEN_AFTER), limits.SLICE_ROWS_MAX)
    run(db, _SQL["forget_old_tries"], old)
    tries = [_tries(db, subject.digest) for subject in subjects]
    counted = list(zip(subjects, tries, strict=True))
    wait_s = max(lockout.wait_s(subject, one, now) for subject, one in counted)
    if wait_s > 0:
        return wait_s
    for subject, one in counted:
        after = lockout.after_try(subject, one, now)
        run(db, _SQL["write_tries"], (subject.digest, after.count, to_us(after.since)))
    return 0.0


def _tries(db: apsw.Connection, digest: bytes) -> Tries | None:
    found = first(db, _SQL["tries"], (digest,))
    return None if found is None else Tries(count=found[0], since=from_us(found[1]))


def _member(row: Row) -> Member:
    return Member(user=decode(User, row[0]), membership=_membership(row[1:]))


def _membership(row: Row) -> Membership:
    user_id, merchant_id, role, created_at = row
    return Membership(
        user_id=user_id, merchant_id=merchant_id, role=Role(role), created_at=from_us(created_at)
    )


def _session(row: Sequence[Any]) -> Session:
    id_, digest, user_id, merchant_id, created_at, seen_at, factor_at, ip, agent = row
    return Session(
        id=id_,
        digest=digest,
        user_id=user_id,
        merchant_id=merchant_id,
        created_at=from_us(created_at),
        seen_at=from_us(seen_at),
        factor_at=optional_time(factor_at),
        ip=ip,
        agent=agent,
    )


def _bounds(window: Window) -> tuple[bytes, int]:
    return (NEWEST if window.after is None else window.after, window.limit)

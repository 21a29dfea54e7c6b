"""People at rest, and who is signed in.

Lock order of a change: the audit chain, the user, owners of teams, sessions. Who takes an owner
away, from a team or from all by disabling, locks all owners there are first, and counts after that
in another statement: so of two who go at once the second sees that the first has gone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg  # type: ignore[import-untyped] # See connections.py.

from payhooks import limits
from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import MerchantId, SessionId, UserId
from payhooks.model.merchant import Merchant
from payhooks.model.user import Invitation, Membership, Role, Session, User
from payhooks.policy import lockout
from payhooks.policy.lockout import Subject, Tries
from payhooks.ports.controlling import Window
from payhooks.ports.identity import IdentityChange, Member, SignedIn
from payhooks.storage import documents, statements
from payhooks.storage.postgres.applying import announce, forget_secrets, write_secret
from payhooks.storage.postgres.auditing import Chain
from payhooks.storage.postgres.connections import Connection, Connections, Row

_SQL: Final = statements.load("payhooks.storage.postgres", "identity.sql")


class PostgresIdentity:
    """See IdentityStore."""

    _control: Connections

    async def apply_identity(self, change: IdentityChange) -> None:
        """See IdentityStore."""

        async def once() -> None:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, change.audit)
                await _write_change(connection, change)
                await chain.add()

        await self._control.persist(once)

    async def user(self, user_id: UserId) -> User | None:
        """See IdentityStore."""
        return await self._user("user", user_id)

    async def user_by_name(self, name: str) -> User | None:
        """See IdentityStore."""
        return await self._user("user_by_name", name.casefold())

    async def users(self, window: Window) -> list[User]:
        """See IdentityStore."""
        rows = await self._control.call(_SQL["users"], window.after, window.limit)
        return [documents.decode(User, row["document"]) for row in rows]

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """See IdentityStore."""
        return [_membership(row) for row in await self._control.call(_SQL["memberships"], user_id)]

    async def merchants_of(self, user_id: UserId) -> list[Merchant]:
        """See IdentityStore."""
        rows = await self._control.call(_SQL["merchants_of"], user_id)
        return [documents.decode(Merchant, row["document"]) for row in rows]

    async def member(self, merchant_id: MerchantId, user_id: UserId) -> Member | None:
        """See IdentityStore."""
        rows = await self._control.call(_SQL["member"], merchant_id, user_id)
        return _member(rows[0]) if rows else None

    async def members(self, merchant_id: MerchantId, window: Window) -> list[Member]:
        """See IdentityStore."""
        arguments = (merchant_id, window.after, window.limit)
        return [_member(row) for row in await self._control.call(_SQL["members"], *arguments)]

    async def invitation(self, digest: bytes) -> Invitation | None:
        """See IdentityStore."""
        rows = await self._control.call(_SQL["invitation"], digest)
        return documents.decode(Invitation, rows[0]["document"]) if rows else None

    async def invitations(self, merchant_id: MerchantId, window: Window) -> list[Invitation]:
        """See IdentityStore."""
        arguments = (merchant_id, window.after, window.limit)
        rows = await self._control.call(_SQL["invitations"], *arguments)
        return [documents.decode(Invitation, row["document"]) for row in rows]

    async def signed_in(self, digest: bytes) -> SignedIn | None:
        """See IdentityStore."""
        rows = await self._control.call(_SQL["signed_in"], digest)
        if not rows:
            return None
        session = _session(rows[0])
        return SignedIn(
            session=session,
            user=documents.decode(User, rows[0]["document"]),
            memberships=tuple(
                Membership(
                    user_id=session.user_id,
                    merchant_id=row["member_of"],
                    role=Role(row["role"]),
                    created_at=row["member_since"],
                )
                for row in rows
                if row["member_of"] is not None
            ),
        )

    async def sessions(self, user_id: UserId) -> list[Session]:
        """See IdentityStore."""
        return [_session(row) for row in await self._control.call(_SQL["sessions"], user_id)]

    async def seen(self, session_id: SessionId, *, at: datetime) -> None:
        """See IdentityStore."""
        await self._control.call(_SQL["seen"], session_id, at)

    async def look_at(self, session_id: SessionId, merchant_id: MerchantId) -> None:
        """See IdentityStore."""
        await self._control.call(_SQL["look_at"], session_id, merchant_id)

    async def forget_sessions(
        self, *, seen_before: datetime, created_before: datetime, limit: int
    ) -> int:
        """See IdentityStore."""
        arguments = (seen_before, created_before, limit)
        return len(await self._control.call(_SQL["sessions_forget"], *arguments))

    async def begin_try(self, subjects: Sequence[Subject], *, now: datetime) -> float:
        """See IdentityStore."""

        async def once() -> float:
            async with self._control.transaction() as connection:
                return await _begin_try(connection, subjects, now)

        return await self._control.persist(once)

    async def end_try(self, subjects: Sequence[Subject]) -> None:
        """See IdentityStore."""
        for subject in subjects:
            name = "try_take_back" if subject.shared else "tries_forget"
            await self._control.call(_SQL[name], subject.digest)

    async def _user(self, name: str, argument: UserId | str) -> User | None:
        rows = await self._control.call(_SQL[name], argument)
        return documents.decode(User, rows[0]["document"]) if rows else None


async def _write_change(connection: Connection, change: IdentityChange) -> None:
    """Write all of *change* but its audit entry."""
    if change.user is not None:
        await _write_user(connection, change.user)
    if change.seed is not None:
        await write_secret(connection, change.seed)
    if change.forget_secrets:
        await forget_secrets(connection, change.forget_secrets)
    await _write_team(connection, change)
    await _write_sessions(connection, change)
    for announcement in change.announcements:
        await announce(connection, announcement)


async def _write_user(connection: Connection, user: User) -> None:
    values = (
        *(user.id, user.username.casefold(), user.email.casefold(), user.version),
        *(user.disabled_at is not None, documents.encode(user).decode()),
    )
    name = "user_insert" if user.version == 1 else "user_update"
    try:
        found = await connection.fetchrow(_SQL[name], *values)
    except asyncpg.UniqueViolationError as error:
        # Of a name: the id has its own clause.
        raise WrongStateError("The username or e-mail is taken.") from error
    if found is None:
        raise StaleVersionError(f"user version {user.version} does not follow the stored one")


async def _write_team(connection: Connection, change: IdentityChange) -> None:
    if change.stays_owned:
        assert change.user is not None
        await _demand_owner_beside(connection, change.user.id, None)
    if (going := change.owner_no_more) is not None:
        await _demand_owner_beside(connection, going.user_id, going.merchant_id)
    if change.joining is not None:
        one = change.joining
        values = (one.merchant_id, one.user_id, one.role, one.created_at)
        if await connection.fetchrow(_SQL["join"], *values) is None:
            raise WrongStateError("The user is in this team already.")
    if change.role is not None:
        seen, role = change.role
        await _write_member(connection, "role_set", seen, role)
    if change.leaving is not None:
        await _write_member(connection, "leave", change.leaving)
    if change.invitation is not None:
        invited = change.invitation
        document = documents.encode(invited).decode()
        row = (invited.id, invited.merchant_id, invited.digest, document)
        await connection.execute(_SQL["invitation_insert"], *row)
    used = change.forget_invitation
    if used is not None and await connection.fetchrow(_SQL["invitation_forget"], used) is None:
        raise NotFoundError("There is no such invitation.")


async def _demand_owner_beside(
    connection: Connection, user_id: UserId, merchant_id: MerchantId | None
) -> None:
    """Return if others own what the user owns: that merchant's team, or all without one named."""
    await connection.execute(_SQL["owners_lock"], user_id, merchant_id)
    if await connection.fetchrow(_SQL["owned_alone"], user_id, merchant_id) is not None:
        raise WrongStateError("The last owner of a team stays.")


async def _write_member(
    connection: Connection, name: str, seen: Membership, *values: object
) -> None:
    """Write to a membership if it is as it was seen."""
    key = (seen.merchant_id, seen.user_id)
    if await connection.fetchrow(_SQL[name], *key, seen.role, *values) is None:
        if await connection.fetchrow(_SQL["member"], *key) is None:
            raise NotFoundError("There is no such member.")
        raise StaleVersionError("the member has another role by now")


async def _write_sessions(connection: Connection, change: IdentityChange) -> None:
    given = change.factor_given
    if given is not None and await connection.fetchrow(_SQL["factor_give"], *given) is None:
        raise NotFoundError("There is no such session.")
    if change.end_sessions:
        await connection.execute(_SQL["sessions_end_these"], list(change.end_sessions))
    if change.end_sessions_of is not None:
        ending = (change.end_sessions_of, change.except_session)
        await connection.execute(_SQL["sessions_end"], *ending)
    if change.opened is not None:
        one = change.opened
        values = (
            change.opened_for,
            *(one.id, one.digest, one.user_id, one.merchant_id, one.created_at),
            *(one.seen_at, one.factor_at, one.ip, one.agent),
        )
        if await connection.fetchrow(_SQL["session_open"], *values) is None:
            raise StaleVersionError("the user has changed meanwhile")


async def _begin_try(connection: Connection, subjects: Sequence[Subject], now: datetime) -> float:
    digests = [subject.digest for subject in subjects]
    old = (now - lockout.FORGOTTEN_AFTER, limits.SLICE_ROWS_MAX)
    await connection.execute(_SQL["tries_forget_old"], *old)
    await connection.execute(_SQL["tries_make"], digests, now)
    rows = await connection.fetch(_SQL["tries_lock"], digests)
    tries = {row["subject"]: Tries(count=row["count"], since=row["last_at"]) for row in rows}
    wait_s = max(lockout.wait_s(one, tries[one.digest], now) for one in subjects)
    if wait_s > 0:
        return wait_s
    for one in subjects:
        after = lockout.after_try(one, tries[one.digest], now)
        await connection.execute(_SQL["tries_write"], one.digest, after.count, after.since)
    return 0.0


def _member(row: Row) -> Member:
    user = documents.decode(User, row["document"])
    return Member(user=user, membership=_membership(row))


def _membership(row: Row) -> Membership:
    return Membership(
        user_id=row["user_id"],
        merchant_id=row["merchant_id"],
        role=Role(row["role"]),
        created_at=row["created_at"],
    )


def _session(row: Row) -> Session:
    return Session(
        id=row["id"],
        digest=row["digest"],
        user_id=row["user_id"],
        merchant_id=row["merchant_id"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        factor_at=row["factor_at"],
        ip=row["ip"],
        agent=row["agent"],
    )

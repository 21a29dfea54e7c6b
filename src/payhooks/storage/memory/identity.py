"""People at rest, and who is signed in."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import msgspec

from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import MerchantId, SessionId, UserId
from payhooks.model.user import Invitation, Membership, Role, Session, User
from payhooks.policy import lockout
from payhooks.ports.controlling import Window
from payhooks.ports.identity import IdentityChange, Member, SignedIn
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.tables import Tables


class MemoryIdentity:
    """See IdentityStore."""

    _tables: Tables

    async def apply_identity(self, change: IdentityChange) -> None:
        """See IdentityStore."""
        self._check_user(change.user)
        self._check_opened(change)
        self._check_there(change)
        self._check_owner_stays(change)
        tables = self._tables
        if change.user is not None:
            tables.users[change.user.id] = change.user
        if change.seed is not None:
            tables.secrets[change.seed.id] = change.seed
        for id_ in change.forget_secrets:
            tables.secrets.pop(id_, None)
        if change.membership is not None:
            self._write_membership(change.membership)
        if change.leaving is not None:
            user_id, merchant_id = change.leaving
            del tables.memberships[merchant_id, user_id]
        if change.invitation is not None:
            tables.invitations[change.invitation.id] = change.invitation
        if change.forget_invitation is not None:
            del tables.invitations[change.forget_invitation]
        self._write_sessions(change)
        for announcement in change.announcements:
            tables.announcements[announcement.id] = announcement
        tables.log(change.audit)
        tables.publish()

    async def user(self, user_id: UserId) -> User | None:
        """See IdentityStore."""
        return self._tables.users.get(user_id)

    async def user_by_name(self, name: str) -> User | None:
        """See IdentityStore."""
        return self._named(name)

    async def users(self, window: Window) -> list[User]:
        """See IdentityStore."""
        return page(self._tables.users.values(), window)

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """See IdentityStore."""
        return self._memberships(user_id)

    async def member(self, merchant_id: MerchantId, user_id: UserId) -> Member | None:
        """See IdentityStore."""
        membership = self._tables.memberships.get((merchant_id, user_id))
        if membership is None:
            return None
        return Member(user=self._tables.users[user_id], membership=membership)

    async def members(self, merchant_id: MerchantId, window: Window) -> list[Member]:
        """See IdentityStore."""
        team = {
            membership.user_id: membership
            for membership in self._tables.memberships.values()
            if membership.merchant_id == merchant_id
        }
        users = page((self._tables.users[user_id] for user_id in team), window)
        return [Member(user=user, membership=team[user.id]) for user in users]

    async def invitation(self, digest: bytes) -> Invitation | None:
        """See IdentityStore."""
        found = self._tables.invitations.values()
        return next((one for one in found if one.digest == digest), None)

    async def invitations(self, merchant_id: MerchantId, window: Window) -> list[Invitation]:
        """See IdentityStore."""
        waiting = self._tables.invitations.values()
        return page((one for one in waiting if one.merchant_id == merchant_id), window)

    async def signed_in(self, digest: bytes) -> SignedIn | None:
        """See IdentityStore."""
        for session in self._tables.sessions.values():
            if session.digest == digest:
                return SignedIn(
                    session=session,
                    user=self._tables.users[session.user_id],
                    memberships=tuple(self._memberships(session.user_id)),
                )
        return None

    async def sessions(self, user_id: UserId) -> list[Session]:
        """See IdentityStore."""
        mine = [one for one in self._tables.sessions.values() if one.user_id == user_id]
        return sorted(mine, key=lambda session: session.id, reverse=True)

    async def seen(self, session_id: SessionId, *, at: datetime) -> None:
        """See IdentityStore."""
        session = self._tables.sessions.get(session_id)
        if session is not None and session.seen_at < at:
            self._tables.sessions[session_id] = msgspec.structs.replace(session, seen_at=at)

    async def look_at(self, session_id: SessionId, merchant_id: MerchantId) -> None:
        """See IdentityStore."""
        session = self._tables.sessions.get(session_id)
        if session is not None:
            looking = msgspec.structs.replace(session, merchant_id=merchant_id)
            self._tables.sessions[session_id] = looking

    async def forget_sessions(
        self, *, seen_before: datetime, created_before: datetime, limit: int
    ) -> int:
        """See IdentityStore."""
        ended = (
            session.id
            for session in self._tables.sessions.values()
            if session.seen_at < seen_before or session.created_at < created_before
        )
        gone = list(islice(ended, limit))
        for id_ in gone:
            del self._tables.sessions[id_]
        return len(gone)

    async def begin_try(self, subjects: Sequence[bytes], *, now: datetime) -> float:
        """See IdentityStore."""
        tries = self._tables.tries
        old = [key for key, one in tries.items() if now - one.last_at > lockout.FORGOTTEN_AFTER]
        for key in old:
            del tries[key]
        wait_s = max(lockout.wait_s(tries.get(subject), now) for subject in subjects)
        if wait_s > 0:
            return wait_s
        for subject in subjects:
            tries[subject] = lockout.after_try(tries.get(subject), now)
        return 0.0

    async def forget_tries(self, subjects: Sequence[bytes]) -> None:
        """See IdentityStore."""
        for subject in subjects:
            self._tables.tries.pop(subject, None)

    def _named(self, name: str) -> User | None:
        folded = name.casefold()
        users = self._tables.users.values()
        return next(
            (one for one in users if folded in (one.username.casefold(), one.email.casefold())),
            None,
        )

    def _memberships(self, user_id: UserId) -> list[Membership]:
        mine = [one for one in self._tables.memberships.values() if one.user_id == user_id]
        return sorted(mine, key=lambda membership: membership.merchant_id)

    def _check_user(self, user: User | None) -> None:
        if user is None:
            return
        stored = self._tables.users.get(user.id)
        if user.version != (1 if stored is None else stored.version + 1):
            raise StaleVersionError(f"user version {user.version} does not follow the stored one")
        for name in (user.username, user.email):
            other = self._named(name)
            if other is not None and other.id != user.id:
                raise WrongStateError("The username or e-mail is taken.")

    def _check_opened(self, change: IdentityChange) -> None:
        if change.opened is not None:
            stored = self._tables.users[change.opened.user_id]
            if stored.version != change.opened_for:
                raise StaleVersionError("the user has changed meanwhile")

    def _check_there(self, change: IdentityChange) -> None:
        tables = self._tables
        if change.leaving is not None and change.leaving[::-1] not in tables.memberships:
            raise NotFoundError("There is no such member.")
        if (
            change.forget_invitation is not None
            and change.forget_invitation not in tables.invitations
        ):
            raise NotFoundError("There is no such invitation.")
        if change.factor_given is not None and change.factor_given[0] not in tables.sessions:
            raise NotFoundError("There is no such session.")

    def _check_owner_stays(self, change: IdentityChange) -> None:
        """Refuse what would leave a team without an owner who can sign in."""
        if change.no_owner is None:
            return
        user_id, merchant_id = change.no_owner
        owners = {
            one.user_id
            for one in self._tables.memberships.values()
            if one.merchant_id == merchant_id
            and one.role is Role.OWNER
            and self._tables.users[one.user_id].disabled_at is None
        }
        if owners == {user_id}:
            raise WrongStateError("The last owner of a team stays.")

    def _write_membership(self, membership: Membership) -> None:
        key = (membership.merchant_id, membership.user_id)
        stored = self._tables.memberships.get(key)
        if stored is not None:
            membership = msgspec.structs.replace(stored, role=membership.role)
        self._tables.memberships[key] = membership

    def _write_sessions(self, change: IdentityChange) -> None:
        sessions = self._tables.sessions
        if change.factor_given is not None:
            id_, at = change.factor_given
            sessions[id_] = msgspec.structs.replace(sessions[id_], factor_at=at)
        if change.end_session is not None:
            user_id, session_id = change.end_session
            self._end(lambda one: one.user_id == user_id and one.id == session_id)
        ended = change.end_sessions_of
        if ended is not None:
            self._end(lambda one: one.user_id == ended and one.id != change.except_session)
        if change.opened is not None:
            sessions[change.opened.id] = change.opened

    def _end(self, ends: Callable[[Session], bool]) -> None:
        for session in list(self._tables.sessions.values()):
            if ends(session):
                del self._tables.sessions[session.id]

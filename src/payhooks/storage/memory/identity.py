"""People at rest, and who is signed in."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import msgspec

from payhooks.errors import NotFoundError, StaleVersionError, WrongStateError
from payhooks.ids import MerchantId, SessionId, UserId
from payhooks.model.merchant import Merchant
from payhooks.model.user import Invitation, Membership, Role, Session, User
from payhooks.policy import lockout
from payhooks.policy.lockout import Subject, Tries
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
        self._write_team(change)
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

    async def merchants_of(self, user_id: UserId) -> list[Merchant]:
        """See IdentityStore."""
        mine = self._memberships(user_id)
        return [self._tables.merchants[one.merchant_id] for one in mine]

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

    async def begin_try(self, subjects: Sequence[Subject], *, now: datetime) -> float:
        """See IdentityStore."""
        tries = self._tables.tries
        old = [key for key, one in tries.items() if now - one.since > lockout.FORGOTTEN_AFTER]
        for key in old:
            del tries[key]
        wait_s = max(lockout.wait_s(one, tries.get(one.digest), now) for one in subjects)
        if wait_s > 0:
            return wait_s
        for one in subjects:
            tries[one.digest] = lockout.after_try(one, tries.get(one.digest), now)
        return 0.0

    async def end_try(self, subjects: Sequence[Subject]) -> None:
        """See IdentityStore."""
        tries = self._tables.tries
        for one in subjects:
            counted = tries.pop(one.digest, None)
            if one.shared and counted is not None:
                tries[one.digest] = Tries(count=max(counted.count - 1, 0), since=counted.since)

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
        joins = change.joining
        if joins is not None and (joins.merchant_id, joins.user_id) in tables.memberships:
            raise WrongStateError("The user is in this team already.")
        for seen in (change.leaving, change.role and change.role[0]):
            self._check_member(seen)
        if (
            change.forget_invitation is not None
            and change.forget_invitation not in tables.invitations
        ):
            raise NotFoundError("There is no such invitation.")
        if change.factor_given is not None and change.factor_given[0] not in tables.sessions:
            raise NotFoundError("There is no such session.")

    def _check_member(self, seen: Membership | None) -> None:
        if seen is None:
            return
        stored = self._tables.memberships.get((seen.merchant_id, seen.user_id))
        if stored is None:
            raise NotFoundError("There is no such member.")
        if stored.role is not seen.role:
            raise StaleVersionError("the member has another role by now")

    def _check_owner_stays(self, change: IdentityChange) -> None:
        """Refuse what would leave a team without an owner who can sign in."""
        going = [] if change.owner_no_more is None else [change.owner_no_more]
        if change.stays_owned:
            assert change.user is not None
            mine = self._memberships(change.user.id)
            going += [one for one in mine if one.role is Role.OWNER]
        if not all(self._owners(one.merchant_id) - {one.user_id} for one in going):
            raise WrongStateError("The last owner of a team stays.")

    def _owners(self, merchant_id: MerchantId) -> set[UserId]:
        """Return the owners of a team who can sign in."""
        return {
            one.user_id
            for one in self._tables.memberships.values()
            if one.merchant_id == merchant_id
            and one.role is Role.OWNER
            and self._tables.users[one.user_id].disabled_at is None
        }

    def _write_team(self, change: IdentityChange) -> None:
        team = self._tables.memberships
        if change.joining is not None:
            team[change.joining.merchant_id, change.joining.user_id] = change.joining
        if change.role is not None:
            seen, role = change.role
            key = (seen.merchant_id, seen.user_id)
            team[key] = msgspec.structs.replace(team[key], role=role)
        if change.leaving is not None:
            del team[change.leaving.merchant_id, change.leaving.user_id]

    def _write_sessions(self, change: IdentityChange) -> None:
        sessions = self._tables.sessions
        if change.factor_given is not None:
            id_, at = change.factor_given
            sessions[id_] = msgspec.structs.replace(sessions[id_], factor_at=at)
        for session_id in change.end_sessions:
            sessions.pop(session_id, None)
        ended = change.end_sessions_of
        if ended is not None:
            self._end(lambda one: one.user_id == ended and one.id != change.except_session)
        if change.opened is not None:
            sessions[change.opened.id] = change.opened

    def _end(self, ends: Callable[[Session], bool]) -> None:
        for session in list(self._tables.sessions.values()):
            if ends(session):
                del self._tables.sessions[session.id]

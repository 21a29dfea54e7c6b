"""What the console's control functions ask of the store: people and who is signed in.

What is audited is one ``IdentityChange``, written whole with its entry. Times are the caller's:
nothing here is leased, and a minute more or less costs nobody anything.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from payhooks.ids import InvitationId, MerchantId, SessionId, UserId
from payhooks.model.audit import AuditEntry
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret
from payhooks.model.user import Invitation, Membership, Role, Session, User
from payhooks.policy.lockout import Subject
from payhooks.ports.controlling import Window
from payhooks.ports.sweeping import Announcement


class IdentityChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change to people; members that are None or empty change nothing."""

    audit: AuditEntry
    user: User | None = None  # version 1 inserts; else updates version - 1
    seed: SealedSecret | None = None  # inserted
    forget_secrets: tuple[bytes, ...] = ()  # ids, removed
    stays_owned: bool = False  # refused where the user is the last owner of any team
    joining: Membership | None = None  # inserted: the user is not in the team yet
    role: tuple[Membership, Role] | None = None  # as it was seen, and its role from now on
    leaving: Membership | None = None  # removed, if it is as it was seen
    invitation: Invitation | None = None  # inserted
    forget_invitation: InvitationId | None = None  # used or revoked: it has to be there
    opened: Session | None = None  # inserted …
    opened_for: int = 0  # … for this version of its user alone
    factor_given: tuple[SessionId, datetime] | None = None  # the session has to be there
    end_sessions: tuple[SessionId, ...] = ()  # removed where they are there
    end_sessions_of: UserId | None = None  # all of the user's …
    except_session: SessionId | None = None  # … but this one
    announcements: tuple[Announcement, ...] = ()

    @property
    def owner_no_more(self) -> Membership | None:
        """The membership of an owner that is none after this."""
        seen = self.leaving
        if self.role is not None and self.role[1] is not Role.OWNER:
            seen = self.role[0]
        return seen if seen is not None and seen.role is Role.OWNER else None


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A session with its user and all that the user may do, of one moment."""

    session: Session
    user: User
    memberships: tuple[Membership, ...]  # oldest merchant first


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A user and the role in one merchant's team."""

    user: User
    membership: Membership


class IdentityStore(Protocol):
    """People at rest."""

    async def apply_identity(self, change: IdentityChange) -> None:
        """Write *change* whole and chain its audit entry.

        Raises:
            StaleVersionError: The user has another version than the change is based on, a session
                that is opened included: it must not outlive a password that has just changed. Or
                a member has another role by now.
            WrongStateError: The username or e-mail is taken; who joins is in the team already; or
                a team would be left without an owner who is not disabled.
            NotFoundError: The invitation, membership or session that the change needs is
                gone: somebody else used or removed it.

        """
        ...

    async def user(self, user_id: UserId) -> User | None:
        """Return the user; a disabled one too."""
        ...

    async def user_by_name(self, name: str) -> User | None:
        """Return the user with this username or e-mail, however it is capitalised."""
        ...

    async def users(self, window: Window) -> list[User]:
        """Return users of the whole installation, newest first."""
        ...

    async def memberships(self, user_id: UserId) -> list[Membership]:
        """Return what the user may do, oldest merchant first."""
        ...

    async def merchants_of(self, user_id: UserId) -> list[Merchant]:
        """Return the merchants whose teams the user is in, oldest first."""
        ...

    async def member(self, merchant_id: MerchantId, user_id: UserId) -> Member | None:
        """Return the user if in this merchant's team."""
        ...

    async def members(self, merchant_id: MerchantId, window: Window) -> list[Member]:
        """Return a merchant's team, newest users first."""
        ...

    async def invitation(self, digest: bytes) -> Invitation | None:
        """Return the invitation whose link has this SHA-256, expired or not."""
        ...

    async def invitations(self, merchant_id: MerchantId, window: Window) -> list[Invitation]:
        """Return a merchant's invitations that wait, newest first; expired ones too."""
        ...

    async def signed_in(self, digest: bytes) -> SignedIn | None:
        """Return whose session has this SHA-256; ended by time or not."""
        ...

    async def sessions(self, user_id: UserId) -> list[Session]:
        """Return the user's sessions, newest first; ended by time or not."""
        ...

    async def seen(self, session_id: SessionId, *, at: datetime) -> None:
        """Note that the session was used; one that is gone stays gone."""
        ...

    async def look_at(self, session_id: SessionId, merchant_id: MerchantId) -> None:
        """Note which merchant the session looks at."""
        ...

    async def forget_sessions(
        self, *, seen_before: datetime, created_before: datetime, limit: int
    ) -> int:
        """Remove sessions that ended by time; return how many."""
        ...

    async def begin_try(self, subjects: Sequence[Subject], *, now: datetime) -> float:
        """Count a try for each subject and return 0.0, or the seconds until one may be made.

        Counted before it is known how it ends, so that many at once are many. Where one of the
        subjects has to wait, none is counted. ``policy.lockout`` says how long. Subjects unseen
        for a day are forgotten.
        """
        ...

    async def end_try(self, subjects: Sequence[Subject]) -> None:
        """Note that the try was right: a name counts anew, an address has this one back."""
        ...

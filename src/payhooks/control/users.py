"""Users and teams: made, given roles, disabled.

A user belongs to the installation and may be in the teams of several merchants. What happens to
a team is in its merchant's audit log and announced as ``agent.*``; what happens to a user alone
is in the installation's.
"""

import re
from typing import Final

import msgspec

from payhooks import ids, limits
from payhooks.control import announcements, passwords, sessions
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.faults import Faults
from payhooks.errors import NotFoundError, WrongStateError
from payhooks.ids import MerchantId, UserId
from payhooks.model.merchant import Merchant
from payhooks.model.user import SCOPES, Membership, Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.identity import IdentityChange, Member, SignedIn

# No @, so that no username can be another's e-mail.
_USERNAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EMAIL: Final = re.compile(r"[!-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class UserDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a new user is to be called, and where to begin."""

    username: str
    email: str
    password: str
    merchant: Merchant | None = None  # None: in no team yet
    role: Role = Role.OWNER

    def __repr__(self) -> str:
        """Return a text without the password."""
        return f"UserDraft(username={self.username!r})"


async def create(control: Control, caller: Caller, draft: UserDraft) -> User:
    """Return a new user, without a second factor, in the team of the merchant if one is named.

    Raises:
        InvalidError: Names every member that is wrong.
        WrongStateError: The username or e-mail is taken.
        ForbiddenError: The caller would give away more than it has.

    """
    demand_no_more(caller, draft.role)
    user = await made(control, draft)
    merchant_id = None if draft.merchant is None else draft.merchant.id
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant_id,
        action="user.created",
        target=ids.to_text(ids.USER, user.id),
        changes={
            "username": [None, user.username],
            "email": [None, user.email],
            "role": [None, None if merchant_id is None else draft.role],
        },
    )
    change = IdentityChange(audit=entry, user=user)
    if merchant_id is not None:
        change = joining(control, change, user, merchant_id=merchant_id, role=draft.role)
        await demand_room(control, merchant_id)
    await control.store.apply_identity(change)
    return user


async def made(control: Control, draft: UserDraft) -> User:
    """Return the user that the draft describes, checked and not stored.

    Raises:
        InvalidError: Names every member that is wrong.

    """
    faults = Faults()
    check_username(draft.username, faults)
    check_email(draft.email, faults)
    names = (draft.username, draft.email)
    passwords.check(draft.password, faults, pointer="/password", names=names)
    faults.check()
    return User(
        id=UserId(control.ids.new()),
        username=draft.username,
        email=draft.email,
        password_hash=await control.passwords.hash(draft.password),
        seed_id=None,
        last_step=0,
        recovery_digests=(),
        version=1,
        created_at=control.clock.now(),
        disabled_at=None,
    )


def joining(
    control: Control, change: IdentityChange, user: User, *, merchant_id: MerchantId, role: Role
) -> IdentityChange:
    """Return *change*, in which the user also joins a team."""
    membership = Membership(
        user_id=user.id, merchant_id=merchant_id, role=role, created_at=control.clock.now()
    )
    told = announcements.of_member(
        control, "agent.created", user, merchant_id=merchant_id, role=role
    )
    return msgspec.structs.replace(
        change, membership=membership, announcements=(*change.announcements, told)
    )


async def find(control: Control, text: str) -> User:
    """Return the user with this username, e-mail or printed id; for the operator.

    Raises:
        NotFoundError: There is none.

    """
    user_id = ids.from_text(ids.USER, text)
    if user_id is not None:
        user = await control.store.user(UserId(user_id))
    else:
        user = await control.store.user_by_name(text) if text.isprintable() else None
    if user is None:
        raise NotFoundError("There is no such user.")
    return user


async def find_member(control: Control, merchant_id: MerchantId, text: str) -> Member:
    """Return the member of this team whose printed user id it is.

    Raises:
        NotFoundError: There is none in this team.

    """
    user_id = ids.from_text(ids.USER, text)
    member = None if user_id is None else await control.store.member(merchant_id, UserId(user_id))
    if member is None:
        raise NotFoundError("There is no such member.")
    return member


async def disable(control: Control, caller: Caller, user: User) -> User:
    """Return the user, who cannot sign in any more and is signed out; a repeat changes nothing."""
    if user.disabled_at is not None:
        return user
    disabled = msgspec.structs.replace(
        user, disabled_at=control.clock.now(), version=user.version + 1
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action="user.disabled",
        target=ids.to_text(ids.USER, user.id),
    )
    change = IdentityChange(audit=entry, user=disabled, end_sessions_of=user.id)
    await control.store.apply_identity(change)
    return disabled


async def change_password(
    control: Control, caller: Caller, signed_in: SignedIn, *, current: str, new: str
) -> User:
    """Return the user with another password; every other session ends.

    Raises:
        InvalidError: The current one is not right, or the new one not good enough.
        RateLimitedError: After too many wrong ones.

    """
    user = signed_in.user
    await sessions.demand_password(control, caller, user, current)
    faults = Faults()
    passwords.check(new, faults, pointer="/new_password", names=(user.username, user.email))
    faults.check()
    changed = msgspec.structs.replace(
        user, password_hash=await control.passwords.hash(new), version=user.version + 1
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=None,
        action="user.password_changed",
        target=ids.to_text(ids.USER, user.id),
    )
    change = IdentityChange(
        audit=entry,
        user=changed,
        end_sessions_of=user.id,
        except_session=signed_in.session.id,
    )
    await control.store.apply_identity(change)
    return changed


async def set_role(control: Control, caller: Caller, member: Member, role: Role) -> Member:
    """Return the member with another role, which counts at their next request.

    Raises:
        WrongStateError: The last owner of a team stays one.
        ForbiddenError: The caller would give or take away more than it has.

    """
    if member.membership.role is role:
        return member
    demand_no_more(caller, role)
    demand_no_more(caller, member.membership.role)
    membership = msgspec.structs.replace(member.membership, role=role)
    merchant_id, user = membership.merchant_id, member.user
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant_id,
        action="member.changed",
        target=ids.to_text(ids.USER, user.id),
        changes={"role": [member.membership.role, role]},
    )
    told = announcements.of_member(
        control, "agent.updated", user, merchant_id=merchant_id, role=role
    )
    change = IdentityChange(audit=entry, membership=membership, announcements=(told,))
    await control.store.apply_identity(change)
    return Member(user=user, membership=membership)


async def remove(control: Control, caller: Caller, member: Member) -> None:
    """Take somebody out of a team; the user stays, and loses this merchant at the next request.

    Raises:
        WrongStateError: The last owner of a team stays.
        NotFoundError: Somebody else was faster.
        ForbiddenError: The caller would take away more than it has.

    """
    membership, user = member.membership, member.user
    demand_no_more(caller, membership.role)
    entry = audit_entry(
        control,
        caller,
        merchant_id=membership.merchant_id,
        action="member.removed",
        target=ids.to_text(ids.USER, user.id),
        changes={"role": [membership.role, None]},
    )
    told = announcements.of_member(
        control,
        "agent.deleted",
        user,
        merchant_id=membership.merchant_id,
        role=membership.role,
    )
    leaving = (user.id, membership.merchant_id)
    change = IdentityChange(audit=entry, leaving=leaving, announcements=(told,))
    await control.store.apply_identity(change)


def demand_no_more(caller: Caller, role: Role) -> None:
    """Return if the caller has every permission of the role.

    Raises:
        ForbiddenError: It lacks one.

    """
    for scope in sorted(SCOPES[role]):
        caller.demand(scope)


async def demand_room(control: Control, merchant_id: MerchantId) -> None:
    """Return if one more may join the team.

    Raises:
        WrongStateError: It is as large as a team may be.

    """
    window = Window(limit=limits.MEMBERS_PER_MERCHANT_MAX)
    if len(await control.store.members(merchant_id, window)) >= window.limit:
        raise WrongStateError(f"A team has at most {window.limit} members.")


def check_username(username: str, faults: Faults) -> None:
    """Check how somebody wants to be called."""
    if len(username) > limits.USERNAME_CHARS_MAX:
        detail = f"At most {limits.USERNAME_CHARS_MAX} characters are allowed."
        faults.add("/username", "too_long", detail)
    elif not _USERNAME.fullmatch(username):
        detail = "A username is letters, digits, dots, dashes and underscores."
        faults.add("/username", "malformed", detail)


def check_email(email: str, faults: Faults) -> None:
    """Check that a mail could be sent there."""
    if len(email) > limits.EMAIL_CHARS_MAX:
        faults.add(
            "/email", "too_long", f"At most {limits.EMAIL_CHARS_MAX} characters are allowed."
        )
    elif not _EMAIL.fullmatch(email):
        faults.add("/email", "malformed", "This is no e-mail address.")

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
from payhooks.model.audit import AuditEntry
from payhooks.model.merchant import Merchant
from payhooks.model.user import SCOPES, Membership, Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.identity import IdentityChange, Member, SignedIn

# No @, so that no username can be another's e-mail.
_USERNAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Who acts that is nobody: somebody called so would be taken for it by whoever reads the audit log.
_RESERVED: Final = frozenset({"operator", "system", "cli", "payhooks"})
# Words and dots before the @: what else may stand there separates addresses in a mail's header,
# and with a question mark it may be a word in another encoding.
_EMAIL: Final = re.compile(
    r"[\w!#$%&'*+/=^`{|}~-]+(\.[\w!#$%&'*+/=^`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*",
    re.ASCII,
)
_WHOLE_TEAM: Final = Window(limit=limits.MEMBERS_PER_MERCHANT_MAX)


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
        change, joining=membership, announcements=(*change.announcements, told)
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


async def disable(
    control: Control, caller: Caller, user: User, *, leave_ownerless: bool = False
) -> User:
    """Return the user, who cannot sign in any more and is signed out; a repeat changes nothing.

    *leave_ownerless*: teams that nobody else owns may stay behind without an owner; only the
    operator can invite one then.

    Raises:
        WrongStateError: Names the merchants whose team has no other owner who can sign in.

    """
    if user.disabled_at is not None:
        return user
    disabled = msgspec.structs.replace(
        user, disabled_at=control.clock.now(), version=user.version + 1
    )
    change = IdentityChange(
        audit=_entry(control, caller, user, "user.disabled"),
        user=disabled,
        end_sessions_of=user.id,
        stays_owned=not leave_ownerless,
    )
    try:
        await control.store.apply_identity(change)
    except WrongStateError as error:
        names = ", ".join(await _owned_alone(control, user))
        raise WrongStateError(f"Nobody but {user.username} owns {names}.") from error
    return disabled


async def _owned_alone(control: Control, user: User) -> list[str]:
    """Return which merchants have no owner beside the user, by name and id."""
    found = []
    for merchant in await control.store.merchants_of(user.id):
        team = await control.store.members(merchant.id, _WHOLE_TEAM)
        owners = {
            member.user.id
            for member in team
            if member.membership.role is Role.OWNER and member.user.disabled_at is None
        }
        if owners == {user.id}:
            found.append(f"{merchant.name} ({ids.to_text(ids.MERCHANT, merchant.id)})")
    return found


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
    changed = await _with_password(control, user, new, pointer="/new_password")
    change = IdentityChange(
        audit=_entry(control, caller, user, "user.password_changed"),
        user=changed,
        end_sessions_of=user.id,
        except_session=signed_in.session.id,
    )
    await control.store.apply_identity(change)
    return changed


async def set_password(control: Control, caller: Caller, user: User, new: str) -> User:
    """Return the user with another password, signed out everywhere; for who forgot theirs.

    Raises:
        InvalidError: It is not good enough.

    """
    changed = await _with_password(control, user, new, pointer="/password")
    entry = _entry(control, caller, user, "user.password_set")
    change = IdentityChange(audit=entry, user=changed, end_sessions_of=user.id)
    await control.store.apply_identity(change)
    return changed


async def set_role(control: Control, caller: Caller, member: Member, role: Role) -> Member:
    """Return the member with another role, which counts at their next request.

    Raises:
        WrongStateError: The last owner of a team stays one.
        ForbiddenError: The caller would give or take away more than it has.
        StaleVersionError: Somebody else gave them another role meanwhile.
        NotFoundError: Somebody else took them out of the team.

    """
    seen = member.membership
    if seen.role is role:
        return member
    demand_no_more(caller, role)
    demand_no_more(caller, seen.role)
    merchant_id, user = seen.merchant_id, member.user
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant_id,
        action="member.changed",
        target=ids.to_text(ids.USER, user.id),
        changes={"role": [seen.role, role]},
    )
    told = announcements.of_member(
        control, "agent.updated", user, merchant_id=merchant_id, role=role
    )
    change = IdentityChange(audit=entry, role=(seen, role), announcements=(told,))
    await control.store.apply_identity(change)
    return Member(user=user, membership=msgspec.structs.replace(seen, role=role))


async def remove(control: Control, caller: Caller, member: Member) -> None:
    """Take somebody out of a team; the user stays, and loses this merchant at the next request.

    Raises:
        WrongStateError: The last owner of a team stays.
        NotFoundError: Somebody else was faster.
        StaleVersionError: Somebody else gave them another role meanwhile.
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
    change = IdentityChange(audit=entry, leaving=membership, announcements=(told,))
    await control.store.apply_identity(change)


async def _with_password(control: Control, user: User, new: str, *, pointer: str) -> User:
    """Return the user with a password that was checked, not stored."""
    faults = Faults()
    passwords.check(new, faults, pointer=pointer, names=(user.username, user.email))
    faults.check()
    password_hash = await control.passwords.hash(new)
    return msgspec.structs.replace(user, password_hash=password_hash, version=user.version + 1)


def _entry(control: Control, caller: Caller, user: User, action: str) -> AuditEntry:
    """Return the entry of what happened to a user, whatever teams they are in."""
    target = ids.to_text(ids.USER, user.id)
    return audit_entry(control, caller, merchant_id=None, action=action, target=target)


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
    if len(await control.store.members(merchant_id, _WHOLE_TEAM)) >= _WHOLE_TEAM.limit:
        raise WrongStateError(f"A team has at most {_WHOLE_TEAM.limit} members.")


def check_username(username: str, faults: Faults) -> None:
    """Check how somebody wants to be called."""
    if len(username) > limits.USERNAME_CHARS_MAX:
        detail = f"At most {limits.USERNAME_CHARS_MAX} characters are allowed."
        faults.add("/username", "too_long", detail)
    elif not _USERNAME.fullmatch(username):
        detail = "A username is letters, digits, dots, dashes and underscores."
        faults.add("/username", "malformed", detail)
    elif username.casefold() in _RESERVED:
        faults.add("/username", "reserved", "The audit log calls something else so.")


def check_email(email: str, faults: Faults) -> None:
    """Check that a mail could be sent there."""
    if len(email) > limits.EMAIL_CHARS_MAX:
        faults.add(
            "/email", "too_long", f"At most {limits.EMAIL_CHARS_MAX} characters are allowed."
        )
    elif not _EMAIL.fullmatch(email):
        faults.add("/email", "malformed", "This is no e-mail address.")

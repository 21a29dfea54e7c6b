"""Invitations: a place in a team for whoever opens the link, once, within seven days.

The link is shown to the inviter, and mailed where the operator has set a mail server; a mail that
does not leave costs nothing but itself, and the inviter is told why.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from payhooks import ids, limits
from payhooks.control import announcements, keys, lockout, sessions, users
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.faults import Faults
from payhooks.control.lockout import Tried
from payhooks.control.sessions import Visitor
from payhooks.control.users import UserDraft
from payhooks.errors import (
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    WrongStateError,
)
from payhooks.ids import InvitationId, MerchantId, UserId
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.model.user import NO_MERCHANT, SCOPES, Invitation, Role, User
from payhooks.ports.controlling import Window
from payhooks.ports.identity import IdentityChange, SignedIn
from payhooks.ports.mailing import Mail

# The console's page that takes a link; the text of the invitation is the last part.
PATH: Final = "/console/invitations/"
_TEXT_CHARS_MAX: Final = 64
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Mailing(StrEnum):
    """What became of the mail with the link."""

    SENT = "sent"
    NO_SERVER = "no_server"  # none is set
    NOT_TAKEN = "not_taken"  # the server is away, or refused it
    TOO_MANY = "too_many"  # to this address; whoever lives there may not have asked for any
    OTHER_NAME = "other_name"  # the link would lead to a name that is not ours


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvitation:
    """An invitation that was just made; the only moment at which its link is known."""

    invitation: Invitation
    url: str = field(repr=False)
    mailing: Mailing


async def invite(  # noqa: PLR0913 - every part is named at the call site
    control: Control, caller: Caller, merchant: Merchant, *, email: str, role: Role, base_url: str
) -> NewInvitation:
    """Return a new invitation; *base_url* is where the inviter sees the console, without a path.

    Raises:
        InvalidError: No e-mail address, or somebody who is in the team already.
        WrongStateError: As many invitations wait as may.
        ForbiddenError: The caller would give away more than it has.

    """
    users.demand_no_more(caller, role)
    await _check(control, merchant.id, email)
    text = sessions.new_token(control)
    now = control.clock.now()
    invitation = Invitation(
        id=InvitationId(control.ids.new()),
        digest=sessions.digest(text),
        merchant_id=merchant.id,
        email=email,
        role=role,
        invited_by=caller.actor,
        created_at=now,
        expires_at=now + timedelta(days=limits.INVITATION_DAYS),
    )
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant.id,
        action="invitation.created",
        target=ids.to_text(ids.INVITATION, invitation.id),
        changes={"email": [None, email], "role": [None, role]},
    )
    told = announcements.of_invitation(control, "agent.invite.created", invitation)
    change = IdentityChange(audit=entry, invitation=invitation, announcements=(told,))
    await control.store.apply_identity(change)
    url = f"{base_url}{PATH}{text}"
    mailing = await _mail(control, merchant, invitation, url)
    return NewInvitation(invitation=invitation, url=url, mailing=mailing)


def base_url_of(authority: str) -> str:
    """Return where the inviter sees the console, from the Host that they asked for.

    TLS is not seen here where a proxy takes it off, and without it nobody signs in from afar.
    """
    near = urlsplit(f"//{authority}").hostname in _THIS_MACHINE
    return f"{'http' if near else 'https'}://{authority}"


async def find(control: Control, text: str) -> Invitation:
    """Return the living invitation whose link ends in *text*.

    Raises:
        NotFoundError: Unknown, used, revoked, expired, or of somebody who may invite to the role
            no more; nobody is told which.

    """
    if len(text) <= _TEXT_CHARS_MAX:
        invitation = await control.store.invitation(sessions.digest(text))
        if (
            invitation is not None
            and control.clock.now() < invitation.expires_at
            and await _may_still_invite(control, invitation)
        ):
            return invitation
    raise NotFoundError("This invitation does not count any more. Ask for another.")


async def accept_as_new(
    control: Control, visitor: Visitor, text: str, *, username: str, password: str
) -> User:
    """Return a new user, in the team, with the e-mail that was invited. Sign in next.

    Raises:
        InvalidError: The username or password is not possible.
        WrongStateError: The username or e-mail is taken; who has it signs in and then accepts.
        NotFoundError: The invitation does not count any more.

    """
    invitation = await find(control, text)
    draft = UserDraft(username=username, email=invitation.email, password=password)
    user = await users.made(control, draft)
    caller = Caller(
        actor=sessions.actor_of(user),
        scopes=frozenset(),
        merchant_id=NO_MERCHANT,
        request_id=visitor.request_id,
        ip=visitor.ip,
    )
    await _join(control, caller, invitation, user, new=True)
    return user


async def accept(control: Control, caller: Caller, signed_in: SignedIn, text: str) -> Invitation:
    """Return the invitation that was used: who is signed in joins the team.

    Raises:
        WrongStateError: The user is in the team already, or in as many as may be.
        NotFoundError: The invitation does not count any more.

    """
    invitation = await find(control, text)
    user = signed_in.user
    if await control.store.member(invitation.merchant_id, user.id) is not None:
        raise WrongStateError("You are in this team already.")
    if len(signed_in.memberships) >= limits.TEAMS_PER_USER_MAX:
        raise WrongStateError(f"A user is in at most {limits.TEAMS_PER_USER_MAX} teams.")
    await _join(control, caller, invitation, user, new=False)
    return invitation


async def revoke(
    control: Control, caller: Caller, merchant_id: MerchantId, text: str
) -> Invitation:
    """Return the invitation with this printed id, whose link does not count from now on.

    Raises:
        NotFoundError: There is none of this merchant.

    """
    invitation_id = ids.from_text(ids.INVITATION, text)
    waiting = await control.store.invitations(merchant_id, _EVERY)
    invitation = next((one for one in waiting if one.id == invitation_id), None)
    if invitation is None:
        raise NotFoundError("There is no such invitation.")
    entry = audit_entry(
        control,
        caller,
        merchant_id=merchant_id,
        action="invitation.revoked",
        target=text,
        changes={"email": [invitation.email, None]},
    )
    told = announcements.of_invitation(control, "agent.invite.deleted", invitation)
    change = IdentityChange(audit=entry, forget_invitation=invitation.id, announcements=(told,))
    await control.store.apply_identity(change)
    return invitation


_EVERY: Final = Window(limit=limits.INVITATIONS_PER_MERCHANT_MAX)


async def _may_still_invite(control: Control, invitation: Invitation) -> bool:
    """Whether who invited could do so now: or a link to oneself undoes a removal."""
    kind, _, printed = invitation.invited_by.partition(":")
    if kind == "key":
        # One that has run out since was in good hands when it invited; one that was revoked is not.
        return not await keys.was_revoked(control, invitation.merchant_id, printed)
    user_id = ids.from_text(ids.USER, printed) if kind == "user" else None
    if user_id is None:
        return True
    member = await control.store.member(invitation.merchant_id, UserId(user_id))
    if member is None or member.user.disabled_at is not None:
        return False
    scopes = SCOPES[member.membership.role]
    return Scope.TEAM_WRITE in scopes and scopes >= SCOPES[invitation.role]


async def _check(control: Control, merchant_id: MerchantId, email: str) -> None:
    faults = Faults()
    users.check_email(email, faults)
    faults.check()
    user = await control.store.user_by_name(email)
    if user is not None and await control.store.member(merchant_id, user.id) is not None:
        raise InvalidError.at("/email", "member", "Somebody in the team has this e-mail.")
    if len(await control.store.invitations(merchant_id, _EVERY)) >= _EVERY.limit:
        raise WrongStateError(f"{_EVERY.limit} invitations wait already; revoke one first.")


async def _join(
    control: Control, caller: Caller, invitation: Invitation, user: User, *, new: bool
) -> None:
    await users.demand_room(control, invitation.merchant_id)
    entry = audit_entry(
        control,
        caller,
        merchant_id=invitation.merchant_id,
        action="user.created" if new else "member.added",
        target=ids.to_text(ids.USER, user.id),
        changes={
            "username": [None, user.username],
            "email": [None, user.email],
            "role": [None, invitation.role],
            "invitation": [ids.to_text(ids.INVITATION, invitation.id), None],
        },
    )
    change = IdentityChange(
        audit=entry, user=user if new else None, forget_invitation=invitation.id
    )
    joining = users.joining(
        control, change, user, merchant_id=invitation.merchant_id, role=invitation.role
    )
    await control.store.apply_identity(joining)


async def _mail(control: Control, merchant: Merchant, invitation: Invitation, url: str) -> Mailing:
    if control.mailer is None:
        return Mailing.NO_SERVER
    # Whoever asks us names the host, and a mail of ours that leads elsewhere is a trap.
    ours = control.urls.own_hosts
    if ours and urlsplit(url).hostname not in ours:
        return Mailing.OTHER_NAME
    try:
        await lockout.begin(control, lockout.subjects(Tried.MAIL, invitation.email, None))
    except RateLimitedError:
        return Mailing.TOO_MANY
    text = (
        f"You are invited to the webhook console of {merchant.name} as {invitation.role}.\n\n"
        f"Open this link within {limits.INVITATION_DAYS} days:\n{url}\n\n"
        "It works once. If you did not expect it, do nothing.\n"
    )
    mail = Mail(to=invitation.email, subject=f"Invitation to {merchant.name}", text=text)
    try:
        await control.mailer.send(mail)
    except UnavailableError:
        return Mailing.NOT_TAKEN
    return Mailing.SENT

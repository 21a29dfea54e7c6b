"""The team: who may do what for this merchant, and who is invited."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import Filters, part_of
from payhooks.console.page import Factor, Visit, page
from payhooks.control import invitations, users
from payhooks.control.invitations import Mailing
from payhooks.errors import InvalidError, StaleVersionError, WrongStateError
from payhooks.limits import MEMBERS_PER_MERCHANT_MAX, PAGE_SIZE_MAX
from payhooks.model.key import Scope
from payhooks.model.user import Role
from payhooks.ports.controlling import Window
from payhooks.ports.identity import Member

_PATH: Final = "/settings/team"
_ROLES: Final = (
    (Role.OWNER, "Owner", "everything, with keys and team"),
    (Role.DEVELOPER, "Developer", "webhooks, secrets and replays; no keys, no team"),
    (Role.SUPPORT, "Support", "sees everything but secrets; sends deliveries again"),
    (Role.VIEWER, "Viewer", "sees everything but secrets, changes nothing"),
)

_MAILING: Final[Mapping[Mailing, str]] = {
    Mailing.SENT: "The link below went out by mail.",
    Mailing.NO_SERVER: "No mail went out, for this installation has no mail server: send the link "
    "yourself.",
    Mailing.NOT_TAKEN: "The mail server did not take the mail: send the link yourself, and tell "
    "whoever runs this installation.",
    Mailing.TOO_MANY: "Too many mails went to this address lately: send the link yourself.",
    Mailing.OTHER_NAME: "No mail went out, for you see this console under a name that is not its "
    "public one: send the link yourself.",
}


@page("GET", _PATH, needs=Scope.TEAM_READ, factor=Factor.ONCE)
async def team(visit: Visit) -> Response:
    """Show the members and those who are invited."""
    return await _team(visit, NO_MESSAGES)


@page("GET", _PATH + "/invitations/new", needs=Scope.TEAM_WRITE, factor=Factor.ONCE)
async def new(visit: Visit) -> Response:
    """Ask whom to invite."""
    return _new(visit, NO_MESSAGES)


@page("POST", _PATH + "/invitations", needs=Scope.TEAM_WRITE, factor=Factor.FRESH)
async def invite(visit: Visit) -> Response:
    """Make an invitation and show its link for the only time."""
    try:
        made = await invitations.invite(
            visit.control,
            visit.caller,
            visit.merchant,
            email=visit.form.text("email"),
            role=_role(visit),
            base_url=invitations.base_url_of(visit.request.url.netloc),
        )
    except InvalidError as error:
        return _new(visit, Messages.from_error(error, {"/email": "email", "/role": "role"}))
    except WrongStateError as error:
        return _new(visit, Messages({}, [str(error)]))
    return visit.show("invited.html", title="Invitation", made=made, mailing=_MAILING[made.mailing])


@page(
    "POST", _PATH + "/invitations/{invitation_id}/revoke",
    needs=Scope.TEAM_WRITE, factor=Factor.FRESH,
)  # fmt: skip
async def revoke(visit: Visit) -> Response:
    """Make a link worthless."""
    revoked = await invitations.revoke(
        visit.control, visit.caller, visit.merchant.id, visit.parameter["invitation_id"]
    )
    return visit.go(_PATH, said=f"The invitation of {revoked.email} is revoked.")


@page("POST", _PATH + "/{user_id}/role", needs=Scope.TEAM_WRITE, factor=Factor.FRESH)
async def change_role(visit: Visit) -> Response:
    """Give a member another role; the last owner stays one."""
    member = await _member(visit)
    try:
        changed = await users.set_role(visit.control, visit.caller, member, _role(visit))
    except InvalidError as error:
        return await _team(visit, Messages.from_error(error, {}), status=422)
    except WrongStateError as error:
        return await _team(visit, Messages({}, [str(error)]), status=409)
    role = changed.membership.role.value
    return visit.go(_PATH, said=f"{changed.user.username} is {role} now.")


@page("POST", _PATH + "/{user_id}/remove", needs=Scope.TEAM_WRITE, factor=Factor.FRESH)
async def remove(visit: Visit) -> Response:
    """Take a member out of the team; the last owner stays."""
    member = await _member(visit)
    try:
        await users.remove(visit.control, visit.caller, member)
    except WrongStateError as error:
        return await _team(visit, Messages({}, [str(error)]), status=409)
    if member.user.id == visit.user.id:
        return visit.go("/", said="You have left the team.")
    return visit.go(_PATH, said=f"{member.user.username} is in the team no more.")


async def _member(visit: Visit) -> Member:
    """Return the member as the page had them.

    Raises:
        NotFoundError: They are in the team no more.
        StaleVersionError: They have another role since: the button was meant for somebody else.

    """
    member = await users.find_member(visit.control, visit.merchant.id, visit.parameter["user_id"])
    if visit.form.text("seen", member.membership.role) != member.membership.role:
        raise StaleVersionError("the member has another role by now")
    return member


async def _team(visit: Visit, messages: Messages, *, status: int = 200) -> Response:
    store, merchant_id = visit.control.store, visit.merchant.id
    filters = Filters(visit.query)
    wanted = filters.text("name").casefold()
    # A team is small enough to be read as a whole, and too large to be shown as one.
    members = [
        member
        for member in await store.members(merchant_id, Window(limit=MEMBERS_PER_MERCHANT_MAX))
        if wanted in member.user.username.casefold() or wanted in member.user.email.casefold()
    ]
    members.sort(key=lambda member: member.user.username.casefold())
    listed = part_of(visit, ids.USER, members, id_of=lambda member: member.user.id)
    invited = await store.invitations(merchant_id, Window(limit=PAGE_SIZE_MAX))
    return visit.show(
        "team.html",
        status=status,
        title="Team",
        listed=listed,
        filters=filters,
        # Once: they are below the first page.
        invited=[] if listed.first or wanted else invited,
        roles=_ROLES,
        messages=messages,
    )


def _new(visit: Visit, messages: Messages) -> Response:
    form = visit.form
    return visit.show(
        "invite.html",
        status=422 if messages else 200,
        title="Invite",
        email=form.text("email"),
        role=form.text("role", Role.VIEWER),
        roles=[(role, f"{label}: {words}") for role, label, words in _ROLES],
        messages=messages,
    )


def _role(visit: Visit) -> Role:
    text = visit.form.text("role")
    if text not in {role.value for role in Role}:
        raise InvalidError.at("/role", "unknown", "Choose one of the roles.")
    return Role(text)

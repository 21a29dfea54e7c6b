"""A merchant's team: who may sign in to the console, and who is invited."""

from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import PROBLEMS, IfMatch, TeamRead, TeamWrite, TextId, unconditional
from payhooks.api.schemas.team import (
    InvitationCreate,
    InvitationPage,
    MemberEdit,
    MemberPage,
    MemberView,
    NewInvitationView,
    UserCreate,
)
from payhooks.control import invitations, users
from payhooks.control.invitations import Mailing
from payhooks.control.users import UserDraft
from payhooks.errors import StaleVersionError
from payhooks.model.user import Invitation, Role, User
from payhooks.ports.identity import Member

_TAG_BYTES: Final = 12

router = APIRouter(prefix="/v1/merchants/{m}", tags=["team"], responses=PROBLEMS)


@router.post("/users", status_code=201, response_model=MemberView, summary="Make a user")
async def create(granted: TeamWrite, body: UserCreate) -> Response:
    """Return somebody who may sign in to the console now, and who sets up a second factor there."""
    draft = UserDraft(
        username=body.username,
        email=body.email,
        password=body.password,
        merchant=granted.merchant,
        role=body.role,
    )
    user = await users.create(granted.control, granted.caller, draft)
    view = _user(user, body.role)
    merchant_id = ids.to_text(ids.MERCHANT, granted.merchant.id)
    location = {"location": f"/v1/merchants/{merchant_id}/users/{view['id']}"}
    return views.reply(view, status=201, headers=_etag(view) | location)


@router.get("/users", response_model=MemberPage, summary="List the team")
async def list_(granted: TeamRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first, disabled users too."""
    found = await granted.control.store.members(granted.merchant.id, page.window())
    members, headers = page.page(found, _member, id_of=lambda member: member.user.id)
    return views.reply(members, headers=headers)


@router.get("/users/{user_id}", response_model=MemberView, summary="Read a member")
async def read(granted: TeamRead, user_id: TextId) -> Response:
    """Return one user with their role; somebody of another team is not found."""
    member = await users.find_member(granted.control, granted.merchant.id, user_id)
    view = _member(member)
    return views.reply(view, headers=_etag(view))


@router.patch("/users/{user_id}", response_model=MemberView, summary="Give a member another role")
@unconditional
async def edit(
    granted: TeamWrite, user_id: TextId, body: MemberEdit, if_match: IfMatch = None
) -> Response:
    """Change the role from the member's next request on; the last owner of a team stays one."""
    member = await users.find_member(granted.control, granted.merchant.id, user_id)
    _demand_match(if_match, member)
    changed = await users.set_role(granted.control, granted.caller, member, body.role)
    view = _member(changed)
    return views.reply(view, headers=_etag(view))


@router.delete("/users/{user_id}", status_code=204, summary="Take a member out of the team")
@unconditional
async def remove(granted: TeamWrite, user_id: TextId, if_match: IfMatch = None) -> Response:
    """Keep the user, and their place in other teams; the last owner of a team stays in it."""
    member = await users.find_member(granted.control, granted.merchant.id, user_id)
    _demand_match(if_match, member)
    await users.remove(granted.control, granted.caller, member)
    return Response(status_code=204)


@router.post(
    "/invitations", status_code=201, response_model=NewInvitationView, summary="Invite somebody"
)
async def invite(granted: TeamWrite, body: InvitationCreate, request: Request) -> Response:
    """Return the invitation with its link, which is shown this once, works once, for seven days."""
    new = await invitations.invite(
        granted.control,
        granted.caller,
        granted.merchant,
        email=body.email,
        role=body.role,
        base_url=invitations.base_url_of(request.url.netloc),
    )
    shown = {**_invitation(new.invitation), "url": new.url, "mailed": new.mailing is Mailing.SENT}
    return views.reply(shown, status=201)


@router.get("/invitations", response_model=InvitationPage, summary="List invitations")
async def list_invitations(granted: TeamRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Those that wait, newest first; expired ones too."""
    found = await granted.control.store.invitations(granted.merchant.id, page.window())
    invited, headers = page.page(found, _invitation, id_of=lambda invitation: invitation.id)
    return views.reply(invited, headers=headers)


@router.delete("/invitations/{invitation_id}", status_code=204, summary="Revoke an invitation")
async def revoke(granted: TeamWrite, invitation_id: TextId) -> Response:
    """Its link opens nothing from now on."""
    await invitations.revoke(granted.control, granted.caller, granted.merchant.id, invitation_id)
    return Response(status_code=204)


def _etag(view: views.View) -> dict[str, str]:
    """Return the header that says how a member was seen; two that look alike have the same."""
    return {"etag": f'"{blake2b(msgspec.json.encode(view), digest_size=_TAG_BYTES).hexdigest()}"'}


def _demand_match(if_match: str | None, member: Member) -> None:
    """Return if the caller saw the member as they are now, or does not mind.

    Raises:
        StaleVersionError: They have changed since.

    """
    seen = "*" if if_match is None else if_match.strip().removeprefix("W/")
    if seen not in {"*", _etag(_member(member))["etag"]}:
        raise StaleVersionError("The member has changed since you read it.")


def _member(value: Member) -> views.View:
    return _user(value.user, value.membership.role)


def _user(value: User, role: Role) -> views.View:
    return {
        "id": ids.to_text(ids.USER, value.id),
        "username": value.username,
        "email": value.email,
        "role": role,
        "two_factor": value.has_factor,
        "created_at": views.time(value.created_at),
        "disabled_at": views.time(value.disabled_at),
    }


def _invitation(value: Invitation) -> views.View:
    return {
        "id": ids.to_text(ids.INVITATION, value.id),
        "email": value.email,
        "role": value.role,
        "invited_by": value.invited_by,
        "created_at": views.time(value.created_at),
        "expires_at": views.time(value.expires_at),
    }

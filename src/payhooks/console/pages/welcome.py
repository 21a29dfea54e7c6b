"""Invitations: from a link to a place in a team, as a new user or as one who is there already."""

from typing import Final

from starlette.responses import Response

from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.page import Factor, Guest, Visit, page, public
from payhooks.console.pages.sign_in import begin, visitor
from payhooks.control import invitations, sessions
from payhooks.control.context import Control
from payhooks.errors import InvalidError, NotFoundError, UnavailableError, WrongStateError
from payhooks.model.merchant import Merchant
from payhooks.model.user import Invitation

_FIELDS: Final = {"/username": "username", "/password": "password"}
_PATH: Final = "/invitations/{text}"


@public("GET", _PATH)
async def welcome(guest: Guest) -> Response:
    """Ask how the new user wants to be called."""
    return await _welcome(guest, NO_MESSAGES)


@public("POST", _PATH)
async def accept(guest: Guest) -> Response:
    """Make the user, sign them in, and go on to their second factor."""
    username, password = guest.form.text("username"), guest.form.exact("password")
    if password != guest.form.exact("password_again"):
        again = "The two passwords are not the same."
        return await _welcome(guest, Messages({"password_again": [again]}))
    try:
        user = await invitations.accept_as_new(
            guest.control,
            visitor(guest),
            guest.parameter["text"],
            username=username,
            password=password,
        )
    except InvalidError as error:
        return await _welcome(guest, Messages.from_error(error, _FIELDS))
    except WrongStateError as error:
        return await _welcome(guest, Messages({}, [str(error)]))
    try:
        opened = await sessions.sign_in(
            guest.control, visitor(guest), name=user.username, password=password
        )
    except UnavailableError:
        # The user is made, and the link used up: what cannot be done now is done by signing in.
        return guest.go("/sign-in", said="Your user is made. Sign in with it.")
    return begin(guest, opened.text, "/account/two-factor")


@page("GET", _PATH + "/join", needs=None, factor=Factor.ONCE)
async def ask_to_join(visit: Visit) -> Response:
    """Ask somebody who is signed in whether to join."""
    invitation, merchant = await _invitation(visit.control, visit.parameter["text"])
    return visit.show("join.html", title="Join a team", invitation=invitation, merchant=merchant)


@page("POST", _PATH + "/join", needs=None, factor=Factor.ONCE)
async def join(visit: Visit) -> Response:
    """Add the team to the user, and look at its merchant."""
    used = await invitations.accept(
        visit.control, visit.caller, visit.signed_in, visit.parameter["text"]
    )
    await visit.control.store.look_at(visit.session.id, used.merchant_id)
    return visit.go("/", said="You are in the team.")


async def _welcome(guest: Guest, messages: Messages) -> Response:
    invitation, merchant = await _invitation(guest.control, guest.parameter["text"])
    return guest.show(
        "welcome.html",
        status=422 if messages else 200,
        title="You are invited",
        invitation=invitation,
        merchant=merchant,
        username=guest.form.text("username"),
        messages=messages,
    )


async def _invitation(control: Control, text: str) -> tuple[Invitation, Merchant]:
    invitation = await invitations.find(control, text)
    merchant = await control.store.merchant(invitation.merchant_id)
    if merchant is None:
        raise NotFoundError("This invitation does not count any more. Ask for another.")
    return invitation, merchant

"""The user's own page: password, sessions, and which merchant is looked at."""

from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.console.forms import NO_MESSAGES, Messages, wait_words
from payhooks.console.listing import Filters, part_of
from payhooks.console.page import Factor, Visit, page
from payhooks.control import sessions, users
from payhooks.errors import InvalidError, NotFoundError, RateLimitedError
from payhooks.ids import MerchantId, SessionId
from payhooks.model.user import Role

_FIELDS: Final = {"/new_password": "new_password", "/password": "current_password"}


@page("GET", "/account", needs=None, factor=Factor.ONCE)
async def account(visit: Visit) -> Response:
    """Show who is signed in, and where."""
    return await _account(visit, NO_MESSAGES)


@page("POST", "/account/password", needs=None, factor=Factor.ONCE)
async def change_password(visit: Visit) -> Response:
    """Change the password; every other session ends."""
    form = visit.form
    try:
        await users.change_password(
            visit.control,
            visit.caller,
            visit.signed_in,
            current=form.exact("current_password"),
            new=form.exact("new_password"),
        )
    except InvalidError as error:
        return await _account(visit, Messages.from_error(error, _FIELDS))
    except RateLimitedError as error:
        return await _account(visit, Messages({"current_password": [wait_words(error)]}))
    return visit.go("/account", said="The password is changed. All other sessions have ended.")


@page("POST", "/account/sessions/{session_id}/end", needs=None, factor=Factor.ONCE)
async def end_session(visit: Visit) -> Response:
    """End one of the user's sessions."""
    session_id = ids.from_text(ids.SESSION, visit.parameter["session_id"])
    if session_id is None:
        raise NotFoundError("There is no such session.")
    await sessions.end(visit.control, visit.caller, visit.user, SessionId(session_id))
    return visit.go("/account", said="The session has ended.")


@page("POST", "/account/sessions/end-others", needs=None, factor=Factor.ONCE)
async def end_others(visit: Visit) -> Response:
    """End every session but this one."""
    await sessions.end_others(visit.control, visit.caller, visit.signed_in)
    return visit.go("/account", said="All other sessions have ended.")


@page("POST", "/merchant", needs=None, factor=Factor.ONCE)
async def switch_merchant(visit: Visit) -> Response:
    """Look at another merchant of the user's."""
    merchant_id = ids.from_text(ids.MERCHANT, visit.form.text("merchant"))
    if merchant_id is None:
        raise NotFoundError("There is no such merchant.")
    await sessions.switch(visit.control, visit.signed_in, MerchantId(merchant_id))
    return visit.go("/")


@page("GET", "/merchants", needs=None, factor=Factor.ONCE)
async def merchants(visit: Visit) -> Response:
    """Show the merchants whose teams the user is in, by name, to switch to one."""
    filters = Filters(visit.query)
    wanted = filters.text("name").casefold()
    found = [
        one
        for one in await visit.control.store.merchants_of(visit.user.id)
        if wanted in one.name.casefold() or wanted in (one.reference or "").casefold()
    ]
    found.sort(key=lambda one: (one.name.casefold(), one.id))
    return visit.show(
        "merchants.html",
        title="Your merchants",
        listed=part_of(visit, ids.MERCHANT, found, id_of=lambda one: one.id),
        roles=_roles(visit),
        filters=filters,
    )


def _roles(visit: Visit) -> dict[MerchantId, Role]:
    return {one.merchant_id: one.role for one in visit.signed_in.memberships}


async def _account(visit: Visit, messages: Messages) -> Response:
    roles = _roles(visit)
    return visit.show(
        "account.html",
        status=422 if messages else 200,
        title="Your account",
        sessions=await sessions.of_user(visit.control, visit.user),
        teams=[(one, roles[one.id]) for one in visit.merchants if one.id in roles],
        messages=messages,
    )

"""Signing in with a password, and out. The second factor follows on whatever page is asked for."""

from typing import Final

from starlette.responses import Response

from payhooks.console.forms import NO_MESSAGES, Messages, wait_words
from payhooks.console.guard import GUEST_COOKIE, SESSION_COOKIE, drop_cookie, safe_next, set_cookie
from payhooks.console.page import (
    ROOT,
    SHORTCUTS_COOKIE,
    THEME_COOKIE,
    THEMES,
    Factor,
    Guest,
    Visit,
    page,
    public,
)
from payhooks.control import sessions
from payhooks.control.sessions import Visitor
from payhooks.errors import RateLimitedError, UnauthenticatedError

_YEAR_S: Final = 365 * 86_400
_TITLE: Final = "Sign in"


@public("GET", "/sign-in")
async def ask(guest: Guest) -> Response:
    """Ask for name and password."""
    after = ROOT + safe_next(guest.query.get("next", ""))
    return guest.show("sign_in.html", title=_TITLE, name="", next=after, messages=NO_MESSAGES)


@public("POST", "/sign-in")
async def sign_in(guest: Guest) -> Response:
    """Open a session, or say what everybody is told whose name and password do not fit."""
    name, after = guest.form.text("name"), safe_next(guest.form.text("next"))
    try:
        opened = await sessions.sign_in(
            guest.control, visitor(guest), name=name, password=guest.form.exact("password")
        )
    except UnauthenticatedError as error:
        return _refused(guest, name, after, str(error), status=422)
    except RateLimitedError as error:
        return _refused(guest, name, after, wait_words(error), status=429)
    return begin(guest, opened.text, after)


def _refused(guest: Guest, name: str, after: str, words: str, *, status: int) -> Response:
    return guest.show(
        "sign_in.html",
        status=status,
        title=_TITLE,
        name=name,
        next=ROOT + after,
        messages=Messages({}, [words]),
    )


def begin(guest: Guest, text: str, after: str) -> Response:
    """Return the redirect with which a session begins in this browser."""
    response = guest.go(after)
    set_cookie(response, SESSION_COOKIE, text)
    drop_cookie(response, GUEST_COOKIE)
    return response


def visitor(guest: Guest) -> Visitor:
    """Return from where somebody asks, for the audit log and the list of sessions."""
    return Visitor(
        ip=guest.address,
        agent=guest.agent,
        request_id=guest.request_id,
        cookie=guest.request.cookies.get(SESSION_COOKIE, ""),
    )


@page("POST", "/sign-out", needs=None, factor=Factor.NONE)
async def sign_out(visit: Visit) -> Response:
    """End the session and forget it here."""
    await sessions.end(visit.control, visit.caller, visit.user, visit.session.id)
    response = visit.go("/sign-in", said="You are signed out.")
    drop_cookie(response, SESSION_COOKIE)
    response.headers["clear-site-data"] = '"storage"'
    return response


@public("POST", "/shortcuts")
async def switch_shortcuts(guest: Guest) -> Response:
    """Turn single letters off as shortcuts in this browser, or on again."""
    response = guest.go(safe_next(guest.form.text("next")))
    if guest.shortcuts:
        keep(response, SHORTCUTS_COOKIE, "off")
    else:
        response.delete_cookie(SHORTCUTS_COOKIE, path=ROOT)
    return response


@public("POST", "/theme")
async def choose_theme(guest: Guest) -> Response:
    """Remember light or dark in this browser."""
    response = guest.go(safe_next(guest.form.text("next")))
    theme = guest.form.text("theme")
    if theme in THEMES:
        keep(response, THEME_COOKIE, theme)
    return response


def keep(response: Response, name: str, text: str) -> None:
    """Keep in this browser how somebody likes the console."""
    response.set_cookie(name, text, max_age=_YEAR_S, path=ROOT, secure=True, samesite="lax")

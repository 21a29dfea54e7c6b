"""The user's second factor: given at the gate, enabled, renewed, turned off."""

from typing import Final

import segno
from markupsafe import Markup
from starlette.responses import Response

from payhooks.console.forms import NO_MESSAGES, Messages, wait_words
from payhooks.console.guard import WRONG_CODE, ask_factor, safe_next, try_factor
from payhooks.console.page import ROOT, Factor, Visit, page
from payhooks.control import factors
from payhooks.errors import InvalidError, RateLimitedError

_TITLE: Final = "Two-factor authentication"
_PATH: Final = "/account/two-factor"


@page("GET", "/factor", needs=None, factor=Factor.NONE)
async def reopened(visit: Visit) -> Response:
    """Go to the start, which asks if there is something to ask for."""
    return visit.go("/")


@page("POST", "/factor", needs=None, factor=Factor.NONE)
async def give(visit: Visit) -> Response:
    """Count the code and go on to what was asked for."""
    messages = await try_factor(visit)
    if messages:
        return ask_factor(visit, messages)
    return visit.go(safe_next(visit.form.text("next")))


@page("GET", _PATH, needs=None, factor=Factor.ONCE)
async def look(visit: Visit) -> Response:
    """Show whether there is a second factor, or the code to scan if one was begun."""
    return await _look(visit, NO_MESSAGES)


@page("POST", _PATH, needs=None, factor=Factor.ONCE)
async def start(visit: Visit) -> Response:
    """Draw a seed; it counts once a code of it came back."""
    await factors.enrol(visit.control, visit.caller, visit.user)
    return await _look(visit, NO_MESSAGES)


@page("POST", _PATH + "/confirm", needs=None, factor=Factor.ONCE)
async def confirm(visit: Visit) -> Response:
    """Let the seed count, and show the recovery codes for the only time."""
    try:
        codes = await factors.confirm(
            visit.control, visit.caller, visit.signed_in, visit.form.text("code")
        )
    except InvalidError:
        return await _look(visit, Messages({"code": [WRONG_CODE]}))
    except RateLimitedError as error:
        return await _look(visit, Messages({"code": [wait_words(error)]}))
    return _recovery_codes(visit, codes)


@page("POST", _PATH + "/codes", needs=None, factor=Factor.FRESH)
async def renew(visit: Visit) -> Response:
    """Show new recovery codes, for the only time; the old ones are void."""
    codes = await factors.renew_recovery_codes(visit.control, visit.caller, visit.signed_in)
    return _recovery_codes(visit, codes)


@page("POST", _PATH + "/off", needs=None, factor=Factor.FRESH)
async def turn_off(visit: Visit) -> Response:
    """Forget the second factor."""
    await factors.turn_off(visit.control, visit.caller, visit.signed_in)
    return visit.go("/account", said="Two-factor authentication is off.")


async def _look(visit: Visit, messages: Messages) -> Response:
    begun = await factors.pending(visit.control, visit.user)
    return visit.show(
        "two_factor.html",
        status=422 if messages else 200,
        title=_TITLE,
        begun=begun,
        qr=None if begun is None else _picture(begun.url),
        next=_next(visit),
        messages=messages,
    )


def _recovery_codes(visit: Visit, codes: tuple[str, ...]) -> Response:
    return visit.show("recovery_codes.html", title="Recovery codes", codes=codes, next=_next(visit))


def _next(visit: Visit) -> str:
    asked = visit.form.text("next") or visit.query.get("next", "")
    return ROOT + safe_next(asked)


def _picture(url: str) -> Markup:
    """Return the QR code as SVG without any style of its own."""
    made = segno.make(url, micro=False)
    title = "QR code for your authenticator app"
    text = made.svg_inline(omitsize=True, border=1, svgclass=None, lineclass=None, title=title)
    return Markup(text)  # noqa: S704 - drawn here: paths, and the title above # nosec B704

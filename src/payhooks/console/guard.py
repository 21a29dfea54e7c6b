"""The guard: everything that has to hold before a page's function runs, in one place and order.

Ours and no other site's (Sec-Fetch-Site, else Origin) → a form within limits → somebody signed in
→ the token of the form → the second factor as far as the page asks for it → the permission.
Nothing is told of a page to whom it is refused, and a form that only lacked a second factor is
sent again by the page that asks for it: nobody has to type it twice.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from payhooks import limits
from payhooks.console.forms import (
    CODE_FIELD,
    MERCHANT_FIELD,
    NO_MESSAGES,
    TOKEN_FIELD,
    Form,
    Messages,
    read_form,
    wait_words,
)
from payhooks.console.menu import visible
from payhooks.console.page import (
    ROOT,
    SWITCHER_MERCHANTS_MAX,
    Factor,
    Guest,
    Page,
    PublicPage,
    Visit,
)
from payhooks.console.parts import Parts
from payhooks.console.render import Renderer
from payhooks.console.tokens import Tokens
from payhooks.control import factors, sessions
from payhooks.errors import ConflictError, ForbiddenError, InvalidError, RateLimitedError
from payhooks.ids import MerchantId
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.ports.identity import SignedIn

SESSION_COOKIE: Final = "__Host-payhooks"
GUEST_COOKIE: Final = "__Host-payhooks-guest"
_GUEST_BYTES: Final = 16
# Only what this console serves: one slash at the start, no host, nothing a browser would mend,
# such as a part of dots, which leads out of it again.
_NEXT: Final = re.compile(
    r"/console(?:/(?!\.+(?:[/?]|$))[A-Za-z0-9_~.-]+)*/?(?:\?[A-Za-z0-9_~.%&=+*:,\[\]/-]*)?"
)
_NEXT_CHARS_MAX: Final = 1_000
FACTOR_NEEDED: Final = "Two-factor authentication is needed"
WRONG_CODE: Final = "That code did not match. Codes change every 30 seconds."
_CLOSED: Final = "The page that this form was on is too old. Open it again and repeat."


def safe_next(text: str) -> str:
    """Return where to go on to, below /console; the start of it for every other text."""
    fits = len(text) <= _NEXT_CHARS_MAX and _NEXT.fullmatch(text) is not None
    return text.removeprefix(ROOT) or "/" if fits else "/"


class Guard:
    """Lets requests in to pages. One per process."""

    def __init__(
        self,
        parts: Parts,
        *,
        renderer: Renderer,
        tokens: Tokens,
        needs: Mapping[str, Scope | None],
    ) -> None:
        self._parts = parts
        self._control = parts.control
        self._renderer = renderer
        self._tokens = tokens
        self._needs = needs

    def guest(self, request: Request, form: Form | None = None) -> Guest:
        """Return the request as that of anybody."""
        cookie = request.cookies.get(SESSION_COOKIE) or request.cookies.get(GUEST_COOKIE, "")
        return Guest(
            request=request,
            parts=self._parts,
            renderer=self._renderer,
            tokens=self._tokens,
            now=self._control.clock.now(),
            cookie=cookie or self._control.random_bytes(_GUEST_BYTES).hex(),
            form=form or Form(),
        )

    async def public(self, page: PublicPage, request: Request) -> Response:
        """Answer a page that is for everybody.

        Raises:
            ForbiddenError: The form is not ours, or not this browser's.

        """
        form = await self._form(request)
        guest = self.guest(request, form)
        if request.method == "POST" and not self._genuine(request, form):
            raise ForbiddenError(_CLOSED)
        response = await page.function(guest)
        return remember_guest(guest, response)

    async def page(self, page: Page, request: Request) -> Response:
        """Answer a page, or what stands before it.

        Raises:
            ForbiddenError: The form is not ours, or the role does not have the permission.
            ConflictError: The form is of a page of another merchant.

        """
        form = await self._form(request)
        signed_in = await self._signed_in(request)
        if signed_in is None:
            return self._to_sign_in(self.guest(request), page)
        if request.method == "POST" and not self._genuine(request, form):
            raise ForbiddenError(_CLOSED)
        visit = await self._visit(request, signed_in, form)
        if page.needs is not None and form.has(MERCHANT_FIELD):
            _demand_same_merchant(visit)
        if not self._is_given(visit, page.factor):
            refusal = await demand_factor(visit)
            if refusal is not None:
                return refusal
            # The user and the session are others since the code was given.
            visit = await self._visit(request, await self._anew(request), form)
        if page.needs is not None:
            if visit.tenant is None:
                return visit.show("no_team.html", status=403, title="You are in no team")
            visit.caller.demand(page.needs)
        return await page.function(visit)

    async def _form(self, request: Request) -> Form:
        if request.method != "POST":
            return Form()
        self._demand_same_site(request)
        return await read_form(request)

    def _demand_same_site(self, request: Request) -> None:
        """Refuse what another site made the browser send."""
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            ours = site == "same-origin"
        else:
            # Old browsers, and those that were told another name over plain HTTP.
            scheme, _, authority = request.headers.get("origin", "").partition("://")
            hosts = {request.headers.get("host", ""), *self._control.urls.own_hosts}
            ours = scheme in {"http", "https"} and authority in hosts - {""}
        if not ours:
            raise ForbiddenError("This form was not sent from a page of this console.")

    def _genuine(self, request: Request, form: Form) -> bool:
        cookies = request.cookies
        cookie = cookies.get(SESSION_COOKIE) or cookies.get(GUEST_COOKIE, "")
        return bool(cookie) and self._tokens.holds(cookie, form.exact(TOKEN_FIELD))

    async def _signed_in(self, request: Request) -> SignedIn | None:
        text = request.cookies.get(SESSION_COOKIE, "")
        # A tail that polls by itself is nobody's presence.
        present = request.headers.get("x-live") != "1"
        return await sessions.find(self._control, text, present=present) if text else None

    async def _visit(self, request: Request, signed_in: SignedIn, form: Form) -> Visit:
        guest = self.guest(request, form)
        membership = sessions.current(signed_in)
        looked_at = None if membership is None else membership.merchant_id
        tenant, merchants = await self._merchants(signed_in, looked_at)
        caller = sessions.caller_of(signed_in, request_id=guest.request_id, ip=guest.address)
        return Visit(
            request=request,
            parts=guest.parts,
            renderer=guest.renderer,
            tokens=guest.tokens,
            now=guest.now,
            cookie=guest.cookie,
            form=form,
            signed_in=signed_in,
            caller=caller,
            tenant=tenant,
            role=None if membership is None else membership.role,
            merchants=merchants,
            menu=() if tenant is None else visible(caller, self._needs, tenant.mode),
        )

    async def _merchants(
        self, signed_in: SignedIn, looked_at: MerchantId | None
    ) -> tuple[Merchant | None, tuple[Merchant, ...]]:
        """Return the merchant that is looked at, and those in the menu: none where too many."""
        store = self._control.store
        if looked_at is None:
            return None, ()
        if len(signed_in.memberships) > SWITCHER_MERCHANTS_MAX:
            return await store.merchant(looked_at), ()
        merchants = tuple(await store.merchants_of(signed_in.user.id))
        return next((one for one in merchants if one.id == looked_at), None), merchants

    async def _anew(self, request: Request) -> SignedIn:
        signed_in = await self._signed_in(request)
        if signed_in is None:
            raise ForbiddenError("The session has ended meanwhile.")
        return signed_in

    def _is_given(self, visit: Visit, factor: Factor) -> bool:
        if factor is Factor.NONE:
            return True
        if factor is Factor.ONCE:
            return visit.session.factor_at is not None or not visit.user.has_factor
        within_s = limits.FRESH_FACTOR_S if factor is Factor.FRESH else self._parts.factor_s
        return sessions.factor_fresh(visit.signed_in, visit.now, within_s=within_s)

    def _to_sign_in(self, guest: Guest, page: Page) -> Response:
        # A form cannot be sent again by somebody who may be somebody else.
        after = guest.here if page.method == "GET" else f"{ROOT}/"
        return guest.go(f"/sign-in?next={quote(after, safe='/')}")


def _demand_same_merchant(visit: Visit) -> None:
    """Refuse a form of a tab in which another merchant is still seen: it would change this one."""
    if visit.form.exact(MERCHANT_FIELD) != visit.form_merchant:
        raise ConflictError(
            "You have switched to another merchant since this page was opened. Nothing was changed."
        )


async def demand_factor(visit: Visit) -> Response | None:
    """Return what asks for a second factor; None where the form brought one."""
    if not visit.user.has_factor:
        return visit.show("factor_needed.html", status=403, title=FACTOR_NEEDED)
    messages = NO_MESSAGES
    if visit.form.has(CODE_FIELD):
        messages = await try_factor(visit)
        if not messages:
            return None
    if visit.partial:
        # Our script then sends the form as a whole, or opens the page: both ask.
        again = (
            {"x-submit": "1"} if visit.request.method == "POST" else {"x-go": _sendable(visit.here)}
        )
        return Response(status_code=204, headers=again)
    return ask_factor(visit, messages)


def _sendable(address: str) -> str:
    """Return an address as a header can hold it: its path was decoded, its query was not."""
    return quote(address, safe="/?&=%+*:,;@!$'()[]~")


async def try_factor(visit: Visit) -> Messages:
    """Count the code in the form as a second factor; return what is wrong with it, or nothing."""
    code = visit.form.text(CODE_FIELD)
    try:
        await factors.verify(visit.control, visit.caller, visit.signed_in, code)
    except InvalidError:
        return Messages({CODE_FIELD: [WRONG_CODE]})
    except RateLimitedError as error:
        return Messages({CODE_FIELD: [wait_words(error)]})
    return NO_MESSAGES


def ask_factor(visit: Visit, messages: Messages) -> Response:
    """Return the page that asks for a second factor and then goes on to what was asked for."""
    posted = visit.request.method == "POST"
    return visit.show(
        "factor.html",
        status=422 if messages else 403,
        title="Two-factor authentication",
        action=visit.path if posted else f"{ROOT}/factor",
        fields=visit.form.carried if posted else (("next", visit.here),),
        messages=messages,
    )


def remember_guest(guest: Guest, response: Response) -> Response:
    """Return the response, which binds forms to this browser where nothing else does."""
    cookies = guest.request.cookies
    if SESSION_COOKIE not in cookies and GUEST_COOKIE not in cookies:
        set_cookie(response, GUEST_COOKIE, guest.cookie)
    return response


def set_cookie(response: Response, name: str, text: str) -> None:
    """Set a cookie of ours: this host alone, no script, until the browser is closed."""
    response.set_cookie(name, text, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(response: Response, name: str) -> None:
    """Remove a cookie of ours."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")

"""Pages: how one is declared, and what it gets. Whoever writes a page starts here.

A page is an async function from a ``Visit`` to a response, declared once::

    @page("GET", "/settings/webhooks", needs=Scope.ENDPOINTS_READ, factor=Factor.GATE)
    async def webhooks(visit: Visit) -> Response:
        found = await visit.control.store.endpoints(visit.merchant.id, Window(limit=50))
        return visit.show("webhooks.html", part="rows", title="Webhooks", endpoints=found)

    @page("POST", "/settings/webhooks", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
    async def add(visit: Visit) -> Response:
        try:
            await endpoints.create(visit.control, visit.caller, visit.merchant, draft(visit.form))
        except InvalidError as error:
            messages = Messages.from_error(error, {"/label": "label", "/url": "url"})
            return visit.show("webhook_new.html", status=422, title=…, messages=messages)
        return visit.go("/settings/webhooks", said="The webhook was added.")

- **Where.** A file of ``console/pages/``, named in ``console/served.py``; every ``Page`` in it
  is served. Paths are below ``/console`` and may have ``{parameters}``, which are in
  ``visit.parameter``; queries are in ``visit.query``. An id in a path is looked up with
  ``visit.merchant``, so that another merchant's is a 404.
- **Who.** ``needs`` is the scope that the role must have; None means anybody signed in, for what
  is the user's own. ``Factor.GATE`` asks for a second factor given in the last fifteen minutes,
  ``Factor.FRESH`` in the last five. The guard has done all of that, the token of the form and
  the size of the body, before the function runs. Pass ``visit.caller`` to control functions.
- **Errors.** Let PayhooksErrors out: each has its page, with a sentence and the request id. Catch
  InvalidError where there are fields to say it beside, and StaleVersionError where somebody
  else's edit is worth showing.
- **Answers.** ``visit.show`` renders a template, ``visit.go`` redirects after a POST and says
  what was done on the next page. ``part`` names the block that a request with ``X-Partial: 1``
  gets alone; the block is one element, and its id is what ``data-swap`` of the link or form names.
- **Templates** extend ``base.html`` and fill ``main`` (and ``actions``, right of the heading).
  ``title`` is the h1. ``visit`` and ``ui`` are always there: ``ui`` is components.html. Every
  form begins with ``{{ ui.form("/console/…", visit) }}`` and ends with ``</form>``.
- **Menu.** An entry of ``menu.py`` is shown once its page is there and the role may see it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Literal

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from payhooks import ids
from payhooks.console.forms import Form
from payhooks.console.menu import Group
from payhooks.console.parts import Parts
from payhooks.console.render import Renderer
from payhooks.console.tokens import Tokens, Use
from payhooks.control.context import Caller, Control
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.model.user import Role, Session, User
from payhooks.ports.identity import SignedIn

Method = Literal["GET", "POST"]
ROOT: Final = "/console"
SAID_COOKIE: Final = "__Host-payhooks-said"
THEME_COOKIE: Final = "payhooks-theme"
SHORTCUTS_COOKIE: Final = "payhooks-no-shortcuts"
# More are not in the menu of each page, but on one of their own where they can be searched.
SWITCHER_MERCHANTS_MAX: Final = 20
THEMES: Final = ("auto", "light", "dark")
_SAID_S: Final = 60


class Factor(StrEnum):
    """What a page asks of the second factor, beyond being signed in."""

    NONE = "none"  # the password alone: for what stands between it and the second factor
    ONCE = "once"  # given when signing in, by users who have one
    GATE = "gate"  # given lately: the setting says how lately
    FRESH = "fresh"  # given in the last five minutes: for what is hard to undo


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A request of anybody, signed in or not: what templates and answers need of it."""

    request: Request
    parts: Parts
    renderer: Renderer
    tokens: Tokens
    now: datetime
    cookie: str  # what this browser's forms are bound to
    form: Form = field(default_factory=Form)

    @property
    def control(self) -> Control:
        """What the control plane works with."""
        return self.parts.control

    @property
    def request_id(self) -> str:
        """The name of this request, for logs and for whoever asks us."""
        found: str = self.request.scope["state"]["request_id"]
        return found

    @property
    def address(self) -> str | None:
        """Where the request comes from."""
        return self.parts.address_of(self.request.scope)

    @property
    def agent(self) -> str:
        """What the browser calls itself."""
        return self.request.headers.get("user-agent", "")

    @property
    def parameter(self) -> dict[str, str]:
        """The parameters in the path."""
        return self.request.path_params

    @property
    def query(self) -> QueryParams:
        """The parameters after the question mark."""
        return self.request.query_params

    @property
    def path(self) -> str:
        """The path, as the menu compares it."""
        return self.request.url.path

    @property
    def here(self) -> str:
        """The path with its query: where to come back to."""
        query = self.request.url.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def partial(self) -> bool:
        """Whether our own script asks, for a part of the page."""
        return self.request.headers.get("x-partial") == "1"

    @property
    def theme(self) -> str:
        """The theme that this browser chose; ``auto`` follows the system."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else THEMES[0]

    @property
    def shortcuts(self) -> bool:
        """Whether single letters are shortcuts in this browser."""
        return SHORTCUTS_COOKIE not in self.request.cookies

    @property
    def token(self) -> str:
        """What the forms of this page carry."""
        return self.tokens.token(self.cookie)

    @property
    def form_merchant(self) -> str:
        """The merchant that the forms of this page are for, as printed; empty for nobody's."""
        return ""

    @property
    def said(self) -> str:
        """What the page before has to say: the result of what was done there."""
        return self.tokens.unseal(Use.SAID, self.request.cookies.get(SAID_COOKIE, ""))

    def show(
        self, template: str, *, status: int = 200, part: str | None = None, **values: object
    ) -> Response:
        """Return the page; its block *part* alone where our script asks for a part."""
        values["visit"] = self
        block = part if self.partial else None
        text = self.renderer.render(template, block=block, values=values)
        response = Response(text, status, media_type="text/html")
        if block is not None:
            return self._unless_known(response)
        if SAID_COOKIE in self.request.cookies:
            response.delete_cookie(SAID_COOKIE, path="/", secure=True, httponly=True)
        return response

    def go(self, path: str, *, said: str = "") -> Response:
        """Return the redirect to a path below /console; *said* is shown there."""
        assert path.startswith("/")
        target = f"{ROOT}{path}"
        response: Response
        if self.partial:
            # A redirect that fetch followed would have cost the next page its word.
            response = Response(status_code=204, headers={"x-go": target})
        else:
            response = RedirectResponse(target, status_code=303)
        if said:
            response.set_cookie(
                SAID_COOKIE,
                self.tokens.seal(Use.SAID, said),
                max_age=_SAID_S,
                path="/",
                secure=True,
                httponly=True,
                samesite="lax",
            )
        return response

    def _unless_known(self, response: Response) -> Response:
        """Return 304 where the part is what the live tail already has."""
        tag = f'"{blake2b(bytes(response.body), digest_size=12).hexdigest()}"'
        response.headers["etag"] = tag
        if response.status_code == 200 and self.request.headers.get("if-none-match") == tag:  # noqa: PLR2004 - OK is a word of HTTP
            return Response(status_code=304, headers={"etag": tag})
        return response


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit(Guest):
    """A request of somebody signed in, and let in."""

    signed_in: SignedIn
    caller: Caller
    tenant: Merchant | None  # None: the user is in no team (any more)
    role: Role | None
    merchants: tuple[Merchant, ...]  # all that the user may switch to; none where they are many
    menu: tuple[Group, ...]

    @property
    def user(self) -> User:
        """Who asks."""
        return self.signed_in.user

    @property
    def session(self) -> Session:
        """What began when they signed in."""
        return self.signed_in.session

    @property
    def merchant(self) -> Merchant:
        """The merchant that is looked at; every page with ``needs`` has one."""
        assert self.tenant is not None
        return self.tenant

    @property
    def form_merchant(self) -> str:
        """The merchant that the forms of this page are for, as printed; empty for nobody's."""
        return "" if self.tenant is None else ids.to_text(ids.MERCHANT, self.tenant.id)

    @property
    def many_merchants(self) -> bool:
        """Whether the user may switch to more merchants than a menu can hold."""
        return len(self.signed_in.memberships) > SWITCHER_MERCHANTS_MAX

    def may(self, scope: Scope) -> bool:
        """Whether the role has the permission: what a button is shown by."""
        return self.caller.may(scope)


PageFunction = Callable[[Visit], Awaitable[Response]]
PublicFunction = Callable[[Guest], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page for those who are signed in."""

    method: Method
    path: str
    needs: Scope | None
    factor: Factor
    function: PageFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPage:
    """A page for everybody: signing in, and what explains it."""

    method: Method
    path: str
    function: PublicFunction


def page(
    method: Method, path: str, *, needs: Scope | None, factor: Factor
) -> Callable[[PageFunction], Page]:
    """Declare a page; the declaration is the only way to be served."""
    assert path.startswith("/")

    def declare(function: PageFunction) -> Page:
        return Page(method=method, path=path, needs=needs, factor=factor, function=function)

    return declare


def public(method: Method, path: str) -> Callable[[PublicFunction], PublicPage]:
    """Declare a page that needs nobody signed in. Said aloud, so that none is open by omission."""
    assert path.startswith("/")

    def declare(function: PublicFunction) -> PublicPage:
        return PublicPage(method=method, path=path, function=function)

    return declare

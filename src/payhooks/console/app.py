"""Puts the console together: routes from pages, the guard before them, errors behind them."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import cache
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from payhooks.console import refusals
from payhooks.console.assets import Assets
from payhooks.console.guard import Guard, remember_guest
from payhooks.console.page import ROOT, Page, PublicPage
from payhooks.console.parts import Parts
from payhooks.console.render import Renderer
from payhooks.console.served import MODULES
from payhooks.console.tokens import Tokens
from payhooks.errors import PayhooksError

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
_Declared = Page | PublicPage

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; require-trusted-types-for 'script'; trusted-types payhooks"
)
# What every answer has; the front adds nosniff and no-referrer to all of the server's.
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@cache
def _looks() -> tuple[Assets, Renderer]:
    """Return what is read from files that a process does not see change; made once."""
    assets = Assets()
    return assets, Renderer(assets)


def create_console(parts: Parts) -> _App:
    """Return the application that answers ``/`` and everything below ``/console``."""
    assets, renderer = _looks()
    tokens = Tokens(parts.form_key)
    declared = pages()
    needs = {
        page.path: page.needs
        for page in declared
        if isinstance(page, Page) and page.method == "GET"
    }
    guard = Guard(parts, renderer=renderer, tokens=tokens, needs=needs)
    answers = _Answers(guard)
    routes = [
        Route("/", _to_console, methods=["GET"]),
        Route(ROOT, _to_console, methods=["GET"]),
        Route(f"{ROOT}/static/{{name}}", assets.serve, methods=["GET"]),
        *(_route(guard, path, declared) for path in dict.fromkeys(page.path for page in declared)),
    ]
    console = Starlette(
        routes=routes,
        exception_handlers={
            PayhooksError: answers.on_error,
            HTTPException: answers.on_http,
            # Starlette raises it again behind the answer; the front then tells of the bug.
            Exception: answers.on_bug,
        },
    )
    console.router.redirect_slashes = False
    return _with_headers(console)


def pages() -> tuple[_Declared, ...]:
    """Return every page that is served."""
    return tuple(
        found
        for module in MODULES
        for found in vars(module).values()
        if isinstance(found, Page | PublicPage)
    )


def _route(guard: Guard, path: str, declared: Sequence[_Declared]) -> Route:
    """Return one route for all methods of a path, so that a 405 names each of them."""
    by_method = {page.method: page for page in declared if page.path == path}
    assert len(by_method) == sum(page.path == path for page in declared), (
        f"{path} is declared twice"
    )

    async def answer(request: Request) -> Response:
        page = by_method["POST" if request.method == "POST" else "GET"]
        if isinstance(page, PublicPage):
            return await guard.public(page, request)
        return await guard.page(page, request)

    return Route(f"{ROOT}{path}", answer, methods=list(by_method))


async def _to_console(request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/", status_code=303)


class _Answers:
    """Error pages. They know nobody: what failed may be what tells who it is."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def on_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, PayhooksError)
        return self._page(request, refusals.of_error(error))

    async def on_http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = self._page(request, refusals.of_status(error.status_code))
        response.headers.update(error.headers or {})
        return response

    async def on_bug(self, request: Request, error: Exception) -> Response:
        return self._page(request, refusals.BUG)

    def _page(self, request: Request, refusal: refusals.Refusal) -> Response:
        guest = self._guard.guest(request)
        response = guest.show(
            "refusal.html",
            status=refusal.status,
            title=refusal.title,
            words=refusal.words,
            again=guest.here if refusal.again and request.method in {"GET", "HEAD"} else None,
        )
        return remember_guest(guest, response)


def _with_headers(app: _App) -> _App:
    async def guarded(scope: _Scope, receive: _Receive, send: _Send) -> None:
        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *HEADERS]
                if not any(name == b"cache-control" for name, _value in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        await app(scope, receive, send_with_headers)

    return guarded

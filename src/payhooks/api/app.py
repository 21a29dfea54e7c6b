"""Puts the server together: the front, the hot path, the console, FastAPI for everything else."""

from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from threading import Lock
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from payhooks.api import asgi, documents, faults
from payhooks.api.auth import Authenticator, demand_declared
from payhooks.api.front import Front, RequestIds
from payhooks.api.hot import HotPath
from payhooks.api.inbox import InboxIntake
from payhooks.api.intake import ConnectorIntake
from payhooks.api.plain import PlainPublishing
from payhooks.api.problems import (
    INTERNAL,
    Kind,
    Problem,
    ProblemError,
    body_of,
    headers_of,
    of_error,
    of_faults,
    shown,
)
from payhooks.api.routes import (
    connectors,
    deliveries,
    endpoints,
    event_types,
    events,
    health,
    inboxes,
    keys,
    listen,
    merchants,
    objects,
    receipts,
    records,
    replays,
    sandbox,
    team,
)
from payhooks.api.services import Services
from payhooks.console.app import create_console
from payhooks.console.parts import Parts
from payhooks.errors import PayhooksError

_ROUTERS: Final = (
    merchants.router,
    merchants.one,
    events.router,
    objects.router,
    endpoints.router,
    deliveries.router,
    replays.router,
    listen.router,
    keys.router,
    team.router,
    event_types.router,
    sandbox.catalogue,
    sandbox.router,
    inboxes.router,
    connectors.catalogue,
    connectors.router,
    receipts.router,
    records.router,
    health.router,
)
_KINDS: Final = {
    HTTPStatus.NOT_FOUND: Kind.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Kind.METHOD,
    HTTPStatus.BAD_REQUEST: Kind.MALFORMED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Kind.MEDIA_TYPE,
}

# Every application of a process has the same routes. To describe them takes half a second, which
# whoever asks first waits for, and not every start.
_DESCRIBED: Final[dict[str, Any]] = {}
_DESCRIBING: Final = Lock()


class Application(NamedTuple):
    """What a server runs: the application, and what its protocol may take past it."""

    app: asgi.App
    plain: PlainPublishing | None  # None: everything goes through the application


def create_application(services: Services) -> Application:
    """Return the application that a server runs.

    Raises:
        AssertionError: A route does not declare whom it lets in.

    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    # The routes themselves and not include_router, which wraps them lazily: what each demands
    # is checked below, before the first request.
    for router in _ROUTERS:
        app.router.routes.extend(router.routes)
    app.add_exception_handler(PayhooksError, _on_error)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    # Starlette answers first and raises again; the front then tells whoever listens to bugs.
    app.add_exception_handler(Exception, _on_bug)
    demand_declared(app)
    app.openapi = partial(_described, app)  # type: ignore[method-assign]  # its documented way
    authenticator = Authenticator(services)
    request_ids = RequestIds(services.control.ids)
    hot = HotPath(services, authenticator)
    front = Front(
        rest=app,
        console=create_console(_console_parts(services)),
        hot=hot,
        inboxes=InboxIntake(services.control),
        connectors=ConnectorIntake(services.control, services.directory, services.receiver),
        authenticator=authenticator,
        request_ids=request_ids,
        on_bug=services.on_bug,
    )
    plain = PlainPublishing(services, hot=hot, request_ids=request_ids, on_bug=services.on_bug)
    return Application(app=front, plain=plain)


def _described(app: FastAPI) -> dict[str, Any]:
    with _DESCRIBING:
        if not _DESCRIBED:
            _DESCRIBED.update(documents.openapi(app))
    return _DESCRIBED


def _console_parts(services: Services) -> Parts:
    return Parts(
        control=services.control,
        acceptor=services.acceptor,
        directory=services.directory,
        book=services.book,
        owner=services.owner,
        form_key=blake2b(b"forms", key=services.cursor_key).digest(),
        factor_s=services.console_factor_s,
        address_of=services.peers.address_of,
    )


def _respond(request: Request, problem: Problem) -> Response:
    body = body_of(
        problem,
        request_id=request.scope["state"]["request_id"],
        instance=shown(request.scope["path"]),
    )
    return Response(content=body, status_code=problem.status, headers=dict(headers_of(problem)))


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PayhooksError)
    return _respond(request, of_error(error))


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return _respond(request, error.problem)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _respond(request, of_faults(faults.of_request(error.errors(), error.body)))


async def _on_bug(request: Request, error: Exception) -> Response:
    return _respond(request, INTERNAL)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = _KINDS.get(HTTPStatus(error.status_code), Kind.MALFORMED)
    if kind is Kind.METHOD:
        allowed = _allowed(request)
        detail = f"This takes {allowed}."
        return _respond(request, Problem(kind=kind, detail=detail, headers=(("allow", allowed),)))
    detail = "There is no such thing here." if kind is Kind.NOT_FOUND else "See the description."
    return _respond(request, Problem(kind=kind, detail=detail))


def _allowed(request: Request) -> str:
    """Return every method that the path has: one method is one route here."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))

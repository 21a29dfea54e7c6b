"""The adapters: each framework's own requests, verified before anything parses them.

The plugin's fixtures make the requests, so these are its tests too.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any
from wsgiref.util import setup_testing_defaults

import django.test  # type: ignore[import-untyped] # It ships no types.
import fastapi
import flask
import pytest
from django.http import HttpRequest  # type: ignore[import-untyped] # It ships no types.
from django.urls import path  # type: ignore[import-untyped] # It ships no types.
from tests.support import django_project

from payhooks.receiver import Event, Verifier, asgi, wsgi
from payhooks.receiver import django as for_django
from payhooks.receiver import fastapi as for_fastapi
from payhooks.receiver import flask as for_flask
from payhooks.receiver.asgi_messages import headers_of
from payhooks.receiver.dialects import DIALECTS
from payhooks.receiver.pytest_plugin import (
    MakeEvent,
    PostWebhook,
    SignedRequest,
    Tamper,
    assert_idempotent,
    make_event,
    post_webhook,
    signed_request,
    webhook_secret,
)

__all__ = ["assert_idempotent", "make_event", "post_webhook", "signed_request", "webhook_secret"]

pytestmark = pytest.mark.shows("V53")

MAX = 2_000
Answer = tuple[int, str, bytes]
Post = Callable[[bytes, dict[str, str]], Answer]


class BrokenError(Exception):
    """The application's own mistake."""


class Application:
    """What all of them do with an event: keep it, or break."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def take(self, event: Event) -> None:
        if event.type == "broken":
            raise BrokenError
        self.heard.append(event)


def _call_asgi(application: Callable[..., Any], body: bytes, headers: dict[str, str]) -> Answer:
    """Return what an ASGI application answers; an error that it raises is a server's 500."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/hooks",
        "raw_path": b"/hooks",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    # In pieces, as it comes over a network.
    parts = [body[:10], body[10:]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        asyncio.run(_awaited(application(scope, receive, send)))
    except BrokenError:
        return 500, "", b""
    found = dict(sent[0]["headers"])
    return sent[0]["status"], found.get(b"content-type", b"").decode(), sent[1]["body"]


async def _awaited(work: Awaitable[None]) -> None:
    await work


def _asgi(take: Application, verifier: Verifier) -> Post:
    @asgi.webhook(verifier)
    async def receive(event: Event) -> None:
        take.take(event)

    return lambda body, headers: _call_asgi(receive, body, headers)


def _fastapi(take: Application, verifier: Verifier) -> Post:
    app = fastapi.FastAPI()
    for_fastapi.install(app)

    @app.post("/hooks", status_code=204)
    async def receive(
        event: Annotated[Event, fastapi.Depends(for_fastapi.webhook(verifier))],
    ) -> None:
        take.take(event)

    return lambda body, headers: _call_asgi(app, body, headers)


def _flask(take: Application, verifier: Verifier) -> Post:
    app = flask.Flask(__name__)

    @app.post("/hooks")
    @for_flask.webhook(verifier)
    def receive(event: Event) -> None:
        assert flask.request.get_data() == event.raw, "whoever asks later gets them too"
        take.take(event)

    def post(body: bytes, headers: dict[str, str]) -> Answer:
        answer = app.test_client().post("/hooks", data=body, headers=headers)
        return answer.status_code, answer.headers.get("content-type", ""), answer.data

    return post


def _call_wsgi(application: wsgi.Application, body: bytes, headers: dict[str, str]) -> Answer:
    """Return what a WSGI application answers; an error that it raises is a server's 500."""
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(body)}
    environ["CONTENT_LENGTH"] = str(len(body))
    named = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers.items()}
    setup_testing_defaults(environ)
    said: list[Any] = []
    try:
        answer = application(environ | named, lambda *parts: said.extend(parts))
    except BrokenError:
        return 500, "", b""
    kind = dict(said[1]).get("Content-Type", "")
    return int(said[0].split(" ")[0]), kind, b"".join(answer)


def _wsgi(take: Application, verifier: Verifier) -> Post:
    application = wsgi.webhook(verifier)(take.take)
    return lambda body, headers: _call_wsgi(application, body, headers)


def _django(take: Application, verifier: Verifier, *, is_async: bool = False) -> Post:
    django_project.configure()
    assert MAX < django_project.UPLOAD_BYTES_MAX
    hook = for_django.webhook(verifier)
    if is_async:

        @hook
        async def receive(request: HttpRequest, event: Event) -> None:
            take.take(event)
    else:

        @hook
        def receive(request: HttpRequest, event: Event) -> None:
            take.take(event)

    django_project.urlpatterns[:] = [path("hooks", receive)]
    django.urls.clear_url_caches()

    def post(body: bytes, headers: dict[str, str]) -> Answer:
        client = django.test.Client(enforce_csrf_checks=True, raise_request_exception=False)
        kind = headers.get("content-type", "")
        answer = client.post("/hooks", data=body, content_type=kind, headers=headers)
        return answer.status_code, answer.headers.get("content-type", ""), answer.content

    return post


ADAPTERS: dict[str, Callable[[Application, Verifier], Post]] = {
    "asgi": _asgi,
    "fastapi": _fastapi,
    "flask": _flask,
    "wsgi": _wsgi,
    "django": _django,
    "django async": lambda take, verifier: _django(take, verifier, is_async=True),
}
every_adapter = pytest.mark.parametrize("adapter", ADAPTERS)


@pytest.fixture
def application() -> Iterator[Application]:
    yield Application()
    django_project.urlpatterns.clear()


@pytest.fixture
def deliver(
    application: Application, webhook_secret: str, signed_request: SignedRequest
) -> Callable[..., Answer]:
    """Return what posts an event to an application behind an adapter."""

    def post(adapter: str, event: Event, *, tamper: Tamper | None = None) -> Answer:
        verifier = Verifier(webhook_secret, dialect=event.format)
        return ADAPTERS[adapter](application, verifier)(*signed_request(event, tamper=tamper))

    return post


@every_adapter
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_signed_request_gets_to_the_handler(
    adapter: str,
    dialect: str,
    application: Application,
    make_event: MakeEvent,
    deliver: Callable[..., Answer],
) -> None:
    """In every dialect: whatever its content type is, and wherever its signature stands."""
    event = make_event("payment_succeeded", dialect=dialect, note="Zürich")
    status, _, body = deliver(adapter, event)
    assert (status, body) == (204, b"")
    [heard] = application.heard
    assert (heard.id, heard.type, heard.data) == (event.id, event.type, event.data)


@every_adapter
@pytest.mark.parametrize("tamper", ["body", "signature", "timestamp"])
def test_a_refusal_says_nothing_that_would_help_a_forger(
    adapter: str,
    tamper: Tamper,
    application: Application,
    make_event: MakeEvent,
    deliver: Callable[..., Answer],
) -> None:
    answer = deliver(adapter, make_event("payment_succeeded"), tamper=tamper)
    assert answer == (401, "application/problem+json", b'{"title":"Webhook not verified"}')
    assert application.heard == []


@every_adapter
@pytest.mark.parametrize("size", [MAX + 1, MAX * 3])
def test_a_body_that_is_too_large_is_413(
    adapter: str, size: int, application: Application, webhook_secret: str
) -> None:
    """It is neither kept in memory nor hashed."""
    post = ADAPTERS[adapter](application, Verifier(webhook_secret, max_body=MAX))
    assert post(b" " * size, {"content-type": "application/json"})[0] == 413


@every_adapter
def test_an_error_of_the_handler_is_a_500(
    adapter: str, make_event: MakeEvent, deliver: Callable[..., Answer]
) -> None:
    """So that it is sent again; an error that became a 2xx would lose the event."""
    assert deliver(adapter, make_event("broken"))[0] == 500


@every_adapter
@pytest.mark.parametrize("headers", [{}, {"webhook-id": "\x7f", "webhook-timestamp": "-"}])
def test_anything_else_is_a_401(
    adapter: str, headers: dict[str, str], application: Application, webhook_secret: str
) -> None:
    """Scanners post what they like."""
    post = ADAPTERS[adapter](application, Verifier(webhook_secret))
    assert post(b"\xff{", {"content-type": "text/plain", **headers})[0] == 401


def test_other_methods_are_refused(application: Application, webhook_secret: str) -> None:
    """A browser that looks at the URL must not be an error in somebody's log."""
    _django(application, Verifier(webhook_secret))
    assert django.test.Client().get("/hooks").status_code == 405
    receive = asgi.webhook(Verifier(webhook_secret))(_nothing)
    scope = {"type": "http", "method": "GET", "headers": []}
    sent: list[Any] = []

    async def send(message: object) -> None:
        sent.append(message)

    asyncio.run(_awaited(receive(scope, _no_body, send)))
    assert sent[0]["status"] == 405
    assert (b"allow", b"POST") in sent[0]["headers"]
    said: list[Any] = []
    wsgi.webhook(Verifier(webhook_secret))(application.take)(
        {"REQUEST_METHOD": "GET"}, lambda *parts: said.extend(parts)
    )
    assert said[0].startswith("405")


async def _nothing(event: Event) -> None:
    raise AssertionError(event)


async def _no_body() -> dict[str, Any]:
    raise AssertionError("nobody should read")


def test_wsgi_takes_no_asynchronous_function(webhook_secret: str) -> None:
    """Called, it would run nothing: each event would be answered 204 and be lost."""
    hook: Callable[..., object] = wsgi.webhook(Verifier(webhook_secret))
    with pytest.raises(TypeError, match="asgi"):
        hook(_nothing)


class _Receiver:
    """A handler with a state of its own."""

    async def __call__(self, event: Event) -> None:
        raise AssertionError(event)


@pytest.mark.parametrize("handle", [lambda event: _nothing(event), _Receiver()])  # noqa: PLW0108 - the case
def test_wsgi_answers_no_204_for_work_that_has_not_begun(
    handle: Callable[[Event], None],
    webhook_secret: str,
    make_event: MakeEvent,
    signed_request: SignedRequest,
) -> None:
    """Its kind cannot be told from outside; a server's 500 brings the event again."""
    application = wsgi.webhook(Verifier(webhook_secret))(handle)
    with pytest.raises(TypeError, match="asgi"):
        _call_wsgi(application, *signed_request(make_event("a")))


def test_fastapi_without_install_says_so(
    webhook_secret: str, make_event: MakeEvent, signed_request: SignedRequest
) -> None:
    """With the first request of the first test, not with the first forgery in production."""
    app = fastapi.FastAPI()

    @app.post("/hooks")
    async def receive(
        event: Annotated[Event, fastapi.Depends(for_fastapi.webhook(Verifier(webhook_secret)))],
    ) -> None: ...

    with pytest.raises(TypeError, match="install"):
        _call_asgi(app, *signed_request(make_event("a")))


def test_fastapi_may_have_read_the_body_before(
    application: Application,
    webhook_secret: str,
    make_event: MakeEvent,
    signed_request: SignedRequest,
) -> None:
    """An endpoint with a body of its own: FastAPI parses that first, and must not take ours."""
    app = fastapi.FastAPI()
    for_fastapi.install(app)

    @app.post("/hooks", status_code=204)
    async def receive(
        event: Annotated[Event, fastapi.Depends(for_fastapi.webhook(Verifier(webhook_secret)))],
        parsed: Annotated[dict[str, Any], fastapi.Body()],
    ) -> None:
        assert parsed["type"] == event.type
        application.take(event)

    event = make_event("a.b")
    assert _call_asgi(app, *signed_request(event))[0] == 204
    assert application.heard == [event]


def test_twins_of_a_header_are_refused(webhook_secret: str) -> None:
    """Two ids: one would be checked and the other read."""
    pairs = headers_of({"headers": [(b"webhook-id", b"a"), (b"webhook-id", b"b")]})
    with pytest.raises(Exception, match="two webhook-id"):
        Verifier(webhook_secret).verify(b"{}", pairs)


def _flask_app(application: Application, verifier: Verifier) -> flask.Flask:
    app = flask.Flask(__name__)
    app.post("/hooks")(for_flask.webhook(verifier)(application.take))
    return app


def test_posts_through_flasks_and_djangos_clients(
    application: Application,
    webhook_secret: str,
    make_event: MakeEvent,
    post_webhook: PostWebhook,
) -> None:
    """Each spells bodies and headers in its own way."""
    event = make_event("payment_succeeded", amount="5.00")
    client = _flask_app(application, Verifier(webhook_secret)).test_client()
    assert post_webhook(client, "/hooks", event).status_code == 204
    assert post_webhook(client, "/hooks", event, tamper="body").status_code == 401
    _django(application, Verifier(webhook_secret))
    assert post_webhook(django.test.Client(), "/hooks", event).status_code == 204
    assert application.heard == [event, event]

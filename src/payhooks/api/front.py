"""The outermost layer: every request passes here, and every answer leaves here.

It gives the request an id, refuses what HTTP itself should not let through, finds out who
calls before it reads a body, sends publishing to the hot path and the rest to FastAPI, and
turns whatever is raised into a problem. What is the console's goes there as it came.
"""

import re
from collections.abc import Callable
from typing import Final

from payhooks import ids, limits
from payhooks.api import asgi, problems, strict_json
from payhooks.api.auth import Authenticator
from payhooks.api.hot import HotPath
from payhooks.api.inbox import InboxIntake
from payhooks.api.intake import ConnectorIntake
from payhooks.api.media import demand_json
from payhooks.api.problems import INTERNAL, Kind, Problem, ProblemError, ending
from payhooks.errors import PayhooksError
from payhooks.ids import IdSource

TARGET_BYTES_MAX: Final = 8 * limits.KIB
HEADERS_MAX: Final = 100
HEADER_BYTES_MAX: Final = 32 * limits.KIB
HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
_FIRST_REQUEST: Final = "0000000000"
_CLOSE: Final = ("connection", "close")
_VERSIONS: Final = frozenset({"1.0", "1.1"})  # the parser knows more than it speaks
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SECURE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class RequestIds:
    """Names for requests: shaped like our other ids, made by counting.

    One drawn id names the process, decimal digits behind it the request: drawing and spelling
    one for each would cost 7 µs on the way of every event.
    """

    def __init__(self, id_source: IdSource) -> None:
        drawn = ids.to_text(ids.REQUEST, id_source.new())
        self._begins = drawn[: -len(_FIRST_REQUEST)]
        self._count = 0

    def next(self) -> str:
        """Return a name that no other request has."""
        self._count += 1
        return f"{self._begins}{self._count:010d}"


class Front:
    """The ASGI application that the server runs."""

    def __init__(  # noqa: PLR0913 - every part is named at the call site
        self,
        *,
        rest: asgi.App,
        console: asgi.App,
        hot: HotPath,
        inboxes: InboxIntake,
        connectors: ConnectorIntake,
        authenticator: Authenticator,
        request_ids: RequestIds,
        on_bug: Callable[[BaseException, str], None],
    ) -> None:
        self._rest = rest
        self._console = console
        self._hot = hot
        self._inboxes = inboxes
        self._connectors = connectors
        self._authenticator = authenticator
        self._request_ids = request_ids
        self._on_bug = on_bug

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request; nothing escapes."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._rest(scope, receive, send)
            return
        request_id = self._request_ids.next()
        scope.setdefault("state", {})["request_id"] = request_id
        answering = _Answering(send, request_id)
        problem: Problem
        try:
            await self._route(scope, receive, answering)
        except asgi.GoneError:
            return
        except PayhooksError as error:
            problem = problems.of_error(error)
            if problem is INTERNAL:
                self._on_bug(error, request_id)
        except ProblemError as error:
            problem = error.problem
        except Exception as error:  # noqa: BLE001 - the last resort: counted, logged, answered 500
            self._on_bug(error, request_id)
            problem = INTERNAL
        else:
            return
        if not answering.started:
            await self._refuse(scope, answering, problem)

    async def _refuse(self, scope: asgi.Scope, send: asgi.Send, problem: Problem) -> None:
        request_id, path = scope["state"]["request_id"], scope["path"]
        if self._connectors.takes(path):
            self._connectors.turned_away(problem, request_id)
        await asgi.answer_problem(
            send, problem, request_id=request_id, instance=problems.shown(path)
        )

    async def _route(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        _demand_sane(scope)
        merchant_ref = self._hot.takes(scope)
        if merchant_ref is not None:
            await self._hot(scope, receive, send, merchant_ref)
            return
        path: str = scope["path"]
        if self._connectors.takes(path):
            await self._connectors(scope, receive, send)
            return
        if path in {"/", "/console"} or path.startswith("/console/"):
            # It reads its own bodies: forms, once it knows whose they are.
            await self._console(scope, receive, send)
            return
        if self._inboxes.takes(path):
            await self._inboxes(scope, receive, send)
            return
        if path == "/v1" or path.startswith("/v1/"):
            # Before the body is read: who has no key is not worth the memory.
            scope["state"]["caller"] = await self._authenticator.caller(scope)
        elif scope["method"] == "HEAD":
            # Balancers ask for health this way. A copy: the server looks at the original, and
            # leaves the body out.
            scope = {**scope, "method": "GET"}
        if scope["method"] in _BODILESS:
            await self._rest(scope, receive, send)
            return
        body = await asgi.read_body(scope, receive, bytes_max=limits.EVENT_BODY_BYTES_MAX)
        if body:
            demand_json(scope)
            strict_json.check(body)
        await self._rest(scope, asgi.replayed(body, receive), send)


class _Answering:
    """The way out: adds what every answer has, and remembers whether one began."""

    __slots__ = ("_headers", "_send", "started")

    def __init__(self, send: asgi.Send, request_id: str) -> None:
        self._send = send
        self._headers = ((b"x-request-id", request_id.encode()), *SECURE)
        self.started = False

    async def __call__(self, message: asgi.Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)


def _demand_sane(scope: asgi.Scope) -> None:
    """Refuse what the server below lets through and two programs could read differently."""
    if scope["method"] not in _METHODS:
        raise ending(Kind.METHOD, "There is no such method here.", ("allow", "GET, HEAD, POST"))
    if scope["http_version"] not in _VERSIONS:
        raise ending(Kind.MALFORMED, "This server speaks HTTP/1.1.", _CLOSE)
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX:
        raise ending(Kind.URI_TOO_LONG, f"A URL has at most {TARGET_BYTES_MAX} bytes.")
    _demand_sane_headers(scope)
    if not scope["raw_path"].startswith(b"/"):
        raise ending(Kind.MISDIRECTED, "This server does not speak for others.")
    # In a query too: as a value it would be for the store to refuse, and not all of them do.
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise ending(Kind.MALFORMED, "The URL has a NUL character.")


def _demand_sane_headers(scope: asgi.Scope) -> None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    size, hosts = 0, 0
    for name, value in headers:
        size += len(name) + len(value)
        match name:
            case b"host":
                hosts += 1
                if HOST.fullmatch(value) is None:
                    raise ending(Kind.MALFORMED, "The Host header is not a host.")
            case b"content-encoding" if value.lower() != b"identity":
                raise ending(
                    Kind.CONTENT_ENCODING,
                    "Bodies are read as they come.",
                    ("accept-encoding", "identity"),
                )
            case b"transfer-encoding" if (
                value.lower() != b"chunked" or scope["http_version"] == "1.0"
            ):
                # Another coding below the chunks would be taken for the body; and whoever
                # stands in front of an HTTP/1.0 client may see the body end elsewhere.
                detail = "A body comes with its length, or in chunks and nothing else."
                raise ending(Kind.MALFORMED, detail, _CLOSE)
            case b"expect" if value.lower() != b"100-continue":
                raise ending(Kind.EXPECTATION, "Only 100-continue is known.")
            case _:
                pass
    if len(headers) > HEADERS_MAX or size > HEADER_BYTES_MAX:
        detail = f"At most {HEADERS_MAX} headers and {HEADER_BYTES_MAX} bytes in all are read."
        raise ending(Kind.HEADERS_TOO_LARGE, detail, _CLOSE)
    if hosts > 1 or (hosts == 0 and scope["http_version"] != "1.0"):
        raise ending(Kind.MALFORMED, "Send exactly one Host header.")

"""A plain WSGI application for one webhook.

    @webhook(verifier)
    def application(event: Event) -> None: ...

What it raises goes on to the server, which answers 500, so that it is sent again.
"""

from collections.abc import Callable, Iterable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final

from payhooks.receiver.answers import PROBLEM, REFUSED, status_of
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.event import Event
from payhooks.receiver.verifier import Verifier

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]

_ASYNCHRONOUS: Final = "WSGI runs no asynchronous functions; payhooks.receiver.asgi does"


def webhook(verifier: Verifier) -> Callable[[Callable[[Event], None]], Application]:
    """Return what makes an application of a function: 204 when it returns."""

    def decorate(handle: Callable[[Event], None]) -> Application:
        if iscoroutinefunction(handle):
            # Known before the first event; behind a decorator it shows by what it returns.
            raise TypeError(_ASYNCHRONOUS)
        work: Callable[[Event], object] = handle  # whatever its type says

        def application(environ: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
            if environ["REQUEST_METHOD"] != "POST":
                start("405 Method Not Allowed", [("Allow", "POST"), ("Content-Length", "0")])
                return [b""]
            try:
                event = verifier.verify(_body(environ, verifier.max_body), _headers(environ))
            except VerificationError as error:
                status = f"{status_of(error)} Refused"
                length = ("Content-Length", str(len(REFUSED)))
                start(status, [("Content-Type", PROBLEM), length])
                return [REFUSED]
            _demand_done(work(event))
            start("204 No Content", [])
            return []

        return application

    return decorate


def _demand_done(returned: object) -> None:
    """Raise TypeError where the work has not begun: a 204 to that would lose the event."""
    if isawaitable(returned):
        if hasattr(returned, "close"):
            returned.close()
        raise TypeError(_ASYNCHRONOUS)


def _body(environ: Environment, bytes_max: int) -> bytes:
    # Without a length the end of the body cannot be told; WSGI promises no more than this.
    text = environ.get("CONTENT_LENGTH") or "0"
    length = int(text) if text.isascii() and text.isdecimal() and len(text) < len("9" * 18) else -1
    if not 0 <= length <= bytes_max:
        raise VerificationError(Code.BODY_TOO_LARGE, f"The body is larger than {bytes_max} bytes.")
    body: bytes = environ["wsgi.input"].read(length)
    return body


def _headers(environ: Environment) -> dict[str, str]:
    return {
        name.removeprefix("HTTP_").replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }

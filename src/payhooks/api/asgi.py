"""The little of ASGI that we speak ourselves: types, bounded bodies, whole answers."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

import msgspec

from payhooks.api.problems import Kind, Problem, body_of, ending, headers_of

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_NO_STORE: Final = (b"cache-control", b"no-store")


class GoneError(Exception):
    """The caller hung up before the request was whole; there is nobody to answer."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the header's value; of several the first."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def host(scope: Scope) -> str:
    """Return the name that the caller knows us by, without a port; in lower case."""
    said = (header(scope, b"host") or b"").decode("latin-1").lower()
    name, separator, port = said.rpartition(":")
    return name if separator and port.isdecimal() else said


async def read_body(scope: Scope, receive: Receive, *, bytes_max: int) -> bytes:
    """Return the request's body. How long it may take is the protocol's to say.

    Raises:
        ProblemError: It is larger than allowed (found out without reading on).
        GoneError: The caller hung up.

    """
    length = header(scope, b"content-length")
    # Digits alone: the server below has refused everything else.
    if length is not None and (len(length) > len(str(bytes_max)) or int(length) > bytes_max):
        raise _too_large(bytes_max)
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > bytes_max:
            raise _too_large(bytes_max)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(bytes_max: int) -> Exception:
    # Closed, because what is still on its way would have to be read for the next request.
    detail = f"The body has at most {bytes_max} bytes."
    return ending(Kind.TOO_LARGE, detail, ("connection", "close"))


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives *body* once more, then what the server says next."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def answer(
    send: Send,
    status: int,
    value: object,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send *value* as JSON."""
    await send_bytes(send, status, msgspec.json.encode(value), [_JSON, _NO_STORE, *headers])


async def answer_problem(
    send: Send, problem: Problem, *, request_id: str, instance: str | None
) -> None:
    """Send a problem document."""
    headers = [(name.encode(), value.encode()) for name, value in headers_of(problem)]
    body = body_of(problem, request_id=request_id, instance=instance)
    await send_bytes(send, problem.status, body, headers)


async def send_bytes(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Send a whole answer."""
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

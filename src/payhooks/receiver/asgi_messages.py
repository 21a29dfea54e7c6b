"""What ASGI applications are told and say, as far as receiving a webhook needs it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from payhooks.receiver.answers import PROBLEM
from payhooks.receiver.verifier import Pairs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

NO_CONTENT: Final = 204
POST_ONLY: Final = 405


def headers_of(scope: Message) -> Pairs:
    """Return the headers of a request."""
    return Pairs(scope["headers"])


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """Return the body; of one that is too large only enough to tell."""
    chunks, size, more = [], 0, True
    while more and size <= bytes_max:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
    return b"".join(chunks)


async def answer(send: Send, status: int, body: bytes) -> None:
    """Send a whole answer; a body is a problem."""
    headers = [(b"content-type", PROBLEM.encode())] if body else []
    if status == POST_ONLY:
        headers.append((b"allow", b"POST"))
    if status != NO_CONTENT:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

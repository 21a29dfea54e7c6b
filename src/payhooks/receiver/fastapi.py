"""A dependency for FastAPI that gives the verified event.

    app = FastAPI()
    install(app)
    Hook = Annotated[Event, Depends(webhook(verifier))]

    @app.post("/webhooks", status_code=204)
    async def receive(event: Hook) -> None: ...

An error in the handler is a 500, so that the event is sent again.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from payhooks.receiver.answers import REFUSED, status_of
from payhooks.receiver.asgi_messages import (
    Application,
    Message,
    Receive,
    Send,
    answer,
    headers_of,
)
from payhooks.receiver.errors import VerificationError
from payhooks.receiver.event import Event
from payhooks.receiver.verifier import Verifier


def install(app: Any) -> None:  # noqa: ANN401 - an application of FastAPI or Starlette
    """Make *app* answer 401 (413) where a webhook is refused; once per application."""
    app.add_exception_handler(VerificationError, _refuse)


def webhook(verifier: Verifier) -> Callable[..., Awaitable[Event]]:
    """Return a dependency: the event of the request, verified before anything parses it."""

    async def verified(request: Any) -> Event:  # noqa: ANN401 - see below
        if VerificationError not in request.app.exception_handlers:
            # Otherwise the first forgery, long after this was written, would be a 500.
            raise TypeError("call payhooks.receiver.fastapi.install(app) first")
        chunks, size = [], 0
        # Not by receive(): where the endpoint has a body of its own, FastAPI has read it already.
        async for chunk in request.stream():
            chunks.append(chunk)
            size += len(chunk)
            if size > verifier.max_body:
                break
        return verifier.verify(b"".join(chunks), headers_of(request.scope))

    # By name: FastAPI looks for this class, and the package itself imports no framework.
    verified.__annotations__["request"] = import_module("starlette.requests").Request
    return verified


async def _refuse(_request: object, error: VerificationError) -> Application:
    async def respond(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, status_of(error), REFUSED)

    return respond

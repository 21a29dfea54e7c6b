"""An ASGI application for one webhook: mount it in Starlette, FastAPI or any other.

@webhook(verifier)
async def receive(event: Event) -> None: ...

app.mount("/webhooks", receive)
"""

from collections.abc import Awaitable, Callable

from payhooks.receiver.answers import REFUSED, status_of
from payhooks.receiver.asgi_messages import (
    NO_CONTENT,
    POST_ONLY,
    Application,
    Message,
    Receive,
    Send,
    answer,
    headers_of,
    read_body,
)
from payhooks.receiver.errors import VerificationError
from payhooks.receiver.event import Event
from payhooks.receiver.verifier import Verifier


def webhook(verifier: Verifier) -> Callable[[Callable[[Event], Awaitable[None]]], Application]:
    """Return what makes an application of a function: 204 when it returns."""

    def decorate(handle: Callable[[Event], Awaitable[None]]) -> Application:
        async def application(scope: Message, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                await answer(send, POST_ONLY, b"")
                return
            body = await read_body(receive, verifier.max_body)
            try:
                event = verifier.verify(body, headers_of(scope))
            except VerificationError as error:
                await answer(send, status_of(error), REFUSED)
                return
            await handle(event)
            await answer(send, NO_CONTENT, b"")

        return application

    return decorate

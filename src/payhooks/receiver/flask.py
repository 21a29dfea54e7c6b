"""A decorator for views of Flask 3.1 or later.

    @app.post("/webhooks")
    @webhook(verifier)
    def receive(event: Event) -> None: ...

What the function raises is Flask's 500, so that the event is sent again.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from payhooks.receiver.answers import PROBLEM, REFUSED, status_of
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.verifier import Verifier


def webhook(verifier: Verifier) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what makes a view of a function of the event: 204 where it returns None."""

    def decorate(handle: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handle)
        def view(**parts: object) -> Any:  # noqa: ANN401 - whatever a view may return
            try:
                event = verifier.verify(_body(verifier.max_body), request.headers)
            except VerificationError as error:
                return Response(REFUSED, status=status_of(error), content_type=PROBLEM)
            answer = handle(event, **parts)
            return Response(status=204) if answer is None else answer

        return view

    return decorate


def _body(bytes_max: int) -> bytes:
    """Return the raw bytes; they stay there for whoever asks the request for them afterwards."""
    if request.max_content_length is None:
        request.max_content_length = bytes_max
    try:
        return request.get_data(cache=True)
    except RequestEntityTooLarge:
        hint = f"The body is larger than {request.max_content_length} bytes."
        raise VerificationError(Code.BODY_TOO_LARGE, hint) from None

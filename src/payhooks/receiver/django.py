"""A decorator for Django views, sync and async: POST only, exempt from CSRF.

    @webhook(verifier)
    def receive(request: HttpRequest, event: Event) -> None: ...

What the function raises is Django's 500, so that the event is sent again.
"""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import RequestDataTooBig  # type: ignore[import-untyped] # It ships no types.
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped] # It ships no types.
from django.views.decorators.csrf import csrf_exempt  # type: ignore[import-untyped] # It ships no types.
from django.views.decorators.http import require_POST  # type: ignore[import-untyped] # It ships no types.

from payhooks.receiver.answers import PROBLEM, REFUSED, status_of
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.event import Event
from payhooks.receiver.verifier import Verifier


def webhook(verifier: Verifier) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what makes a view of a function of request and event: 204 where it returns None."""

    def decorate(handle: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handle)
        def view(request: HttpRequest, **parts: object) -> Any:  # noqa: ANN401 - as views may
            event = _event(verifier, request)
            if isinstance(event, HttpResponse):
                return event
            return _answer(handle(request, event, **parts))

        @wraps(handle)
        async def async_view(request: HttpRequest, **parts: object) -> Any:  # noqa: ANN401 - as above
            event = _event(verifier, request)
            if isinstance(event, HttpResponse):
                return event
            return _answer(await handle(request, event, **parts))

        chosen = async_view if iscoroutinefunction(handle) else view
        exempt: Callable[..., Any] = csrf_exempt(require_POST(chosen))
        return exempt

    return decorate


def _event(verifier: Verifier, request: HttpRequest) -> Event | HttpResponse:
    try:
        return verifier.verify(_body(request), request.headers)
    except VerificationError as error:
        return HttpResponse(REFUSED, status=status_of(error), content_type=PROBLEM)


def _body(request: HttpRequest) -> bytes:
    try:
        return bytes(request.body)
    except RequestDataTooBig:
        hint = "The body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE."
        raise VerificationError(Code.BODY_TOO_LARGE, hint) from None


def _answer(returned: Any) -> Any:  # noqa: ANN401 - whatever a view may return
    return HttpResponse(status=204) if returned is None else returned

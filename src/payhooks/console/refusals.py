"""Errors as pages: a plain sentence, the request id, and the way on. One table.

A bug reads the same whatever it was, and no error of another program is ever quoted.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from payhooks.console.forms import MediaTypeError
from payhooks.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    OverloadedError,
    PayhooksError,
    RateLimitedError,
    StaleVersionError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)


class Refusal(NamedTuple):
    """What an error page says."""

    status: int
    title: str
    words: str
    again: bool = False  # whether the same may well work later


_GONE: Final = "It may have been deleted, or the address is mistyped."
# The first that fits, so subclasses come before their parents. None: the error's own words.
_BY_ERROR: Final[Sequence[tuple[type[PayhooksError], int, str, str | None, bool]]] = (
    (NotFoundError, 404, "There is no such page", _GONE, False),
    (ForbiddenError, 403, "This is not allowed", None, False),
    (UnauthenticatedError, 403, "This is not allowed", "Sign in and try once more.", False),
    (TooLargeError, 413, "That is too much", None, False),
    (MediaTypeError, 415, "That is not a form of ours", None, False),
    (
        StaleVersionError,
        412,
        "Somebody else changed this",
        "It was changed since you opened it. Open it again to see how it is now.",
        False,
    ),
    (ConflictError, 409, "This cannot be done now", None, False),
    (RateLimitedError, 429, "That was often", None, True),
    (OverloadedError, 503, "Too much is waiting", "Nothing was changed.", True),
    (
        UnavailableError,
        503,
        "We cannot reach our records",
        "Deliveries wait and are not lost. What you did last may or may not have been saved.",
        True,
    ),
)
BUG: Final = Refusal(
    500, "We failed", "The operator has been told. Quote the request id if you ask.", again=True
)
_BY_STATUS: Final = {
    HTTPStatus.NOT_FOUND: Refusal(404, "There is no such page", _GONE),
    HTTPStatus.METHOD_NOT_ALLOWED: Refusal(
        405, "This cannot be done here", "Open the page itself and use what is on it."
    ),
}


def of_error(error: PayhooksError) -> Refusal:
    """Return what to say of an error, whichever layer raised it."""
    if isinstance(error, InvalidError):
        details = " ".join(fault.detail for fault in error.faults)
        return Refusal(422, "That cannot be accepted", details)
    for kind, status, title, words, again in _BY_ERROR:
        if isinstance(error, kind):
            return Refusal(status, title, words or str(error), again)
    return BUG


def of_status(status: int) -> Refusal:
    """Return what to say where the router refused."""
    return _BY_STATUS.get(HTTPStatus(status), _BY_STATUS[HTTPStatus.NOT_FOUND])

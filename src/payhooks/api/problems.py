"""Problems: how every refusal and failure is told (RFC 9457). One table, one writer.

A caller's value is never repeated, a foreign error's text never passed on. What is not in the
table is a bug, and all bugs read the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks.errors import (
    ConflictError,
    Fault,
    ForbiddenError,
    IdempotencyConflictError,
    InProgressError,
    InvalidError,
    NotFetchedError,
    NotFoundError,
    OverloadedError,
    PayhooksError,
    RateLimitedError,
    SignatureError,
    StaleVersionError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "/problems/"
_FAULTS_SHOWN_MAX: Final = 100


class Kind(StrEnum):
    """Every problem there is; the last part of its ``type``."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD = "method"
    TIMEOUT = "timeout"
    IDEMPOTENCY_CONFLICT = "idempotency-conflict"
    IN_PROGRESS = "in-progress"
    STATE = "state"
    PRECONDITION = "precondition"
    TOO_LARGE = "too-large"
    URI_TOO_LONG = "uri-too-long"
    MEDIA_TYPE = "media-type"
    CONTENT_ENCODING = "content-encoding"
    EXPECTATION = "expectation"
    MISDIRECTED = "misdirected"
    VALIDATION = "validation"
    RATE_LIMITED = "rate-limited"
    HEADERS_TOO_LARGE = "headers-too-large"
    INTERNAL = "internal"
    NOT_FETCHED = "not-fetched"
    OVERLOADED = "overloaded"
    STORE_UNAVAILABLE = "store-unavailable"


# Status and title. docs/problems.md says the same at more length; a test compares them.
TABLE: Final[Mapping[Kind, tuple[int, str]]] = MappingProxyType(
    {
        Kind.MALFORMED: (400, "The request is not well-formed"),
        Kind.UNAUTHENTICATED: (401, "A valid key is needed"),
        Kind.FORBIDDEN: (403, "The key does not have the permission"),
        Kind.NOT_FOUND: (404, "There is no such thing"),
        Kind.METHOD: (405, "This cannot be done here"),
        Kind.TIMEOUT: (408, "The request took too long to arrive"),
        Kind.IDEMPOTENCY_CONFLICT: (409, "The idempotency key was used with other content"),
        Kind.IN_PROGRESS: (409, "The first request with this key is under way"),
        Kind.STATE: (409, "This cannot be done in its present state"),
        Kind.PRECONDITION: (412, "It was changed since you read it"),
        Kind.TOO_LARGE: (413, "The request is too large"),
        Kind.URI_TOO_LONG: (414, "The URL is too long"),
        Kind.MEDIA_TYPE: (415, "Send JSON in UTF-8"),
        Kind.CONTENT_ENCODING: (415, "Send the body uncompressed"),
        Kind.EXPECTATION: (417, "This expectation cannot be met"),
        Kind.MISDIRECTED: (421, "The request is for another server"),
        Kind.VALIDATION: (422, "The request is not valid"),
        Kind.RATE_LIMITED: (429, "Too many requests"),
        Kind.HEADERS_TOO_LARGE: (431, "The headers are too large"),
        Kind.INTERNAL: (500, "We failed"),
        Kind.NOT_FETCHED: (503, "What it is verified with cannot be had"),
        Kind.OVERLOADED: (503, "Too much is waiting"),
        Kind.STORE_UNAVAILABLE: (503, "The store cannot be used now"),
    }
)

_RETRYABLE: Final = frozenset(
    {
        Kind.TIMEOUT,
        Kind.IN_PROGRESS,
        Kind.RATE_LIMITED,
        Kind.INTERNAL,
        Kind.NOT_FETCHED,
        Kind.OVERLOADED,
        Kind.STORE_UNAVAILABLE,
    }
)
_IN_PROGRESS_RETRY_AFTER_S: Final = 1.0
_CHALLENGE: Final = (("www-authenticate", 'Bearer realm="payhooks"'),)
# One text for a credential that is missing, unknown, expired or revoked.
_CREDENTIAL: Final = "Send a valid key as Authorization: Bearer <key>."
_AGAIN: Final = "Send the same request again, with the same Idempotency-Key, after a moment."
# The first that fits, so subclasses come before their parents. Without a detail the error's
# own words go out: those are written here, for callers, and name no secret and no other tenant.
_BY_ERROR: Final[Sequence[tuple[type[PayhooksError], Kind, str | None]]] = (
    (UnauthenticatedError, Kind.UNAUTHENTICATED, _CREDENTIAL),
    (SignatureError, Kind.UNAUTHENTICATED, _CREDENTIAL),
    (ForbiddenError, Kind.FORBIDDEN, None),
    (NotFoundError, Kind.NOT_FOUND, "There is no such thing for this key."),
    (TooLargeError, Kind.TOO_LARGE, None),
    (
        IdempotencyConflictError,
        Kind.IDEMPOTENCY_CONFLICT,
        "Use a new Idempotency-Key, or send the first content again.",
    ),
    (InProgressError, Kind.IN_PROGRESS, "Ask again shortly; the first answer will be repeated."),
    (StaleVersionError, Kind.PRECONDITION, "Read it again, then repeat with the new ETag."),
    (ConflictError, Kind.STATE, None),
    (
        NotFetchedError,
        Kind.NOT_FETCHED,
        "What the request is verified with cannot be had now. Send it again after a moment.",
    ),
    (OverloadedError, Kind.OVERLOADED, _AGAIN),
    (RateLimitedError, Kind.RATE_LIMITED, None),
    (UnavailableError, Kind.STORE_UNAVAILABLE, _AGAIN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem, before it becomes bytes."""

    kind: Kind
    detail: str
    faults: Sequence[Fault] = ()
    retry_after_s: float | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TABLE[self.kind][0]


class ProblemError(Exception):
    """Ends a request with a problem that no PayhooksError stands for: HTTP's own."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.kind)
        self.problem = problem


def ending(kind: Kind, detail: str, *headers: tuple[str, str]) -> ProblemError:
    """Return the exception that ends a request with this problem."""
    return ProblemError(Problem(kind=kind, detail=detail, headers=headers))


def of_error(error: PayhooksError) -> Problem:
    """Return the problem that an error is, whichever layer raised it."""
    if isinstance(error, InvalidError):
        return of_faults(error.faults)
    for type_, kind, detail in _BY_ERROR:
        if isinstance(error, type_):
            return Problem(
                kind=kind,
                detail=detail or str(error),
                retry_after_s=_retry_after_s(error),
                headers=_CHALLENGE if kind is Kind.UNAUTHENTICATED else (),
            )
    return INTERNAL


def _retry_after_s(error: PayhooksError) -> float | None:
    if isinstance(error, UnavailableError):
        return error.retry_after_s
    return _IN_PROGRESS_RETRY_AFTER_S if isinstance(error, InProgressError) else None


def of_faults(faults: Sequence[Fault]) -> Problem:
    """Return the problem of an input that was understood, and is wrong."""
    count = len(faults)
    detail = "1 value is not valid." if count == 1 else f"{count} values are not valid."
    return Problem(kind=Kind.VALIDATION, detail=detail, faults=faults[:_FAULTS_SHOWN_MAX])


def malformed(code: str, detail: str) -> Problem:
    """Return the problem of a body that is not JSON as we read it."""
    fault = Fault(pointer="", code=code, detail=detail)
    return Problem(kind=Kind.MALFORMED, detail=detail, faults=(fault,))


# Always the same bytes but for the request id: what failed is for our logs.
INTERNAL: Final = Problem(
    kind=Kind.INTERNAL, detail="The operator has been told. Quote the request id if you ask."
)


def body_of(problem: Problem, *, request_id: str, instance: str | None = None) -> bytes:
    """Return the problem document."""
    return msgspec.json.encode(as_dict(problem, request_id=request_id, instance=instance))


def as_dict(problem: Problem, *, request_id: str, instance: str | None = None) -> dict[str, object]:
    """Return the members of the problem document."""
    status, title = TABLE[problem.kind]
    document: dict[str, object] = {
        "type": f"{TYPE_PREFIX}{problem.kind}",
        "title": title,
        "status": status,
        "detail": problem.detail,
        "request_id": request_id,
        "retryable": problem.kind in _RETRYABLE,
    }
    if instance is not None:
        document["instance"] = instance
    if problem.faults:
        document["errors"] = [
            {"pointer": fault.pointer, "code": fault.code, "detail": fault.detail}
            for fault in problem.faults
        ]
    return document


def headers_of(problem: Problem) -> list[tuple[str, str]]:
    """Return the headers that go with the document."""
    headers = [("content-type", CONTENT_TYPE), ("cache-control", "no-store"), *problem.headers]
    if problem.retry_after_s is not None:
        # Rounded up: a client that comes back early only waits again.
        headers.append(("retry-after", str(max(1, ceil(problem.retry_after_s)))))
    return headers


def shown(text: str) -> str:
    """Return at most 64 characters of a caller's text, escaped, for a detail."""
    return text[:64].encode("unicode_escape").decode("ascii")[:64]

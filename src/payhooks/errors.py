"""Every error this package raises on purpose, split by who must act.

PayhooksError
├── InputError                  the caller can fix it; the API answers 4xx
│   ├── InvalidError            a value cannot be accepted; says which, by JSON pointer
│   ├── NotFoundError           no such thing, or another merchant's: the two look alike
│   ├── UnauthenticatedError    no credential, or one that is not valid (any more)
│   ├── ForbiddenError          a valid credential without the permission
│   ├── TooLargeError           over a limit of limits.py
│   └── SignatureError          not signed with any secret we hold, or not recently
├── ConflictError               somebody else got there first; re-read, then decide
│   ├── IdempotencyConflictError  the key was used before, with other content
│   ├── InProgressError         the first request with this key has not finished
│   ├── StaleVersionError       an edit was based on an older version
│   └── WrongStateError         the thing is in a state where this cannot be done
└── UnavailableError            a dependency failed; retry later, nothing was decided
    ├── OverloadedError         a limit on waiting work was reached
    ├── DamagedError            something stored cannot be read; an operator has to restore it
    ├── RateLimitedError        asked for more often than is allowed; wait as long as it says
    └── OutcomeUnknownError     it may have been done or not; the same call again is safe

A broken promise between our own functions is not listed: that is an ``AssertionError``,
and it stops the worker rather than the delivery.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class PayhooksError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(PayhooksError):
    """What the caller sent can never be accepted as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with an input: where, which rule, and in words."""

    # RFC 6901, into the body; "" for the whole. "?limit" names a query parameter, "If-Match" a
    # header, "{endpoint_id}" a part of the path.
    pointer: str
    code: str  # stable, for programs: required, unknown_field, too_long, …
    detail: str  # a sentence for people; never repeats the value


class InvalidError(InputError):
    """At least one value breaks a rule. ``faults`` names every one that was found."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        assert faults
        super().__init__("; ".join(map(_told, faults)))
        self.faults = tuple(faults)

    @classmethod
    def at(cls, pointer: str, code: str, detail: str) -> "InvalidError":
        """Return the error for a single fault."""
        return cls([Fault(pointer=pointer, code=code, detail=detail)])


def _told(fault: Fault) -> str:
    # The whole has no place to name.
    return f"{fault.pointer}: {fault.detail}" if fault.pointer else fault.detail


class NotFoundError(InputError):
    """There is no such thing for this caller; another merchant's reads the same."""


class UnauthenticatedError(InputError):
    """The credential is missing, unknown, expired or revoked; callers are not told which."""


class ForbiddenError(InputError):
    """The credential is valid but does not carry the permission."""


class TooLargeError(InputError):
    """The input is over a published limit."""


class SignatureError(InputError):
    """The message was not signed with any secret we hold, or not recently.

    ``reason`` is for our logs. Never send it to the peer: telling a forger which check
    failed helps only the forger. ``code`` is the kind of reason, as ``receiver.Code`` lists them.
    """

    def __init__(self, reason: str, code: str = "no_match") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class ConflictError(PayhooksError):
    """The world changed between the caller's look and the caller's word."""


class IdempotencyConflictError(ConflictError):
    """The idempotency key was used before with other content."""

    def __init__(self, words: str, *, content: bytes) -> None:
        super().__init__(words)
        self.content = content  # as it was hashed for the first


class InProgressError(ConflictError):
    """The first request with this idempotency key has not finished; ask again shortly."""


class StaleVersionError(ConflictError):
    """The edit was based on a version that is no longer the current one."""


class WrongStateError(ConflictError):
    """The thing is in a state in which this cannot be done."""


class UnavailableError(PayhooksError):
    """A dependency did not answer; nothing was decided and the call may be repeated."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HistoryMovedError(UnavailableError):
    """Something that it follows from has changed; nothing was decided, and it is read again."""


class NotFetchedError(UnavailableError):
    """A provider does not say what he was asked for; he may be asked again later."""


class OverloadedError(UnavailableError):
    """As much work waits as may wait; nothing was accepted."""


class DamagedError(UnavailableError):
    """Something stored cannot be read; retrying helps once an operator has restored it."""


class RateLimitedError(UnavailableError):
    """The caller asks more often than is allowed; nothing was done."""


class OutcomeUnknownError(UnavailableError):
    """The connection broke before the answer: done or not done. Safe to repeat as it was."""


def is_outage(error: BaseException) -> bool:
    """Return whether *error* is a dependency's, and so everybody's; else it is one thing's."""
    return isinstance(error, UnavailableError) and not isinstance(error, DamagedError)

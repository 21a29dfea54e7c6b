"""What the outcome of an attempt means: one verdict, whatever bytes a receiver answers.

The status line decides. Two headers add to it: ``Retry-After`` rests the lane, and
``webhook-delivery`` lets a receiver stop one delivery or the whole endpoint.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Final, assert_never

import msgspec

from payhooks import limits
from payhooks.model.attempt import (
    REASON_SENTENCES,
    Answer,
    OurFault,
    Outcome,
    Reason,
    Silence,
)
from payhooks.model.endpoint import DisabledReason

# Our own trouble is usually over in seconds, and every lane looks again by itself: short
# enough to recover fast, long enough that thousands of lanes do not spin meanwhile.
OUR_FAULT_REST_S: Final = 15.0

RETRY_AFTER: Final = "retry-after"
WEBHOOK_DELIVERY: Final = "webhook-delivery"
_DISABLE: Final = "disable"
_ABORT_MESSAGE: Final = "abort-message"
_ASKING: Final = frozenset({RETRY_AFTER, WEBHOOK_DELIVERY})

# Nine digits are thirty years, and the longest HTTP-date has thirty-odd characters. More is
# noise, and bounding it keeps int() and the date parser from being fed a header of 32 KiB.
_SECONDS_CHARS_MAX: Final = 9
_DATE_CHARS_MAX: Final = 64

# What a receiver, or the way to it, can be blamed for. The rest is ours.
_COUNTED_SILENCES: Final = frozenset(
    {
        Reason.TIMEOUT,
        Reason.DNS,
        Reason.CONNECT,
        Reason.TLS,
        Reason.PROTOCOL,
        Reason.BLOCKED_ADDRESS,
    }
)

# Rendering is repeatable: what was too large or not to be written once is so at each retry.
_LASTING_SILENCES: Final = frozenset({Reason.TOO_LARGE, Reason.NOT_CARRIED})


class VerdictKind(StrEnum):
    """What to do with the delivery."""

    DELIVERED = "delivered"
    RETRY = "retry"  # on schedule, while the policy has attempts left
    GIVE_UP = "give_up"  # trying again cannot help, or the receiver told us to stop
    OURS = "ours"  # nothing was tried: no attempt is spent, the lane rests, an operator is told


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one outcome means for its delivery, its lane and its endpoint."""

    kind: VerdictKind
    reason: Reason | None = None  # None where it was delivered
    rest_s: float | None = None  # the lane rests this long; from now, never zero
    disable: DisabledReason | None = None  # the endpoint is disabled, and why
    counts_for_breaker: bool = False  # one more failure in a row of this lane
    detail: str = ""  # for people; where it was delivered at most a warning

    def __post_init__(self) -> None:
        assert (self.reason is None) == (self.kind is VerdictKind.DELIVERED)
        assert self.detail or self.kind is VerdictKind.DELIVERED
        assert self.rest_s is None or self.rest_s > 0
        assert not (self.counts_for_breaker and self.kind is not VerdictKind.RETRY)


# What nearly every answer means: made once, because it would be made thousands of times a second.
_DELIVERED: Final = Verdict(kind=VerdictKind.DELIVERED)


def classify(outcome: Outcome, *, gone_disables: bool, now: datetime) -> Verdict:
    """Return what *outcome* means; *now* is what a date in Retry-After is measured from."""
    match outcome:
        case Answer():
            return _classify_answer(outcome, gone_disables=gone_disables, now=now)
        case Silence(reason=reason):
            return Verdict(
                kind=VerdictKind.GIVE_UP if reason in _LASTING_SILENCES else VerdictKind.RETRY,
                reason=reason,
                counts_for_breaker=reason in _COUNTED_SILENCES,
                detail=_sentences(REASON_SENTENCES[reason], outcome.detail),
            )
        case OurFault():
            # Its detail is for the operator's log; a merchant must not read our internals.
            return Verdict(
                kind=VerdictKind.OURS,
                reason=Reason.INTERNAL,
                rest_s=OUR_FAULT_REST_S,
                detail=REASON_SENTENCES[Reason.INTERNAL],
            )
        case _:
            assert_never(outcome)


def retry_after_s(values: list[str], now: datetime) -> float | None:
    """Return how long the receiver wants to be left alone; None if it does not say so.

    Takes the value of every Retry-After header, in any spelling. What cannot be read is as
    good as not sent, and so is a time that is over. Of several the longest holds: it is the
    one that honours them all. Never more than limits.RETRY_AFTER_S_MAX.
    """
    assert now.tzinfo is not None
    waits = [_wait_s(value.strip(" \t"), now) for value in values]
    longest = min(max(waits, default=0.0), limits.RETRY_AFTER_S_MAX)
    return longest if longest > 0 else None


def _classify_answer(answer: Answer, *, gone_disables: bool, now: datetime) -> Verdict:
    warning = _warning(answer, now)
    delivered = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
    if delivered and not warning and _asks_nothing(answer):
        return _DELIVERED
    rest_s = retry_after_s(_values(answer, RETRY_AFTER), now)
    wishes = {value.strip(" \t").lower() for value in _values(answer, WEBHOOK_DELIVERY)}
    disable = DisabledReason.RECEIVER if _DISABLE in wishes else None
    # A 2xx that breaks off later is a 2xx: the receiver has the event, and said so.
    if delivered:
        return Verdict(kind=VerdictKind.DELIVERED, rest_s=rest_s, disable=disable, detail=warning)
    gone = answer.status == HTTPStatus.GONE and gone_disables
    reason = Reason.GONE if gone else _reason_of(answer.status)
    kind = VerdictKind.RETRY
    if gone:
        disable = DisabledReason.GONE
    if disable is not None or _ABORT_MESSAGE in wishes:
        kind = VerdictKind.GIVE_UP
    # A receiver that names a time, or says 429, is alive and in command of its load: what
    # it asked for is done, and the breaker has nothing to find out.
    counts = kind is VerdictKind.RETRY and rest_s is None and reason is not Reason.RATE_LIMITED
    return Verdict(
        kind=kind,
        reason=reason,
        rest_s=rest_s,
        disable=disable,
        counts_for_breaker=counts,
        detail=_sentences(
            _answer_detail(answer.status, reason, rest_s=rest_s, wishes=wishes), warning
        ),
    )


def _warning(answer: Answer, now: datetime) -> str:
    """Return what will go wrong though nothing has yet; mostly nothing."""
    ends_at = answer.certificate_ends_at
    if ends_at is None or ends_at - now > timedelta(days=limits.CERTIFICATE_WARNING_DAYS):
        return ""
    return f"Your certificate expires on {ends_at:%Y-%m-%d}; after that no delivery can be made."


def _reason_of(status: int) -> Reason:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Reason.RATE_LIMITED
    match status // 100:
        case 3:
            return Reason.REDIRECT
        case 4:
            return Reason.HTTP_4XX
        case 5:
            return Reason.HTTP_5XX
        case _:
            # 1xx cannot end a request, and beyond 599 nothing is defined.
            return Reason.PROTOCOL


def _answer_detail(status: int, reason: Reason, *, rest_s: float | None, wishes: set[str]) -> str:
    line = _status_line(status)
    match reason:
        case Reason.HTTP_4XX | Reason.HTTP_5XX:
            said = f"Your server answered {line}."
        case Reason.GONE:
            said = REASON_SENTENCES[reason]
        case _:
            said = _sentences(REASON_SENTENCES[reason], f"It answered {line}.")
    rest = "" if rest_s is None else f"It asked for a rest of {rest_s:.0f} s."
    if _DISABLE in wishes:
        return _sentences(said, rest, "It told us to send nothing more to this endpoint.")
    if _ABORT_MESSAGE in wishes:
        return _sentences(said, rest, "It told us not to send this delivery again.")
    return _sentences(said, rest)


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)  # Receivers do make up their own.


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _asks_nothing(answer: Answer) -> bool:
    for name, _ in answer.headers:  # noqa: SIM110 - a generator would cost more than the loop
        if name in _ASKING:
            return False
    return True


def _values(answer: Answer, name: str) -> list[str]:
    return [value for header, value in answer.headers if header == name]


def _wait_s(text: str, now: datetime) -> float:
    """Return the seconds one value asks for, at least 0; 0 if it cannot be read."""
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        if len(digits) > _SECONDS_CHARS_MAX:
            return limits.RETRY_AFTER_S_MAX
        return float(digits or 0)
    # Three forms of date are legal (RFC 9110, 5.6.7), and none begins with a digit or sign.
    if len(text) > _DATE_CHARS_MAX or not text[:1].isalpha():
        return 0.0
    try:
        until = parsedate_to_datetime(text)
        # asctime() names no zone; the RFC says that it means UTC.
        aware = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
        return max((aware - now).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return 0.0

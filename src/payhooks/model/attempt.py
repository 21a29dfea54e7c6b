"""An attempt: one HTTP request of a delivery. What came of it is a value, never an exception.

A receiver that answers 500 or does not answer at all is ordinary; only our own side failing
is set apart, because it must not cost the merchant an attempt.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks.ids import DeliveryId


class Reason(StrEnum):
    """Why an attempt, or with it a delivery, did not succeed. A closed list."""

    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    REDIRECT = "redirect"
    GONE = "gone"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROTOCOL = "protocol"
    BLOCKED_ADDRESS = "blocked_address"
    TOO_LARGE = "too_large"
    NOT_CARRIED = "not_carried"
    ABANDONED = "abandoned"
    POISON = "poison"
    INTERNAL = "internal"


# One plain sentence each, shared by API, CLI and console.
REASON_SENTENCES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.HTTP_4XX: "Your server refused the request with a 4xx answer.",
        Reason.HTTP_5XX: "Your server answered with a 5xx error.",
        Reason.REDIRECT: "Your server answered with a redirect. We do not follow redirects; "
        "save the final URL.",
        Reason.GONE: "Your server answered 410 Gone, so we disabled this endpoint.",
        Reason.RATE_LIMITED: "Your server asked us to wait before sending more.",
        Reason.TIMEOUT: "Your server did not answer in time. Answer 2xx first, then do the work.",
        Reason.DNS: "The name in the URL could not be resolved.",
        Reason.CONNECT: "Nothing accepts connections at this address and port.",
        Reason.TLS: "A secure connection could not be made; check the certificate.",
        Reason.PROTOCOL: "Your server's answer was not valid HTTP.",
        Reason.BLOCKED_ADDRESS: "The URL leads to an address that we never call, "
        "so we did not connect.",
        Reason.TOO_LARGE: "The event in this dialect is larger than we send.",
        Reason.NOT_CARRIED: "The dialect of this endpoint cannot carry the event's data.",
        Reason.ABANDONED: "The process that was sending stopped before it could tell the "
        "result; the delivery was taken over.",
        Reason.POISON: "Sending this delivery alone stopped our worker three times in a row, so we "
        "set it aside and alarmed the operator.",
        Reason.INTERNAL: "We failed on our side; the operator has been alarmed.",
    }
)


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of an attempt went, in seconds; zero for phases never reached."""

    dns_s: float = 0.0
    connect_s: float = 0.0
    tls_s: float = 0.0
    wait_s: float = 0.0  # from the request's last byte to the answer's first
    total_s: float = 0.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver answered with a status line; whatever broke later is only evidence."""

    status: int  # three digits; receivers do make up their own
    headers: tuple[tuple[str, str], ...]  # names in lower case, in order, duplicates kept
    body: bytes  # at most as much as the request would have kept, never decoded
    body_truncated: bool
    timing: Timing
    peer: str | None  # address and port that we were connected to
    certificate_ends_at: datetime | None = None  # where this request made a connection with TLS


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """There was no answer, or we never asked."""

    reason: Reason
    detail: str  # for the merchant: never an internal address, never a secret
    timing: Timing
    peer: str | None = None


class OurFault(msgspec.Struct, frozen=True, kw_only=True):
    """Our own side could not try. Spends no attempt, rests the lane, alarms the operator."""

    detail: str


Outcome = Answer | Silence | OurFault


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One finished HTTP request, as kept. Key: delivery, fence, late."""

    delivery_id: DeliveryId
    fence: int
    late: bool  # settled after the lease had gone to somebody else: evidence, not a decision
    at: datetime  # when it began
    status: int | None  # None where there was no answer
    reason: Reason | None  # None where it succeeded
    detail: str  # for people; where it succeeded at most a warning
    timing: Timing
    peer: str | None
    answer_headers: tuple[tuple[str, str], ...] = ()
    answer_body: bytes = b""
    answer_truncated: bool = False

"""What became of a delivery, in one sentence, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from payhooks.control.deliveries import status_of
from payhooks.dialects import registry
from payhooks.model.attempt import REASON_SENTENCES, Attempt, Reason
from payhooks.model.delivery import FINAL_STATES, Delivery, State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.policy.retry import policy_of

# What to look at first, for whoever runs the receiving server.
ADVICE: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.HTTP_4XX: "For 401 or 403 compare the secret and the authentication here with your "
        "server's; it must check the signature on the raw body. For 404 check the Hook URL.",
        Reason.HTTP_5XX: "Look into your server's log at the time of the attempt. Answer 2xx as "
        "soon as the event is stored, and work on it afterwards.",
        Reason.REDIRECT: "Put the address that the answer names into the webhook's Hook URL.",
        Reason.GONE: "If the address is to hear of events again, enable the webhook first.",
        Reason.RATE_LIMITED: "Give the webhook a rate limit that your server can keep up with.",
        Reason.TIMEOUT: "Answer first and work afterwards, or raise the webhook's time-out.",
        Reason.DNS: "Check the spelling of the host in the Hook URL, and its DNS records.",
        Reason.CONNECT: "Check that your server runs, and that its firewall lets us in.",
        Reason.TLS: "Check that the certificate has not expired, names this host and comes with "
        "its whole chain.",
        Reason.PROTOCOL: "Check what stands before your server: a proxy may answer for it.",
        Reason.BLOCKED_ADDRESS: "Use an address that can be reached from the internet.",
        Reason.TOO_LARGE: "Publish less in one event, or use a dialect with a smaller envelope.",
        Reason.NOT_CARRIED: "Choose another dialect for this webhook, or other events.",
        Reason.ABANDONED: "There is nothing to do: it is sent again by itself.",
        Reason.POISON: "Ask the operator before you replay it.",
        Reason.INTERNAL: "There is nothing to do on your side.",
    }
)
REASON_OPTIONS: Final = [(reason.value, reason.value) for reason in Reason]
_WAITING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scheduled": "It waits for its first attempt.",
        "sending": "It is being sent right now.",
        "blocked": "An earlier delivery of the same object goes first.",
        "cancelled": "It was called off; nothing more is sent.",
    }
)
_TONES: Final[Mapping[str, str]] = MappingProxyType(
    {"delivered": "good", "failed": "bad", "retrying": "wait", "held": "wait"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One sentence on how a delivery stands, and how far it is."""

    tone: str
    heading: str
    words: str


def shown_status(found: Delivery) -> str:
    """Return the state as lists say it: what was tried and waits for the next try is retrying."""
    status = status_of(found)
    return "retrying" if status == State.SCHEDULED and found.attempts_made else status


def story_of(
    delivery: Delivery, status: str, attempts: Sequence[Attempt], endpoint: Endpoint | None
) -> Story:
    """Return what to say first of a delivery."""
    counted = [attempt for attempt in attempts if not attempt.late]
    last = counted[-1] if counted else None
    return Story(
        tone=_TONES.get(status, "plain"),
        heading=_heading(delivery, status, last, endpoint),
        words=_words(delivery, status, endpoint, tried=len(counted)),
    )


def advice_on(reason: Reason | None) -> tuple[str, ...]:
    """Return what to do about a failure."""
    return () if reason is None else (ADVICE[reason],)


def verdict_of(
    delivery: Delivery, attempts: Sequence[Attempt], *, fence: int
) -> tuple[str, str] | None:
    """Return tone and words of what a replay came to; *fence* is the delivery's before it."""
    counted = [attempt for attempt in attempts if not attempt.late]
    before = [attempt.reason for attempt in counted if attempt.fence <= fence]
    after = [attempt.reason for attempt in counted if attempt.fence > fence]
    if not after:
        return None if delivery.state in FINAL_STATES else ("plain", "The replay is on its way.")
    failed_before = bool(before) and before[-1] is not None
    if after[-1] is None:
        return "good", "Fixed: the replay was delivered." if failed_before else "Still passing."
    return "bad", "Still failing." if failed_before else "It fails now."


def _heading(
    delivery: Delivery, status: str, last: Attempt | None, endpoint: Endpoint | None
) -> str:
    if status == "held":
        paused = endpoint is not None and endpoint.status is EndpointStatus.PAUSED
        return f"It waits, because its webhook is {'paused' if paused else 'disabled'}."
    if status == State.DELIVERED:
        answered = last is not None and last.reason is None and last.status is not None
        return f"Your server answered {last.status}." if answered and last else "It was delivered."
    if status in _WAITING:
        return _WAITING[status]
    if last is not None and last.reason is not None and last.detail:
        return last.detail
    return REASON_SENTENCES[delivery.reason] if delivery.reason else "It failed."


def _words(delivery: Delivery, status: str, endpoint: Endpoint | None, *, tried: int) -> str:
    if status == State.FAILED:
        return "We do not try again by ourselves. Mend the cause, then replay it."
    if status == State.DELIVERED:
        return "At the first attempt." if tried == 1 else f"After {tried} attempts."
    known = endpoint is not None and endpoint.dialect in registry.DIALECTS
    if status == "retrying" and endpoint is not None and known:
        policy = policy_of(endpoint, registry.find(endpoint.dialect).retry_policy)
        return f"{delivery.attempts_made} of {policy.attempts_max} attempts are used."
    return ""

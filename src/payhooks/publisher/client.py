"""Publish over HTTP and repeat until it is answered, or patience ends.

Every event carries an idempotency key, the caller's or a drawn one, so repeating is always
safe: also when a connection broke after the request and before the answer.
"""

import http.client
import random
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from payhooks import __version__
from payhooks.errors import InvalidError, TooLargeError
from payhooks.limits import BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX
from payhooks.publisher.answers import (
    Answer,
    Outcome,
    Published,
    UnansweredError,
    of_batch,
    of_event,
)
from payhooks.publisher.event import Keyed, NewEvent, keyed
from payhooks.publisher.sending import Send, urllib_sender

ATTEMPTS_MAX: Final = 5
TIMEOUT_S: Final = 10.0
# A server that wants a longer rest gets it: the caller is told at once when to come back.
WAIT_S_MAX: Final = 30.0
_FIRST_WAIT_S: Final = 0.5


class Client:
    """Publishes for one merchant. Safe to share between threads."""

    def __init__(  # noqa: PLR0913 - all but the first three have defaults
        self,
        base_url: str,
        key: str,
        *,
        merchant: str,
        timeout_s: float = TIMEOUT_S,
        attempts_max: int = ATTEMPTS_MAX,
        send: Send | None = None,
        wait: Callable[[float], None] | None = None,
    ) -> None:
        """Name the server, the API key and the merchant, by id or reference."""
        _demand_base(base_url)
        if attempts_max < 1:
            raise InvalidError.at("/attempts_max", "too_small", "At least one attempt.")
        if not timeout_s > 0:
            raise InvalidError.at("/timeout_s", "too_small", "A request needs some time.")
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidError.at("/key", "malformed", "An API key is printable ASCII.")
        demand_merchant(merchant)
        quoted = urllib.parse.quote(merchant, safe="")
        self._url = f"{base_url.rstrip('/')}/v1/merchants/{quoted}/events"
        self._key = key
        self._attempts_max = attempts_max
        self._send = send or urllib_sender(timeout_s)
        self._wait = wait or time.sleep  # noqa: TID251 - runs in somebody else's process

    def publish(  # noqa: PLR0913 - one keyword per field of the API
        self,
        event_type: str,
        data: object,
        *,
        idempotency_key: str | None = None,
        family: str | None = None,
        object_type: str | None = None,
        object_id: str | None = None,
        occurred_at: datetime | None = None,
        ordering_key: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Published:
        """Return what was stored, after as many attempts as it takes.

        The arguments are the fields of ``NewEvent``.

        Raises:
            RefusedError: It will never be accepted so.
            UnansweredError: No answer that settles it. Publish again with the same key.
            InvalidError: An argument cannot be sent.
            TooLargeError: The event is over the server's limit.

        """
        event = NewEvent(
            type=event_type,
            data=data,
            idempotency_key=idempotency_key,
            family=family,
            object_type=object_type,
            object_id=object_id,
            occurred_at=occurred_at,
            ordering_key=ordering_key,
            metadata=metadata,
        )
        [outcome] = self._until_answered([keyed(event)], self._publish_alone)
        if isinstance(outcome, Published):
            return outcome
        raise outcome

    def publish_batch(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Return one result per event, in order; what the server says is never raised.

        Only events without an answer are sent again, so one that had to be may be stored after
        one that stands behind it: for the order of an object use an outbox, or publish alone.

        Raises:
            InvalidError: An argument cannot be sent; names the event by its place. None was sent.
            TooLargeError: Too many events, or one is over the server's limit. None was sent.

        """
        if len(events) > BATCH_EVENTS_MAX:
            raise TooLargeError(f"A batch has at most {BATCH_EVENTS_MAX} events.")
        return self._until_answered(
            [_keyed_at(place, event) for place, event in enumerate(events)],
            self._publish_together,
        )

    def attempt_batch(self, events: Sequence[Keyed]) -> Iterator[list[Outcome]]:
        """Ask once for each event; yield the results of a request, in order, when it is over.

        Raises nothing that the network does. For those who keep their own time, as the outbox's
        forwarder does: the next request is made when its results are asked for.
        """
        for parcel in _parcels(events):
            keys = [event.idempotency_key for event in parcel]
            body = b'{"events":[%b]}' % b",".join(_with_key(event) for event in parcel)
            answer = self._ask(f"{self._url}/batch", body, {})
            if isinstance(answer, Answer):
                yield of_batch(answer, keys)
            else:
                yield [_nobody(answer, key) for key in keys]

    def _publish_alone(self, events: Sequence[Keyed]) -> list[Outcome]:
        [event] = events
        key = event.idempotency_key
        answer = self._ask(self._url, event.body, {"idempotency-key": key})
        return [of_event(answer, key) if isinstance(answer, Answer) else _nobody(answer, key)]

    def _publish_together(self, events: Sequence[Keyed]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for said in self.attempt_batch(events):
            outcomes += said
            silent = [each for each in said if isinstance(each, UnansweredError)]
            if len(silent) == len(said):
                # Whoever answers nothing at all gets no more requests before a rest.
                why, rest_s = silent[0].reason, silent[0].retry_after_s
                outcomes += [
                    UnansweredError(why, idempotency_key=key, retry_after_s=rest_s)
                    for key in [event.idempotency_key for event in events[len(outcomes) :]]
                ]
                break
        return outcomes

    def _until_answered(
        self, events: Sequence[Keyed], attempt: Callable[[Sequence[Keyed]], list[Outcome]]
    ) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        open_places = list(range(len(events)))
        for number in range(1, self._attempts_max + 1):
            said = attempt([events[place] for place in open_places])
            outcomes.update(zip(open_places, said, strict=True))
            unanswered = [each for each in said if isinstance(each, UnansweredError)]
            if not unanswered:
                break
            open_places = [
                place
                for place, each in zip(open_places, said, strict=True)
                if isinstance(each, UnansweredError)
            ]
            wait_s = max(_backoff_s(number), *(each.retry_after_s for each in unanswered))
            for each in unanswered:
                each.retry_after_s = wait_s
            if number == self._attempts_max or wait_s > WAIT_S_MAX:
                break
            self._wait(wait_s)
        return [outcomes[place] for place in range(len(events))]

    def _ask(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer | Exception:
        all_headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "user-agent": f"payhooks-publisher/{__version__}",
            **headers,
        }
        try:
            return self._send(url, all_headers, body)
        except (OSError, http.client.HTTPException) as error:
            return error


def demand_merchant(merchant: str) -> None:
    """Raise InvalidError where *merchant* cannot be an id or a reference."""
    plain = merchant.isascii() and merchant.isprintable()
    if not merchant or merchant in {".", ".."} or not plain:
        raise InvalidError.at("/merchant", "malformed", "Give the merchant's id or reference.")


def _demand_base(base_url: str) -> None:
    detail = "It is https:// or http:// with a host, and perhaps a port and a path."
    wrong = InvalidError.at("/base_url", "malformed", detail)
    try:
        parts = urllib.parse.urlsplit(base_url)
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:
        raise wrong from None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or " " in base_url
        or not base_url.isprintable()
        or not base_url.isascii()
    ):
        raise wrong


def _keyed_at(place: int, event: NewEvent) -> Keyed:
    try:
        return keyed(event)
    except InvalidError as error:
        fault = error.faults[0]
        pointer = f"/events/{place}{fault.pointer}"
        raise InvalidError.at(pointer, fault.code, fault.detail) from None


def _with_key(event: Keyed) -> bytes:
    # Printable ASCII: only these two are escaped in JSON.
    key = event.idempotency_key.replace("\\", "\\\\").replace('"', '\\"')
    return b'%b,"idempotency_key":"%b"}' % (event.body[:-1], key.encode())


def _parcels(events: Sequence[Keyed]) -> Iterator[list[Keyed]]:
    """Yield the events in requests that are within the server's limits."""
    parcel: list[Keyed] = []
    length = 0
    for event in events:
        # With room for the key, doubly escaped, and for what stands between two.
        takes = len(event.body) + 2 * len(event.idempotency_key) + 64
        if parcel and (length + takes > BATCH_BODY_BYTES_MAX or len(parcel) == BATCH_EVENTS_MAX):
            yield parcel
            parcel, length = [], 0
        parcel.append(event)
        length += takes
    if parcel:
        yield parcel


def _nobody(error: Exception, idempotency_key: str) -> UnansweredError:
    cause = getattr(error, "reason", None) or error  # urllib wraps what it was
    return UnansweredError(
        f"no answer ({type(cause).__name__}: {cause})",
        idempotency_key=idempotency_key,
        retry_after_s=0.0,
    )


def _backoff_s(attempt: int) -> float:
    base_s = _FIRST_WAIT_S * 2.0 ** (attempt - 1)
    # Jitter only ever adds; it keeps publishers from coming back all at once.
    return float(base_s + random.uniform(0, base_s))  # noqa: S311 - spreads load, hides nothing

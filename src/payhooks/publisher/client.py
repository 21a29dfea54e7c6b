"""Publish one event over HTTP and repeat until it is answered, or patience ends.

Every request carries an idempotency key, the caller's or a drawn one, so repeating is always
safe: also when a connection broke after the request and before the answer.
"""

import email.utils
import http.client
import json
import random
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Final

from payhooks import __version__
from payhooks.clock import SystemClock
from payhooks.errors import InputError, InvalidError, OutcomeUnknownError
from payhooks.limits import IDEMPOTENCY_KEY_CHARS_MAX

ATTEMPTS_MAX: Final = 5
TIMEOUT_S: Final = 10.0
# A server that wants a longer rest gets it: the caller is told at once when to come back.
WAIT_S_MAX: Final = 30.0
_FIRST_WAIT_S: Final = 0.5
_ANSWER_BYTES_MAX: Final = 1024 * 1024
_RETRIED: Final = frozenset({429, 502, 503, 504})
_ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was stored. ``replayed``: the key was known, this is its first answer."""

    id: str
    type: str
    created_at: str
    deliveries: int
    replayed: bool
    idempotency_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer, names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RefusedError(InputError):
    """The server will never accept this request as it stands. ``problem`` says why."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        words = problem.get("detail") or problem.get("title") or "no reason given"
        super().__init__(f"{status}: {words}")
        self.status = status
        self.problem = problem


class UnansweredError(OutcomeUnknownError):
    """Stored or not: nobody said. Publish again with the same ``idempotency_key``."""

    def __init__(self, reason: str, *, idempotency_key: str, retry_after_s: float) -> None:
        super().__init__(
            f"{reason}; publish again with idempotency key {idempotency_key}",
            retry_after_s=retry_after_s,
        )
        self.idempotency_key = idempotency_key


# Sends one request: (URL, headers, body) → Answer; raises OSError or HTTPException.
Send = Callable[[str, Mapping[str, str], bytes], Answer]


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
        if urllib.parse.urlsplit(base_url).scheme not in {"http", "https"}:
            raise InvalidError.at("/base_url", "malformed", "It begins with https:// or http://.")
        if attempts_max < 1:
            raise InvalidError.at("/attempts_max", "too_small", "At least one attempt.")
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidError.at("/key", "malformed", "An API key is printable ASCII.")
        quoted = urllib.parse.quote(merchant, safe="")
        self._url = f"{base_url.rstrip('/')}/v1/merchants/{quoted}/events"
        self._key = key
        self._attempts_max = attempts_max
        self._send = send or _urllib_sender(timeout_s)
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

        Args:
            event_type: Its name in the catalogue.
            data: What happened: JSON-like values, or bytes of JSON, which arrive as they are.
            idempotency_key: Yours, where you may publish the same event again, such as after
                a crash; drawn if you give none.
            family: Whose word the name is, where it is not the merchant's only family.
            object_type: What it happened to; with *object_id*, or neither.
            object_id: Which one.
            occurred_at: When it happened, with a time zone; otherwise when it was accepted.
            ordering_key: What keeps order, where it is not the object.
            metadata: Kept with the event.

        Raises:
            RefusedError: It will never be accepted so.
            UnansweredError: No answer that settles it. Publish again with the same key.
            InvalidError: An argument cannot be sent.

        """
        if (object_type is None) != (object_id is None):
            raise InvalidError.at("/object", "incomplete", "Give object_type with object_id.")
        fields = {
            "type": event_type,
            "family": family,
            "object": object_type and {"type": object_type, "id": object_id},
            "occurred_at": _printed(occurred_at),
            "ordering_key": ordering_key,
            "metadata": metadata and dict(metadata),
        }
        given = {name: value for name, value in fields.items() if value is not None}
        # Spliced, so that bytes of JSON keep the spelling of their numbers.
        body = b'%b,"data":%b}' % (_encode(given, "")[:-1], _raw(data))
        return self._until_answered(body, _checked_key(idempotency_key))

    def _until_answered(self, body: bytes, idempotency_key: str) -> Published:
        headers = {
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            "idempotency-key": idempotency_key,
            "user-agent": f"payhooks-publisher/{__version__}",
        }
        for attempt in range(1, self._attempts_max + 1):
            wait_s = _backoff_s(attempt)
            try:
                answer = self._send(self._url, headers, body)
            except (OSError, http.client.HTTPException) as error:
                reason = f"no answer ({type(error).__name__})"
            else:
                settled = _settled(answer, idempotency_key)
                if settled is not None:
                    return settled
                reason = f"the server answered {answer.status}"
                wait_s = max(wait_s, _retry_after_s(answer))
            if attempt == self._attempts_max or wait_s > WAIT_S_MAX:
                break
            self._wait(wait_s)
        raise UnansweredError(reason, idempotency_key=idempotency_key, retry_after_s=wait_s)


def _settled(answer: Answer, idempotency_key: str) -> Published | None:
    """Return the outcome, or None if asking again may bring one."""
    content = _decoded(answer.body)
    if answer.status == _ACCEPTED:
        try:
            return Published(
                id=content["id"],
                type=content["type"],
                created_at=content["created_at"],
                deliveries=content["deliveries"],
                replayed=answer.headers.get("idempotent-replayed") == "true",
                idempotency_key=idempotency_key,
            )
        except KeyError:
            return None  # Cut off, or not our server: the same key gets the answer again.
    # The server knows best: an idempotency key still being worked on is a 409 that passes.
    if answer.status in _RETRIED or content.get("retryable") is True:
        return None
    raise RefusedError(answer.status, content)


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _backoff_s(attempt: int) -> float:
    base_s = _FIRST_WAIT_S * 2.0 ** (attempt - 1)
    # Jitter only ever adds; it keeps publishers from coming back all at once.
    return float(base_s + random.uniform(0, base_s))  # noqa: S311 - spreads load, hides nothing


def _retry_after_s(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
        return at.timestamp() - SystemClock().now().timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _checked_key(key: str | None) -> str:
    if key is None:
        return secrets.token_urlsafe(24)
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
        raise InvalidError.at(
            "/idempotency_key",
            "malformed",
            f"An idempotency key is 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters.",
        )
    return key


def _printed(occurred_at: datetime | None) -> str | None:
    if occurred_at is None:
        return None
    if occurred_at.tzinfo is None:
        raise InvalidError.at("/occurred_at", "no_time_zone", "Give the time with its zone.")
    return occurred_at.isoformat()


def _raw(data: object) -> bytes:
    if not isinstance(data, bytes):
        return _encode(data, "/data")
    try:
        json.loads(data)  # Or half a value could break out of its place.
    except (ValueError, RecursionError):
        raise InvalidError.at("/data", "malformed", "The bytes are not JSON.") from None
    return data


def _encode(value: object, pointer: str) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidError.at(pointer, "malformed", "It cannot be written as JSON.") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are answers like others: following one would take the API key elsewhere."""

    def redirect_request(  # noqa: PLR0913, PLR0917 - the library's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Follow nothing."""


def _urllib_sender(timeout_s: float) -> Send:
    opener = urllib.request.build_opener(_NoRedirects)

    def send(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - Client looked at the scheme
            url, data=body, headers=dict(headers), method="POST"
        )
        try:
            response = opener.open(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=response.read(_ANSWER_BYTES_MAX),
            )

    return send

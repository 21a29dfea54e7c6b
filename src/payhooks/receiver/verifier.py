"""Verify a request of Payhooks, or of any sender of Standard Webhooks, and read its event.

Everything that arrives over the network ends in an Event or a VerificationError, whatever it
is. TypeError is kept for mistakes in the calling code.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, Protocol

from payhooks.clock import SystemClock
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.secrets import Secret, parse_secret

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
ATTEMPT: Final = "webhook-attempt"

TOLERANCE: Final = timedelta(minutes=5)  # Both ways: the sender's clock may run ahead of yours.
BODY_BYTES_MAX: Final = 1_000_000  # Payhooks sends 256 KiB and an envelope at most.
_ID_CHARS_MAX: Final = 255
_TIMESTAMP_DIGITS_MAX: Final = 12
_ATTEMPT_DIGITS_MAX: Final = 6
_SIGNATURES_MAX: Final = 10
_SECRETS_MAX: Final = 10


class Headers(Protocol):
    """Headers as any framework has them: names of any case, and text."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return the pairs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A verified event. The same ``id`` may come more than once: do its work once."""

    id: str
    type: str
    timestamp: datetime  # when it happened, not when it was sent
    data: Any = field(repr=False)  # numbers with a point are floats; raw has them as written
    raw: bytes = field(repr=False)  # the body as it came
    attempt: int | None  # which attempt this is; not signed, so only for your logs
    format: str = "standard"


class Verifier:
    """Verifies with the same secrets again and again. Safe to share between threads."""

    def __init__(
        self,
        secrets: str | Sequence[str],
        *,
        tolerance: timedelta = TOLERANCE,
        max_body: int = BODY_BYTES_MAX,
    ) -> None:
        """Take one secret, or several while one replaces another: any may match.

        Raises:
            VerificationError: One of them is not a secret.

        """
        if not isinstance(tolerance, timedelta):
            raise TypeError("tolerance is a timedelta")
        if not isinstance(max_body, int):
            raise TypeError("max_body is a number of bytes")
        self._secrets = [parse_secret(text) for text in _texts(secrets)]
        self._tolerance = tolerance
        self._max_body = max_body

    def verify(self, body: bytes, headers: Headers, *, now: datetime | None = None) -> Event:
        """Return the event that *body* carries, if one of the secrets signed it just now.

        Args:
            body: The bytes as they came, before anything parsed them.
            headers: Any mapping of them, names in any case.
            now: The time to judge by; the machine's unless given.

        Raises:
            VerificationError: In every other case. Answer 401.

        """
        body = _body(body)
        values = lower_case(headers)
        at = _now(now)
        if len(body) > self._max_body:
            raise VerificationError(
                Code.BODY_TOO_LARGE, f"The body is larger than max_body, {self._max_body} bytes."
            )
        message_id = read_id(values)
        self.check_age(read_timestamp(values), at)
        self.check_signature(values, body)
        return _event(message_id, values, body)

    def check_age(self, sent_at_s: int, now: datetime) -> None:
        """Raise VerificationError unless it was sent within the tolerance of *now*."""
        age_s = now.timestamp() - sent_at_s
        if age_s > self._tolerance.total_seconds():
            raise VerificationError(
                Code.TIMESTAMP_TOO_OLD,
                f"It was signed {age_s:.0f} s ago. Is this machine's clock right? Was it replayed?",
            )
        if -age_s > self._tolerance.total_seconds():
            raise VerificationError(
                Code.TIMESTAMP_TOO_NEW,
                f"It was signed {-age_s:.0f} s in the future. Is this machine's clock right?",
            )

    def check_signature(self, values: Mapping[str, str], body: bytes) -> None:
        """Raise VerificationError unless one of the secrets made one of the signatures."""
        offered = _signatures(values)
        schemes = {secret.scheme for secret in self._secrets}
        if not any(version in schemes for version, _ in offered):
            raise VerificationError(
                Code.UNSUPPORTED_SCHEME,
                f"The secrets given check {' and '.join(sorted(schemes))};"
                " no signature here is of that kind.",
            )
        # surrogatepass: header bytes that were not UTF-8 must not raise here.
        prefix = f"{values[ID]}.{values[TIMESTAMP]}.".encode("utf-8", "surrogatepass")
        if not _any_match(self._secrets, prefix + body, offered):
            raise VerificationError(
                Code.NO_MATCH,
                "No signature matches. Is this the secret of this endpoint, and are these the"
                " body's bytes as they came, before any parsing?",
            )


def verify(
    body: bytes,
    headers: Headers,
    secret: str | Sequence[str],
    *,
    tolerance: timedelta = TOLERANCE,
    now: datetime | None = None,
) -> Event:
    """Return the event that *body* carries, if *secret* signed it just now.

    See Verifier, which spares parsing the secret every time.

    Raises:
        VerificationError: In every other case. Answer 401.

    """
    return Verifier(secret, tolerance=tolerance).verify(body, headers, now=now)


def lower_case(headers: Headers) -> dict[str, str]:
    """Return the headers with names in lower case.

    Raises:
        TypeError: These are no headers.
        VerificationError: One that counts is there twice, in different cases.

    """
    if not callable(getattr(headers, "items", None)):
        raise TypeError("headers is a mapping of names to text")
    values: dict[str, str] = {}
    for name, value in headers.items():
        text = _text(name).lower()
        if text in values and text in {ID, TIMESTAMP, SIGNATURE}:
            raise VerificationError(Code.MALFORMED_HEADER, f"There are two {text} headers.")
        values[text] = _text(value)
    return values


def read_id(values: Mapping[str, str]) -> str:
    """Return the message id.

    Raises:
        VerificationError: There is none, or it is not one.

    """
    message_id = _required(values, ID)
    # A dot separates the parts of what is signed; one in the id would blur where they end.
    if not message_id or len(message_id) > _ID_CHARS_MAX or "." in message_id:
        raise VerificationError(
            Code.MALFORMED_HEADER, f"{ID} is empty, longer than {_ID_CHARS_MAX} or has a dot."
        )
    return message_id


def read_timestamp(values: Mapping[str, str]) -> int:
    """Return when it was signed, in seconds since 1970.

    Raises:
        VerificationError: There is no such header, or it is not one.

    """
    text = _required(values, TIMESTAMP)
    # isdecimal() alone accepts digits of other scripts, which int() would take too.
    if not (text.isascii() and text.isdecimal()) or len(text) > _TIMESTAMP_DIGITS_MAX:
        raise VerificationError(Code.MALFORMED_HEADER, f"{TIMESTAMP} is not seconds since 1970.")
    return int(text)


def _signatures(values: Mapping[str, str]) -> list[tuple[str, bytes]]:
    parts = [part for part in _required(values, SIGNATURE).split(" ") if part]
    if not parts or len(parts) > _SIGNATURES_MAX or not all("," in part for part in parts):
        raise VerificationError(
            Code.MALFORMED_HEADER,
            f"{SIGNATURE} is not a list of at most {_SIGNATURES_MAX} such as v1,…",
        )
    offered = []
    for part in parts:
        version, _, signature = part.partition(",")
        offered.append((version, signature.encode("utf-8", "surrogatepass")))
    return offered


def _any_match(
    secrets: Sequence[Secret], signed: bytes, offered: Sequence[tuple[str, bytes]]
) -> bool:
    # No early return: how long it takes must not say which secret or signature matched.
    matched = False
    for secret in secrets:
        for version, signature in offered:
            if version == secret.scheme:
                matched |= secret.matches(signed, signature)
    return matched


def _event(message_id: str, values: Mapping[str, str], body: bytes) -> Event:
    try:
        content = json.loads(body.decode(), parse_constant=_no_constant)
        kind, printed, data = content["type"], content["timestamp"], content["data"]
        timestamp = datetime.fromisoformat(printed)
        at = timestamp.astimezone(UTC)
    # Each of these is a way for signed bytes not to be an event, and so is a missing key, an
    # array instead of an object, nesting without end, or an hour after the year 9999.
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        _refuse_content()
    if not isinstance(kind, str) or not kind or timestamp.tzinfo is None:
        _refuse_content()
    attempt = values.get(ATTEMPT, "")
    counted = attempt.isascii() and attempt.isdecimal() and len(attempt) <= _ATTEMPT_DIGITS_MAX
    return Event(
        id=message_id,
        type=kind,
        timestamp=at,
        data=data,
        raw=body,
        attempt=int(attempt) if counted else None,
    )


def _refuse_content() -> NoReturn:
    raise VerificationError(
        Code.NOT_JSON,
        "The signature is right, but the body is not a JSON object with type, timestamp and data.",
    ) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _required(values: Mapping[str, str], name: str) -> str:
    try:
        return values[name]
    except KeyError:
        raise VerificationError(
            Code.MISSING_HEADER, f"There is no {name} header. Does a proxy remove it?"
        ) from None


def _body(body: object) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, bytearray | memoryview):
        return bytes(body)
    if isinstance(body, str):
        raise TypeError("pass the raw body bytes, not text")
    raise TypeError("pass the raw body bytes, not parsed JSON")


def _texts(secrets: object) -> list[str]:
    texts = [secrets] if isinstance(secrets, str) else secrets
    if not isinstance(texts, Sequence) or isinstance(texts, bytes | bytearray | memoryview):
        raise TypeError("secrets is text, or a list of it")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("secrets is text, or a list of it")
    if not 1 <= len(texts) <= _SECRETS_MAX:
        raise VerificationError(
            Code.MALFORMED_SECRET, f"Give at least one secret and at most {_SECRETS_MAX}."
        )
    return list(texts)


def _now(now: object) -> datetime:
    if now is None:
        return SystemClock().now()
    if not isinstance(now, datetime) or now.tzinfo is None:
        raise TypeError("now is a datetime with a time zone")
    return now


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError("headers is a mapping of names to text")

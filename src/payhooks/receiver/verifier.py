"""Verify a request of Payhooks, or of any sender that speaks one of its dialects, and read it.

Everything that arrives over the network ends in an Event or a VerificationError, whatever it
is. TypeError is kept for mistakes in the calling code, an unknown dialect among them.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from payhooks.clock import SystemClock
from payhooks.dialects.schemes import TOLERANCE
from payhooks.receiver.dialects import Dialect, find
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.event import Event
from payhooks.receiver.reading import said
from payhooks.receiver.ways import Values, Way, check_age

ATTEMPT: Final = "webhook-attempt"

BODY_BYTES_MAX: Final = 1_000_000  # Payhooks sends 256 KiB and an envelope at most.
_ATTEMPT_DIGITS_MAX: Final = 6
_SECRETS_MAX: Final = 10


class Headers(Protocol):
    """Headers as any framework has them: names of any case, and text."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return the pairs."""
        ...


class Pairs(list[tuple[Any, Any]]):
    """Header lines that kept their twins, which a dictionary would hide."""

    def items(self) -> "Pairs":
        """Return the pairs."""
        return self


class Verifier:
    """Verifies with the same secrets again and again. Safe to share between threads."""

    def __init__(
        self,
        secrets: str | Sequence[str],
        *,
        tolerance: timedelta | None = None,
        max_body: int = BODY_BYTES_MAX,
        dialect: str = "standard",
        time_zone: str | None = None,
    ) -> None:
        """Take one secret, or several while one replaces another: any may match.

        Args:
            secrets: As the sender shows them.
            tolerance: How old a request may be, five minutes unless given; only for dialects
                that sign a time.
            max_body: In bytes.
            dialect: What the sender speaks, by name.
            time_zone: Whose the printed times are that name none; only where the sender lets
                one choose (``merchant-console``).

        Raises:
            VerificationError: One of them is not a secret.

        """
        found = find(dialect)
        if tolerance is not None and not isinstance(tolerance, timedelta):
            raise TypeError("tolerance is a timedelta")
        if tolerance is not None and not found.way.signs_time:
            raise TypeError(f"{dialect} signs no time that could be held against a tolerance")
        if time_zone is not None and not found.is_zone_chosen:
            raise TypeError(f"{dialect} has times of one zone; there is no other to name")
        if not isinstance(max_body, int):
            raise TypeError("max_body is a number of bytes")
        self.dialect = dialect
        self.max_body = max_body
        self._read = found
        self._zone = _zone(time_zone or found.time_zone)
        self._secrets = [found.way.secret(text) for text in _texts(secrets)]
        self._tolerance = TOLERANCE if tolerance is None else tolerance

    @property
    def way(self) -> Way:
        """Where the signature stands and what is signed."""
        return self._read.way

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
        values = self.values(headers)
        at = _now(now)
        if len(body) > self.max_body:
            raise VerificationError(
                Code.BODY_TOO_LARGE, f"The body is larger than max_body, {self.max_body} bytes."
            )
        self.check_age(values, at)
        self.check_signature(values, body)
        return self.read(values, body)

    def values(self, headers: Headers) -> dict[str, str]:
        """Return the headers with names in lower case.

        Raises:
            TypeError: These are no headers.
            VerificationError: One that counts is there twice, in different cases.

        """
        return _lower_case(headers, self.way.headers)

    def check_age(self, values: Values, now: datetime) -> int | None:
        """Return the signed time in seconds since 1970, where there is one and it is recent.

        Raises:
            VerificationError: It is not within the tolerance of *now*, or is missing.

        """
        sent_at_s = self.way.sent_at_s(values)
        if sent_at_s is not None:
            check_age(sent_at_s, now, self._tolerance)
        return sent_at_s

    def check_signature(self, values: Values, body: bytes) -> None:
        """Raise VerificationError unless one of the secrets made one of the signatures."""
        self.way.check_signature(values, body, self._secrets)

    def read(self, values: Values, body: bytes) -> Event:
        """Return what *body* says; its signature was checked before.

        Raises:
            VerificationError: It is not an event of this dialect.

        """
        found: Dialect = self._read
        parts = said(found.read, found.wanted, values, body, self._zone)
        attempt = values.get(ATTEMPT, "")
        counted = attempt.isascii() and attempt.isdecimal() and len(attempt) <= _ATTEMPT_DIGITS_MAX
        return Event(
            id=parts.id,
            type=parts.type,
            timestamp=parts.timestamp,
            data=parts.data,
            raw=body,
            attempt=int(attempt) if counted else None,
            format=self.dialect,
            object_type=parts.object_type,
            object_id=parts.object_id,
            ordered_at=parts.ordered_at,
        )


def verify(  # noqa: PLR0913 - what a Verifier takes, in one call
    body: bytes,
    headers: Headers,
    secret: str | Sequence[str],
    *,
    dialect: str = "standard",
    tolerance: timedelta | None = None,
    now: datetime | None = None,
) -> Event:
    """Return the event that *body* carries, if *secret* signed it just now.

    See Verifier, which spares parsing the secret every time.

    Raises:
        VerificationError: In every other case. Answer 401.

    """
    return Verifier(secret, tolerance=tolerance, dialect=dialect).verify(body, headers, now=now)


def _lower_case(headers: Headers, counted: Sequence[str]) -> dict[str, str]:
    if not callable(getattr(headers, "items", None)):
        raise TypeError("headers is a mapping of names to text")
    values: dict[str, str] = {}
    for name, value in headers.items():
        text = _text(name).lower()
        if text in values and text in counted:
            raise VerificationError(Code.MALFORMED_HEADER, f"There are two {text} headers.")
        values[text] = _text(value)
    return values


def _zone(name: object) -> tzinfo:
    if name == "UTC":
        return UTC  # also where the machine has no zones
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        raise TypeError(
            "time_zone is no time zone of this machine; pip install tzdata if it has none"
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

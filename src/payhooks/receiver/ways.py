"""How each kind of signature is found in a request and checked, behind one protocol.

The work is done by ``payhooks.dialects.schemes``, with which the sender signs; here its refusals
become a code and a sentence for the receiver's developers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from payhooks.dialects.schemes import TIMESTAMP_DIGITS_MAX, Scheme, TimedList
from payhooks.errors import SignatureError
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.secrets import parse_key

Values = Mapping[str, str]  # headers, their names in lower case

NO_MATCH_HINT: Final = (
    "No signature matches. Is this the secret of this endpoint, and are these the"
    " body's bytes as they came, before any parsing?"
)


class Request(NamedTuple):
    """What arrives at a receiver."""

    body: bytes
    headers: dict[str, str]


class Way(Protocol):
    """Where one kind of request carries its signature, and what is signed."""

    @property
    def headers(self) -> tuple[str, ...]:
        """What is read of the headers, in lower case: each may be there once."""
        ...

    @property
    def place(self) -> str:
        """Where the signature stands: a header in lower case, or a member of the body."""
        ...

    @property
    def signs_time(self) -> bool:
        """Whether a request is too old at some time, so that it cannot be shown again later."""
        ...

    def secret(self, text: str) -> Any:  # noqa: ANN401 - each way has secrets of its own
        """Return what *text* verifies with.

        Raises:
            VerificationError: It is no secret of this kind.

        """
        ...

    def sent_at_s(self, values: Values) -> int | None:
        """Return the signed time in seconds since 1970, if this kind has one.

        Raises:
            VerificationError: It should be there, and is not or cannot be read.

        """
        ...

    def check_signature(self, values: Values, body: bytes, secrets: Sequence[Any]) -> None:
        """Accept *body* if one of the secrets made one of the signatures, however long ago.

        Raises:
            VerificationError: In every other case.

        """
        ...

    def sign(self, body: bytes, secret: str, *, message_id: str, now: datetime) -> Request:
        """Return the request that a sender would make of *body*: for tests of a receiver."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderWay:
    """A scheme of one header, whose secrets are the keys as they stand."""

    scheme: Scheme

    @property
    def place(self) -> str:
        """See Way."""
        return self.scheme.header.lower()

    @property
    def headers(self) -> tuple[str, ...]:
        """See Way."""
        return (self.place,)

    @property
    def signs_time(self) -> bool:
        """See Way."""
        return isinstance(self.scheme, TimedList)

    def secret(self, text: str) -> bytes:
        """See Way."""
        return parse_key(text)

    def sent_at_s(self, values: Values) -> int | None:
        """See Way; of several times the first, which check_signature then refuses."""
        value = required(values, self.place)
        if not self.signs_time:
            return None
        parts = [part.strip(" \t") for part in value.split(",")]
        text = next((part[2:] for part in parts if part.startswith("t=")), "")
        return read_seconds(text, where=f"t in {self.place}")

    def check_signature(self, values: Values, body: bytes, secrets: Sequence[bytes]) -> None:
        """See Way."""
        required(values, self.place)
        try:
            # The age is judged beside it, so that the two can be told apart; no clock is asked.
            self.scheme.verify(values, body, secrets, now=_NEVER, tolerance=None)
        except SignatureError as error:
            raise refused(error) from None

    def sign(self, body: bytes, secret: str, *, message_id: str, now: datetime) -> Request:
        """See Way; the id has no place here."""
        return Request(body, dict(self.scheme.sign(body, [parse_key(secret)], now=now)))


def required(values: Values, name: str) -> str:
    """Return the value of a header that must be there.

    Raises:
        VerificationError: It is not.

    """
    try:
        return values[name]
    except KeyError:
        raise VerificationError(
            Code.MISSING_HEADER, f"There is no {name} header. Does a proxy remove it?"
        ) from None


def read_seconds(text: str, *, where: str) -> int:
    """Return seconds since 1970 as they are written in a header.

    Raises:
        VerificationError: They are not.

    """
    # isdecimal() alone accepts digits of other scripts, which int() would take too.
    if not (text.isascii() and text.isdecimal()) or len(text) > TIMESTAMP_DIGITS_MAX:
        raise VerificationError(Code.MALFORMED_HEADER, f"{where} is not seconds since 1970.")
    return int(text)


def check_age(sent_at_s: int, now: datetime, tolerance: timedelta) -> None:
    """Accept what was signed within *tolerance* of *now*.

    Raises:
        VerificationError: It was not.

    """
    age_s = now.timestamp() - sent_at_s
    if age_s > tolerance.total_seconds():
        raise VerificationError(
            Code.TIMESTAMP_TOO_OLD,
            f"It was signed {age_s:.0f} s ago. Is this machine's clock right? Was it replayed?",
        )
    if -age_s > tolerance.total_seconds():
        raise VerificationError(
            Code.TIMESTAMP_TOO_NEW,
            f"It was signed {-age_s:.0f} s in the future. Is this machine's clock right?",
        )


def refused(error: SignatureError) -> VerificationError:
    """Return a scheme's refusal in the words of those who receive."""
    code = Code(error.code)
    reason = f"{error.reason[:1].upper()}{error.reason[1:]}."
    return VerificationError(code, NO_MATCH_HINT if code is Code.NO_MATCH else reason)


_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # nobody looks at it without a tolerance

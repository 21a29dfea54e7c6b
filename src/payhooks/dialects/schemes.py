"""Where a request carries its signature and what is signed, for dialects that share a way.

Standard library only: the receiver SDK verifies with the same code as the server. A key is the
bytes that both sides hold. Every ``verify`` is total: it returns, or raises SignatureError with
a code, whatever arrives. None returns early on a match, so that the time it takes does not say
which key or signature it was.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from payhooks.errors import SignatureError

TOLERANCE: Final = timedelta(minutes=5)  # Both ways: the sender's clock may run ahead of ours.
TIMESTAMP_DIGITS_MAX: Final = 12  # Year 33658; above it int() gets slow and useless.
# Each costs a comparison, and no sender rotates ten secrets at once.
SIGNATURES_MAX: Final = 10
_HEADER_CHARS_MAX: Final = 4_096

Headers = tuple[tuple[str, str], ...]


class Scheme(Protocol):
    """One way to sign a body in a header."""

    @property
    def header(self) -> str:
        """Its name, as it is written."""
        ...

    def sign(self, body: bytes, keys: Sequence[bytes], *, now: datetime) -> Headers:
        """Return the headers; none where there is no key."""
        ...

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        keys: Sequence[bytes],
        *,
        now: datetime,
        tolerance: timedelta | None = TOLERANCE,
    ) -> None:
        """Accept *body* if one of the keys signed it; names of headers are in lower case.

        A signed time must be within *tolerance* of *now*; None takes any time.

        Raises:
            SignatureError: In every other case.

        """
        ...


@dataclass(frozen=True, slots=True)
class HexOfBody:
    """One header with the lowercase hex HMAC of the body; nothing says when it was made.

    One value has room for one signature, so the newest key makes it, also while keys rotate.
    """

    header: str
    algorithm: str  # as hashlib calls it

    def sign(self, body: bytes, keys: Sequence[bytes], *, now: datetime) -> Headers:
        """See Scheme."""
        if not keys:
            return ()
        return ((self.header, hmac.digest(keys[0], body, self.algorithm).hex()),)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        keys: Sequence[bytes],
        *,
        now: datetime,
        tolerance: timedelta | None = TOLERANCE,
    ) -> None:
        """See Scheme; there is no time to judge."""
        offered = spelled(required(headers, self.header))
        matched = False
        for key in keys:
            expected = hmac.digest(key, body, self.algorithm).hex().encode()
            matched |= hmac.compare_digest(expected, offered)
        if not matched:
            raise no_match()


@dataclass(frozen=True, slots=True)
class TimedList:
    """One header ``t=<seconds>,v1=<hex>[,v1=<hex>…]``; signed is ``<seconds>.<body>``."""

    header: str

    def sign(self, body: bytes, keys: Sequence[bytes], *, now: datetime) -> Headers:
        """See Scheme; every key signs."""
        if not keys:
            return ()
        seconds = str(int(now.timestamp()))
        signed = seconds.encode() + b"." + body
        made = "".join([f",v1={hmac.digest(key, signed, 'sha256').hex()}" for key in keys])
        return ((self.header, f"t={seconds}{made}"),)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        keys: Sequence[bytes],
        *,
        now: datetime,
        tolerance: timedelta | None = TOLERANCE,
    ) -> None:
        """See Scheme; versions other than v1 are passed over."""
        seconds, offered = self._parse(required(headers, self.header))
        check_age(seconds, now, tolerance)
        signed = seconds.encode() + b"." + body
        matched = False
        for key in keys:
            expected = hmac.digest(key, signed, "sha256").hex().encode()
            for signature in offered:
                matched |= hmac.compare_digest(expected, signature)
        if not matched:
            raise no_match()

    def _parse(self, value: str) -> tuple[str, list[bytes]]:
        times, offered = [], []
        for part in value.split(","):
            name, _, text = part.strip(" \t").partition("=")
            if name == "t":
                times.append(text)
            elif name == "v1":
                offered.append(spelled(text))
        if len(times) != 1 or not 1 <= len(offered) <= SIGNATURES_MAX:
            # Two times would leave open which one was signed.
            raise SignatureError(
                f"{self.header} is not one t and at most {SIGNATURES_MAX} v1", "malformed_header"
            )
        return times[0], offered


def required(headers: Mapping[str, str], name: str) -> str:
    """Return the value of a header that must be there.

    Raises:
        SignatureError: It is not, or it is too long to be one.

    """
    value = headers.get(name.lower())
    if value is None:
        raise SignatureError(f"no {name} header", "missing_header")
    if len(value) > _HEADER_CHARS_MAX:
        raise SignatureError(f"{name} is too long", "malformed_header")
    return value


def spelled(text: str) -> bytes:
    """Return *text* as bytes that can be compared; what was not UTF-8 must not raise here."""
    return text.encode("utf-8", "surrogatepass")


def check_age(seconds: str, now: datetime, tolerance: timedelta | None) -> None:
    """Accept a time, in seconds since 1970, that is within *tolerance* of *now*.

    Raises:
        SignatureError: It is not, or it is no time.

    """
    # isdecimal() alone accepts digits of other scripts, which int() would take too.
    if not (seconds.isascii() and seconds.isdecimal()):
        raise SignatureError("timestamp is not a number", "malformed_header")
    if len(seconds) > TIMESTAMP_DIGITS_MAX:
        raise SignatureError("timestamp is too long", "malformed_header")
    if tolerance is None:
        return
    ahead_s = int(seconds) - now.timestamp()
    if abs(ahead_s) > tolerance.total_seconds():
        code = "timestamp_too_new" if ahead_s > 0 else "timestamp_too_old"
        raise SignatureError("timestamp is outside the tolerance", code)


def no_match() -> SignatureError:
    """Return the error of a request that none of the keys signed."""
    return SignatureError("no signature matches", "no_match")

"""Reading what arrives: total, and without changing how anything is spelled."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec

from payhooks.errors import InvalidError

_Envelope = TypeVar("_Envelope")

# Of a JSON object, each as it is spelled.
Members = dict[str, msgspec.Raw]
ABSENT: Final = msgspec.Raw()  # an empty Raw is not JSON, so nobody can send it

decode_members: Final = msgspec.json.Decoder(Members).decode
_decode_scalar: Final = msgspec.json.Decoder(str | int | float | bool | None).decode


def decoded(decode: Callable[[str], _Envelope], body: bytes, *, wanted: str) -> _Envelope:
    """Return what msgspec's *decode* makes of *body*.

    Raises:
        InvalidError: It is none; *wanted* ends the sentence "The body is not …".

    """
    try:
        # msgspec skips over raw members without looking for broken UTF-8 in them.
        return decode(body.decode())
    except UnicodeDecodeError:
        raise InvalidError.at("", "not_utf8", "The body is not UTF-8.") from None
    except (msgspec.DecodeError, RecursionError):
        raise InvalidError.at("", "malformed", f"The body is not {wanted}.") from None


def missing(pointer: str) -> InvalidError:
    """Return the error of a body in which there is nothing at *pointer*, or nothing of use."""
    name = pointer.removeprefix("/").replace("/", ".")
    return InvalidError.at(pointer, "required", f"The body has no {name}.")


def those_said(ids: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    """Return the ids that a body has, in their order."""
    return tuple([(name, value) for name, value in ids.items() if value])


def in_utc(at: datetime) -> datetime:
    """Return an aware time in UTC.

    Raises:
        InvalidError: The last hours of the year 9999 have none west of Greenwich.

    """
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise InvalidError.at("", "malformed", "A time is out of range.") from None


def scalar_text(raw: msgspec.Raw | None) -> str | None:
    """Return a text as it is and a number as it is spelled; None for anything else.

    Providers write the same id as text in one version and as a number in the next.
    """
    if raw is None:
        return None
    spelled = bytes(raw)
    if not spelled or spelled[:1] in b"{[tfn":
        return None
    if spelled[:1] != b'"':
        return spelled.decode()
    text = _decode_scalar(spelled)
    assert isinstance(text, str)
    return text

"""Forms: what was sent, within limits, and what is to be said beside its fields."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from payhooks.errors import Fault, InputError, InvalidError, RateLimitedError, TooLargeError
from payhooks.limits import KIB

FORM_BYTES_MAX: Final = 256 * KIB
FIELDS_MAX: Final = 2_000  # every event of a picker is one
TOKEN_FIELD: Final = "form_token"  # noqa: S105 - the name of a field
CODE_FIELD: Final = "second_factor"
MERCHANT_FIELD: Final = "form_merchant"
_OURS: Final = frozenset({TOKEN_FIELD, CODE_FIELD, MERCHANT_FIELD})
_SECONDS_MAX: Final = 90  # above this, minutes are easier to wait
_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


class MediaTypeError(InputError):
    """The body is not a form as browsers send them without files."""


class Form:
    """The fields of a form, in order, exactly as they were sent."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)

    def text(self, name: str, default: str = "") -> str:
        """Return the field without blanks around it; of several the first."""
        return self.exact(name, default).strip()

    def exact(self, name: str, default: str = "") -> str:
        """Return the field as it was typed, which is what a password is."""
        return next((value for key, value in self._pairs if key == name), default)

    def every(self, name: str) -> tuple[str, ...]:
        """Return all values under a name: boxes that were ticked."""
        return tuple(value for key, value in self._pairs if key == name)

    def has(self, name: str) -> bool:
        """Whether the form has the field at all: a button pressed, a box ticked."""
        return any(key == name for key, _value in self._pairs)

    @property
    def carried(self) -> tuple[tuple[str, str], ...]:
        """What the page itself asked for, for sending once more: all fields but the guard's."""
        return tuple(pair for pair in self._pairs if pair[0] not in _OURS)


class Messages:
    """What is wrong with a form: sentences beside fields, and those that belong to none."""

    def __init__(self, by_field: Mapping[str, Sequence[str]], general: Sequence[str] = ()) -> None:
        self.by_field = {name: tuple(texts) for name, texts in by_field.items()}
        self.general = tuple(general)

    def __bool__(self) -> bool:
        return bool(self.by_field or self.general)

    def of(self, field: str) -> tuple[str, ...]:
        """Return the sentences of one field."""
        return self.by_field.get(field, ())

    @classmethod
    def from_error(cls, error: InvalidError, fields: Mapping[str, str]) -> "Messages":
        """Return what an error says; *fields* names the field of each JSON pointer.

        A pointer below one that is named belongs to the same field; others are general.
        """
        by_field: dict[str, list[str]] = {}
        general = []
        for fault in error.faults:
            field = _field_of(fault, fields)
            if field is None:
                general.append(fault.detail)
            else:
                by_field.setdefault(field, []).append(fault.detail)
        return cls(by_field, general)


def wait_words(error: RateLimitedError) -> str:
    """Return what to say to somebody who tried too often."""
    seconds = ceil(error.retry_after_s)
    if seconds <= _SECONDS_MAX:
        return f"Too many tries. Try again in {seconds} seconds."
    return f"Too many tries. Try again in {ceil(seconds / 60)} minutes."


NO_MESSAGES: Final = Messages({})


def _field_of(fault: Fault, fields: Mapping[str, str]) -> str | None:
    pointer = fault.pointer
    while pointer:
        if pointer in fields:
            return fields[pointer]
        pointer = pointer.rpartition("/")[0]
    return None


async def read_form(request: Request) -> Form:
    """Return the form that a request carries.

    Raises:
        TooLargeError: It has more bytes than any of our forms.
        MediaTypeError: It is no such form, or has files.
        InvalidError: It is not text.

    """
    body = await _read(request)
    if not body:
        return Form()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        raise MediaTypeError("Send the form as the page has it.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError as error:
        detail = "The form is not UTF-8 text, or has too many fields."
        raise InvalidError.at("", "malformed", detail) from error
    if any("\x00" in text for pair in pairs for text in pair):
        raise InvalidError.at("", "malformed", "The form has a NUL character.")
    return Form(pairs)


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > FORM_BYTES_MAX:
        raise TooLargeError(f"A form has at most {FORM_BYTES_MAX} bytes.")
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > FORM_BYTES_MAX:
                raise TooLargeError(f"A form has at most {FORM_BYTES_MAX} bytes.")
            parts.append(part)
    except ClientDisconnect:
        # Nobody reads the answer; half a form must not be taken for a whole one.
        raise InvalidError.at("", "malformed", "The form did not arrive whole.") from None
    return b"".join(parts)

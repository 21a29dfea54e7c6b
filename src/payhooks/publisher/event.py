"""What is published, held against the server's rules before anybody sends or stores it.

An outbox must not take what the server will refuse: by then the business transaction is
committed, and nobody is there any more to mend it. What only the server knows, such as which
types a merchant has, stays the server's.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from payhooks.errors import InvalidError, TooLargeError
from payhooks.limits import (
    EVENT_BODY_BYTES_MAX,
    EVENT_TYPE_CHARS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    JSON_DEPTH_MAX,
    METADATA_BYTES_MAX,
    OBJECT_ID_CHARS_MAX,
    OCCURRED_AT_YEARS,
)

# A batch is an object with an array of events, and the server counts from its outside.
_EVENT_DEPTH_MAX: Final = JSON_DEPTH_MAX - 2
# A batch names the key beside the event, within the same limit of bytes.
_KEY_MEMBER_BYTES_MAX: Final = IDEMPOTENCY_KEY_CHARS_MAX * 2 + 32
_EVENT_TYPE: Final = re.compile(r"[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)*\Z")
_FAMILY_CHARS_MAX: Final = 40
_OBJECT_TYPE_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something that happened, not told yet.

    ``type`` is its name in the catalogue, ``family`` whose word that is where it is not the
    merchant's only family. ``data`` is what happened: JSON-like values, or bytes of JSON, which
    arrive as they are. ``object_type`` and ``object_id`` say what it happened to, both or
    neither; ``ordering_key`` what keeps order, where it is not the object. ``occurred_at`` has
    a time zone; without it the event has the time of its acceptance. An ``idempotency_key`` of
    yours is for where you may publish the same event again, such as after a crash; one is
    drawn if you give none.
    """

    type: str
    data: object
    idempotency_key: str | None = None
    family: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    occurred_at: datetime | None = None
    ordering_key: str | None = None
    metadata: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """The bytes of one event and the key that makes repeating them safe."""

    idempotency_key: str
    body: bytes


def keyed(event: NewEvent) -> Keyed:
    """Return the event as it is sent, with the key given or one drawn.

    Raises:
        InvalidError: Names the argument that cannot be sent.
        TooLargeError: The event is over the server's limit.

    """
    key = event.idempotency_key
    if key is None:
        key = secrets.token_urlsafe(24)
    demand_key(key)
    return Keyed(idempotency_key=key, body=_encoded(event))


def demand_key(key: object) -> None:
    """Raise InvalidError where *key* cannot be an idempotency key."""
    _demand(
        isinstance(key, str)
        and 1 <= len(key) <= IDEMPOTENCY_KEY_CHARS_MAX
        and key.isascii()
        and key.isprintable(),
        "/idempotency_key",
        f"An idempotency key is 1 to {IDEMPOTENCY_KEY_CHARS_MAX} printable ASCII characters.",
    )


def _encoded(event: NewEvent) -> bytes:
    _demand(
        isinstance(event.type, str)
        and len(event.type) <= EVENT_TYPE_CHARS_MAX
        and _EVENT_TYPE.match(event.type) is not None,
        "/type",
        "Join words of letters, digits, _ and - with dots: payment.paid.",
    )
    if (event.object_type is None) != (event.object_id is None):
        raise InvalidError.at("/object", "incomplete", "Give object_type with object_id.")
    _demand_words("/family", event.family, _FAMILY_CHARS_MAX)
    _demand_words("/object/type", event.object_type, _OBJECT_TYPE_CHARS_MAX)
    _demand_words("/object/id", event.object_id, OBJECT_ID_CHARS_MAX)
    _demand_words("/ordering_key", event.ordering_key, OBJECT_ID_CHARS_MAX)
    fields = {
        "type": event.type,
        "family": event.family,
        "object": event.object_type and {"type": event.object_type, "id": event.object_id},
        "occurred_at": _printed(event.occurred_at),
        "ordering_key": event.ordering_key,
    }
    head = _json({name: value for name, value in fields.items() if value is not None}, "")
    if event.metadata is not None:
        metadata = _object(event.metadata, "/metadata")
        if len(metadata) > METADATA_BYTES_MAX:
            raise TooLargeError(f"The metadata of an event has at most {METADATA_BYTES_MAX} bytes.")
        head = b'%b,"metadata":%b}' % (head[:-1], metadata)
    # Spliced, so that bytes of JSON keep the spelling of their numbers.
    body = b'%b,"data":%b}' % (head[:-1], _object(event.data, "/data"))
    if len(body) + _KEY_MEMBER_BYTES_MAX > EVENT_BODY_BYTES_MAX:
        raise TooLargeError(f"An event with its key has at most {EVENT_BODY_BYTES_MAX} bytes.")
    return body


def _demand(holds: bool, pointer: str, detail: str) -> None:  # noqa: FBT001 - the condition itself
    if not holds:
        raise InvalidError.at(pointer, "malformed", detail)


def _demand_words(pointer: str, text: str | None, chars_max: int) -> None:
    if text is None:
        return
    _demand(
        isinstance(text, str) and 1 <= len(text) <= chars_max and _is_plain(text),
        pointer,
        f"This is text of 1 to {chars_max} characters.",
    )


def _printed(occurred_at: datetime | None) -> str | None:
    if occurred_at is None:
        return None
    if not isinstance(occurred_at, datetime) or occurred_at.utcoffset() is None:
        raise InvalidError.at("/occurred_at", "no_time_zone", "Give the time with its zone.")
    # One year less at both ends: in UTC it may be the next or the last already.
    if occurred_at.year not in OCCURRED_AT_YEARS[1:-1]:
        raise InvalidError.at("/occurred_at", "out_of_range", "This year is surely a mistake.")
    # In UTC, because old zones are off by seconds, which RFC 3339 cannot write.
    return occurred_at.astimezone(UTC).isoformat()


def _object(value: object, pointer: str) -> bytes:
    """Return the bytes of a JSON object that has one meaning for every parser."""
    raw = value if isinstance(value, bytes) else _json(value, pointer)
    try:
        decoded = _decode(raw.decode())
        _demand(isinstance(decoded, dict), pointer, "This must be an object.")
        _look_at(decoded, depth=2)  # The event around it is the first.
    except (ValueError, RecursionError) as error:
        # What the decoder says names a place, never the value.
        said = str(error) if isinstance(error, json.JSONDecodeError | _UnclearError) else "not JSON"
        raise InvalidError.at(pointer, "malformed", f"It cannot be sent as JSON: {said}.") from None
    return raw


def _json(value: object, pointer: str) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except TypeError as error:
        # The encoder's words name the kind, as Decimal, never the value.
        detail = f"It cannot be written as JSON: {error}."
        raise InvalidError.at(pointer, "malformed", detail) from None
    except (ValueError, RecursionError):
        raise InvalidError.at(pointer, "malformed", "It cannot be written as JSON.") from None


class _UnclearError(ValueError):
    """Parsers disagree about what it means."""


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _UnclearError("an object has the same key twice")
    return members


def _finite(text: str) -> None:
    if float(text) in {float("inf"), float("-inf")}:
        raise _UnclearError("a number must be finite")


def _constant(_text: str) -> NoReturn:
    raise _UnclearError("a number must be finite")


# len stands for "keep nothing": int() refuses 4,301 digits, and nobody needs the number.
_decode: Final[Callable[[str], object]] = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=len, parse_float=_finite, parse_constant=_constant
).decode


def _look_at(value: object, *, depth: int) -> None:
    """Raise for what is JSON and still no store or parser takes."""
    if isinstance(value, str):
        if not _is_plain(value):
            raise _UnclearError("a string has the character NUL or half of a surrogate pair")
        return
    if not isinstance(value, dict | list):
        return
    if depth > _EVENT_DEPTH_MAX:
        raise _UnclearError(f"an event nests at most {_EVENT_DEPTH_MAX} deep")
    inner = [*value, *value.values()] if isinstance(value, dict) else value
    for each in inner:
        _look_at(each, depth=depth + 1)


def _is_plain(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)

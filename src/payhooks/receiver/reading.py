"""What the body of each dialect says. Only for bodies whose signature was found to be right.

Each reader takes the parsed body and raises KeyError, TypeError or ValueError where it is not
one of its dialect; ``said`` makes one error of them. Times that cannot be read are None: they
are no reason to refuse what the sender signed. ``data`` is what was published, without the
members that the dialect wraps around it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, NoReturn

from payhooks.dialects.provider_words import (
    CLOUDEVENTS_JSON_TYPE,
    CONSOLE_LISTED_PREFIX,
    CONSOLE_SENT_PREFIX,
    FOLOOSI_EVENT_OF_STATUS,
    OWLPAY_ALIASES,
    OWNGATEWAY_DETAILS,
    OWNGATEWAY_ORDERED_BY,
    TREEZOR_DATES,
    TREEZOR_PLURAL_OF_EVENT,
    TREEZOR_PLURAL_OF_OBJECT,
    treezor_kind,
)
from payhooks.receiver.errors import Code, VerificationError

_TEXT_CHARS_MAX: Final = 512
_TREEZOR_TICKS_PER_S: Final = 10_000

Values = Mapping[str, str]
Content = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The parts of an Event that a body decides."""

    id: str
    type: str
    timestamp: datetime | None
    data: Any
    object_type: str | None = None
    object_id: str | None = None
    ordered_at: datetime | None = None


Reader = Callable[[Values, Content, tzinfo], Said]


def said(read: Reader, wanted: str, values: Values, body: bytes, zone: tzinfo) -> Said:
    """Return what *body* says.

    Raises:
        VerificationError: It is not one; *wanted* ends the sentence "The body is not …".

    """
    try:
        content = _object(json.loads(body.decode(), parse_constant=_no_constant))
        return read(values, content, zone)
    # Each of these is a way for signed bytes not to be an event, and so is a missing key, an
    # array instead of an object, nesting without end, or an hour after the year 9999.
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        hint = f"The signature is right, but the body is not {wanted}."
        raise VerificationError(Code.NOT_JSON, hint) from None


def standard(values: Values, content: Content, _zone: tzinfo) -> Said:
    """Read Standard Webhooks 1.0; the id is the header's."""
    timestamp = datetime.fromisoformat(content["timestamp"])
    if timestamp.tzinfo is None:
        raise ValueError("a time without its zone")
    at = timestamp.astimezone(UTC)
    return Said(
        id=_name(values["webhook-id"]),
        type=_name(content["type"]),
        timestamp=at,
        data=content["data"],
        ordered_at=at,
    )


def cloudevents(_values: Values, content: Content, _zone: tzinfo) -> Said:
    """Read CloudEvents 1.0.2 in structured mode; the subject is ``type/id`` of the object.

    The id is source and id: neither alone is unique.
    """
    if content["specversion"] != "1.0":
        raise ValueError("another version")
    media_type = _name(content.get("datacontenttype") or "application/json").partition(";")[0]
    if "data_base64" in content or not CLOUDEVENTS_JSON_TYPE.match(media_type.strip()):
        raise ValueError("data that is not JSON")
    at = instant(content.get("time"), None)
    kind, _, number = _text(content.get("subject"), "").partition("/")
    return Said(
        id=_name(f"{_name(content['source'])} {_name(content['id'])}"),
        type=_name(content["type"]),
        timestamp=at,
        data=content["data"],
        object_type=kind if kind and number else None,
        object_id=number if kind and number else None,
        ordered_at=at,
    )


def owlpay(_values: Values, content: Content, _zone: tzinfo) -> Said:
    """Read ``uuid, observation, data.<object>``; the object's ``updated_at`` is the only time."""
    observation = _name(content["observation"])
    [(kind, data)] = _object(content["data"]).items()
    at = instant(_object(data).get("updated_at"), None)
    return Said(
        id=_name(content["uuid"]),
        type=OWLPAY_ALIASES.get(observation, observation),
        timestamp=at,
        data=data,
        object_type=kind,
        object_id=_number(data.get("uuid")),
        ordered_at=at,
    )


def stripe(_values: Values, content: Content, _zone: tzinfo) -> Said:
    """Read Stripe's event object; its time has whole seconds.

    Gateways that answer as Stripe does may name the kind of object beside it.
    """
    wrapped = _object(content["data"])
    data = _object(wrapped["object"])
    at = _at_seconds(content.get("created"))
    return Said(
        id=_name(content["id"]),
        type=_name(content["type"]),
        timestamp=at,
        data=data,
        object_type=_number(data.get("object")) or _number(wrapped.get("type")),
        object_id=_number(data.get("id")),
        ordered_at=at,
    )


def merchant_console(_values: Values, content: Content, zone: tzinfo) -> Said:
    """Read ``event_type, event_body.object``; the time is *zone*'s and has whole seconds."""
    data = _object(_object(content["event_body"])["object"])
    kind = _name(content["event_type"])
    if kind.startswith(sent := f"{CONSOLE_SENT_PREFIX}."):
        kind = f"{CONSOLE_LISTED_PREFIX}.{kind.removeprefix(sent)}"
    at = instant(content.get("event_triggered"), zone)
    return Said(
        id=_name(content["event_id"]),
        type=kind,
        timestamp=at,
        data=data,
        object_type=_number(data.get("type")),
        object_id=_number(data.get("key")),
        ordered_at=at,
    )


def foloosi(_values: Values, content: Content, _zone: tzinfo) -> Said:
    """Read a transfer or an order. There is no id and no time: the id is the transfer's state."""
    parts = _object(content["data"])
    transfer = _object(parts.get("transfer", {}))
    kind = "order" if "order" in parts else "transfer"
    data = _object(parts[kind])
    number = _number(transfer.get("transaction_no"))
    status = _number(transfer.get("transaction_status"))
    event = content.get("event") or FOLOOSI_EVENT_OF_STATUS[(status or "").lower()]
    object_id = number
    if kind == "order":
        object_id = _number(data.get("id")) or _number(data.get("transaction_no")) or number
    return Said(
        # With the event where there is one: an order tells of the same transaction too.
        id=_name(f"{number or _name(object_id)}:{content.get('event') or status}"),
        type=_name(event),
        timestamp=None,
        data=data,
        object_type=kind,
        object_id=object_id,
    )


def owngateway(_values: Values, content: Content, _zone: tzinfo) -> Said:
    """Read ``event_id, event_type, content.object``; the object's ``updated`` orders, if there."""
    wrapped = _object(content["content"])
    data = _object(wrapped["object"])
    kind = _name(wrapped["type"]).removesuffix(OWNGATEWAY_DETAILS)
    at = instant(content.get("timestamp"), UTC)
    updated = [instant(data.get(name), UTC) for name in OWNGATEWAY_ORDERED_BY]
    return Said(
        id=_name(_number(content["event_id"])),
        type=_name(content["event_type"]),
        timestamp=at,
        data=data,
        object_type=kind,
        object_id=_number(data.get(f"{kind}_id")) or _number(data.get("id")),
        ordered_at=next((moment for moment in updated if moment is not None), None),
    )


def treezor(_values: Values, content: Content, zone: tzinfo) -> Said:
    """Read ``webhook, webhook_id, object_payload``.

    Only ``object_payload`` is signed. What stands outside must agree with it: the kind of the
    event and of the object, and where the payload names ids, ``object_id`` is one of them.
    ``webhook_id`` cannot be checked, so whoever holds a captured request may show it again
    under another one.
    """
    payload = _object(content["object_payload"])
    kind, number = _number(content.get("object")), _number(content.get("object_id"))
    [(plural, objects)] = [pair for pair in payload.items() if isinstance(pair[1], list)]
    known = treezor_kind(plural)
    members = [item for item in objects if isinstance(item, dict)]
    inside = [found for item in members if (found := _number(item.get(known.id_name)))]
    if number and inside and number not in inside:
        raise ValueError("the object outside is not the one that was signed")
    event = _name(content["webhook"])
    prefix = event.rpartition(".")[0]
    if {
        TREEZOR_PLURAL_OF_EVENT.get(prefix, plural),
        TREEZOR_PLURAL_OF_OBJECT.get(kind or "", plural),
    } != {plural}:
        raise ValueError("the kind outside is not the one that was signed")
    ticks = content.get("webhook_created_at")
    at = _at_seconds(ticks / _TREEZOR_TICKS_PER_S) if type(ticks) is int else None
    changed = [_changed_at(item, zone) for item in members]
    at = at or max((moment for moment in changed if moment is not None), default=None)
    return Said(
        id=_name(_number(content["webhook_id"])),
        type=event,
        timestamp=at,
        data=payload,
        object_type=kind or known.object or None,
        object_id=number or next(iter(inside), None),
        ordered_at=at,
    )


def _changed_at(item: Content, zone: tzinfo) -> datetime | None:
    dates = [instant(item.get(name), zone) for name in TREEZOR_DATES]
    return next((date for date in dates if date is not None), None)


def instant(value: object, zone: tzinfo | None) -> datetime | None:
    """Return a printed time in UTC, of *zone* where it names none; None where it is no time."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            if zone is None:
                return None  # whose it is cannot be guessed
            at = at.replace(tzinfo=zone)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _at_seconds(value: object) -> datetime | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _object(value: object) -> Content:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value or not _is_writable(value):
        raise ValueError("not a name")
    if len(value) > _TEXT_CHARS_MAX:
        raise ValueError("too long for a name")
    return value


def _number(value: object) -> str | None:
    """Return an id as text: providers write it as text in one version, as a number in the next."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and _is_writable(value) else None


def _is_writable(text: str) -> bool:
    """Return whether it can be written to a log or a table: no zero, no half of a pair."""
    try:
        return b"\x00" not in text.encode()
    except UnicodeEncodeError:
        return False


def _text(value: object, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's

"""Requests as a sender makes them, in any dialect: for the tests of those who receive."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

from payhooks.dialects import php_json, treezor_signature
from payhooks.receiver.dialects import DIALECTS, find
from payhooks.receiver.ways import Request

CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cloudevents": "application/cloudevents+json",
        "treezor": "text/plain",
    }
)
_OTHERWISE: Final = "application/json"
_TICKS_PER_S: Final = 10_000  # of Treezor's times

Json = dict[str, Any]


def body_of(  # noqa: PLR0913 - what an event has
    dialect: str, *, event_type: str, event_id: str, object_type: str, data: Json, at: datetime
) -> bytes:
    """Return the body of an event that happened at *at*, not signed yet.

    Raises:
        TypeError: There is no such dialect.

    """
    find(dialect)
    at = at.astimezone(UTC)
    seconds, text = int(at.timestamp()), at.isoformat(timespec="milliseconds")[:-6] + "Z"
    match dialect:
        case "standard":
            body: Json = {"type": event_type, "timestamp": text, "data": data}
        case "cloudevents":
            head = {"specversion": "1.0", "id": event_id, "source": "/tests", "type": event_type}
            body = {**head, "time": text, "datacontenttype": "application/json", "data": data}
        case "owlpay":
            head = {"uuid": event_id, "api_version": "1.0.0", "observation": event_type}
            body = {**head, "is_test": 1, "data": {object_type: {"updated_at": text, **data}}}
        case "stripe":
            head = {"id": event_id, "object": "event", "type": event_type}
            inner: Json = {"object": {"object": object_type, **data}}
            body = {**head, "created": seconds, "livemode": False, "data": inner}
        case "treezor":
            return _treezor(event_type, event_id, object_type, data, at)
        case "merchant-console":
            local = at.astimezone(ZoneInfo(DIALECTS[dialect].time_zone))
            inner = {"merchant": {"merch_key": "test"}, "object": {"type": object_type, **data}}
            head = {"type": "event", "event_triggered": f"{local:%Y-%m-%d %H:%M:%S}"}
            body = {**head, "event_type": event_type, "event_body": inner, "event_id": event_id}
        case "foloosi":
            transfer = {"transaction_no": event_id, "transaction_status": "success", **data}
            body = {"event": event_type, "data": {"transfer": transfer}}
        case _:  # owngateway and hyperswitch
            head = {"merchant_id": "test", "event_id": event_id, "event_type": event_type}
            inner = {"type": f"{object_type}_details", "object": {"updated": text, **data}}
            body = {**head, "content": inner, "timestamp": text}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def signed(dialect: str, body: bytes, secret: str, *, event_id: str, now: datetime) -> Request:
    """Return the request, signed at *now*.

    Raises:
        TypeError: There is no such dialect.
        VerificationError: It is no secret of this dialect.

    """
    request = find(dialect).way.sign(body, secret, message_id=event_id, now=now)
    kind = CONTENT_TYPES.get(dialect, _OTHERWISE)
    return Request(request.body, {"content-type": kind, **request.headers})


def _treezor(kind: str, event_id: str, object_type: str, data: Json, at: datetime) -> bytes:
    head = {
        "webhook": kind,
        "webhook_created_at": int(at.timestamp() * _TICKS_PER_S),
        "object_id": data.get(f"{object_type}Id", ""),
        "object": object_type,
    }
    return treezor_signature.unsigned(
        head=php_json.encode(json.dumps(head)).removesuffix("}"),
        payload=php_json.encode(json.dumps({f"{object_type}s": [data]})),
        # Its ids are UUIDs; equal for equal ids, as those are.
        webhook_id=str(uuid5(NAMESPACE_OID, event_id)),
    )

"""From receipts and expectations to what callers read."""

from base64 import b64encode
from collections.abc import Sequence

import msgspec

from payhooks import ids
from payhooks.api.views import View, time
from payhooks.control.receipts import Reprocessed, is_masked, shown_body, shown_headers
from payhooks.model.expectation import Expectation
from payhooks.model.receipt import Receipt


def summary(value: Receipt) -> View:
    """Return a receipt as lists have it."""
    return {
        "id": ids.to_text(ids.RECEIPT, value.id),
        "connector_id": ids.to_text(ids.CONNECTOR, value.connector_id),
        "received_at": time(value.received_at),
        "method": value.method,
        "verdict": value.verdict,
        "reason": value.reason,
        "answered": value.answered,
        "state": value.state,
        "detail": value.detail,
        "event": value.word,
        "object": _object(value.object_type, value.object_id),
        "despite_conflict": value.despite_conflict,
        "body_bytes": len(value.body),
        "body_sha256": value.body_sha256.hex(),
        "findings": [msgspec.structs.asdict(each) for each in value.findings],
    }


def receipt(value: Receipt, diagnosis: Sequence[str]) -> View:
    """Return a receipt as it is kept, but for signatures that somebody could use again."""
    body = shown_body(value)
    return {
        **summary(value),
        "query": value.query,
        "headers": shown_headers(value),
        "body": _text(body),
        "body_base64": b64encode(body).decode(),
        "masked": is_masked(value),
        "diagnosis": diagnosis,
    }


def reprocessed(value: Reprocessed, *, following: str | None) -> View:
    """Return what became of many that were to be read again; *following* is the next cursor."""
    return {
        "reprocessed": value.done,
        "unverified": value.unverified,
        "has_more": following is not None,
        "next": following,
    }


def overdue(value: Expectation) -> View:
    """Return an object that waits for too long."""
    return {
        "connector_id": ids.to_text(ids.CONNECTOR, value.connector_id),
        "object": _object(value.object_type, value.object_id),
        "provider_object": _object(value.heard_type, value.heard_id),
        "since": time(value.since),
        "looked_at_again": time(value.due_at),
    }


def _object(type_: str | None, id_: str | None) -> View | None:
    return None if type_ is None else {"type": type_, "id": id_}


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None

"""From our values to what callers read: plain dictionaries, one function per noun.

Raw JSON that we keep goes out as the bytes that came, so that ``1.0`` stays ``1.0``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from fastapi import Response

from payhooks import ids
from payhooks.control.deliveries import status_of
from payhooks.control.keys import NewKey
from payhooks.control.secrets import Revealed
from payhooks.control.statistics import Bucket
from payhooks.model.attempt import REASON_SENTENCES, Attempt
from payhooks.model.audit import ChainedAuditEntry
from payhooks.model.delivery import Delivery
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Replay
from payhooks.ports.reading import FeedEntry, StoredEvent

View = dict[str, object]


def reply(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return *value* as the JSON of an answer."""
    return Response(
        content=msgspec.json.encode(value),
        status_code=status,
        headers={"cache-control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def etag(version: int) -> dict[str, str]:
    """Return the header that says which version this is."""
    return {"etag": f'"{version}"'}


def time(at: datetime | None) -> str | None:
    """Return a time as RFC 3339 writes it: UTC, milliseconds."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def merchant(value: Merchant) -> View:
    """Return a merchant."""
    return {
        "id": ids.to_text(ids.MERCHANT, value.id),
        "name": value.name,
        "mode": value.mode,
        "reference": value.reference,
        "families": value.families,
        "provider_ids": dict(value.provider_ids),
        "card_numbers": value.card_numbers,
        "type_check": value.type_check,
        "custom_dialect": msgspec.to_builtins(value.custom_dialect),
        "sandbox_auto_capture": value.sandbox_auto_capture,
        "version": value.version,
        "created_at": time(value.created_at),
        "updated_at": time(value.updated_at),
    }


def endpoint(value: Endpoint) -> View:
    """Return an endpoint, without any secret."""
    key_id = value.signature.key_id
    authentication: View = {"type": value.authentication.type}
    if value.authentication.username is not None:
        authentication["username"] = value.authentication.username
    if value.authentication.name is not None:
        authentication["name"] = value.authentication.name
    signature: View = {"type": value.signature.type}
    if key_id is not None:
        signature["key_id"] = ids.to_text(ids.KEY, key_id)
    return {
        "id": ids.to_text(ids.ENDPOINT, value.id),
        "label": value.label,
        "url": value.url,
        "events": value.events,
        "status": value.status,
        "disabled_reason": value.disabled_reason,
        "dialect": value.dialect,
        "dialect_options": dict(value.dialect_options),
        "authentication": authentication,
        "signature": signature,
        "retry_policy": value.retry_policy or value.retry_delays_s,
        "ordering": value.ordering,
        "on_failed": value.on_failed,
        "rate_limit": value.rate_limit_per_s,
        "timeout_s": value.timeout_s,
        "headers": dict(value.headers),
        "listening": value.listening,
        "version": value.version,
        "created_at": time(value.created_at),
        "updated_at": time(value.updated_at),
    }


def secret(found: Revealed) -> View:
    """Return a secret in the clear."""
    return {
        "secret": found.text,
        "created_at": time(found.created_at),
        "expires_at": time(found.expires_at),
    }


def secrets(found: Sequence[Revealed]) -> View:
    """Return live secrets, newest first."""
    return {"data": [secret(each) for each in found]}


def event(value: Event, *, status: str | None = None, expunged: bool = False) -> View:
    """Return an event with its payload."""
    view: View = {
        "id": ids.to_text(ids.EVENT, value.id),
        "type": value.type,
        "family": value.family,
        "object": None
        if value.object_id is None
        else {"type": value.object_type, "id": value.object_id},
        "occurred_at": time(value.occurred_at),
        "created_at": time(value.created_at),
        "ordering_key": value.ordering_key,
        "metadata": None if value.metadata is None else msgspec.Raw(value.metadata),
        "data": msgspec.Raw(value.data),
        "expunged": expunged,
    }
    if status is not None:
        view["status"] = status
    return view


def stored_event(value: StoredEvent) -> View:
    """Return an event with what is known of its way."""
    return {
        **event(value.event, status=value.status, expunged=value.expunged),
        "deliveries": value.fan_out,
        "findings": [msgspec.structs.asdict(each) for each in value.findings],
    }


def delivery(value: Delivery) -> View:
    """Return a delivery."""
    return {
        "id": ids.to_text(ids.DELIVERY, value.id),
        "event_id": ids.to_text(ids.EVENT, ids.event_id_of(value.id)),
        "endpoint_id": ids.to_text(ids.ENDPOINT, value.endpoint_id),
        "event_type": value.event_type,
        "status": status_of(value),
        "dialect": value.dialect,
        "attempts_made": value.attempts_made,
        "due_at": time(value.due_at),
        "created_at": time(ids.made_at(value.id)),
        "delivered_at": time(value.delivered_at),
        "finished_at": time(value.finished_at),
        "reason": value.reason,
        "reason_text": None if value.reason is None else REASON_SENTENCES[value.reason],
        "replay_id": None if value.replay_id is None else ids.to_text(ids.REPLAY, value.replay_id),
    }


def attempt(value: Attempt) -> View:
    """Return an attempt with what was kept of the answer."""
    timing = value.timing
    return {
        "id": ids.attempt_text(value.delivery_id, value.fence, late=value.late),
        "fence": value.fence,
        "late": value.late,
        "at": time(value.at),
        "status": value.status,
        "reason": value.reason,
        "detail": value.detail,
        "timing_ms": {
            "dns": _ms(timing.dns_s),
            "connect": _ms(timing.connect_s),
            "tls": _ms(timing.tls_s),
            "wait": _ms(timing.wait_s),
            "total": _ms(timing.total_s),
        },
        "answer": {
            "headers": [list(header) for header in value.answer_headers],
            # Never trusted to be text: what is not UTF-8 is shown as such.
            "body": value.answer_body.decode("utf-8", "replace"),
            "truncated": value.answer_truncated,
        },
    }


def feed_entry(value: FeedEntry) -> View:
    """Return one entry of a feed."""
    return {
        "sequence": value.sequence,
        "delivery": delivery(value.delivery),
        "event": event(value.event, expunged=value.expunged),
    }


def key(value: ApiKey) -> View:
    """Return a key, without its text."""
    return {
        "id": ids.to_text(ids.KEY, value.id),
        "label": value.label,
        "scopes": value.scopes,
        "signing": value.signing,
        "hint": value.hint,
        "created_at": time(value.created_at),
        "expires_at": time(value.expires_at),
        "revoked_at": time(value.revoked_at),
    }


def new_key(value: NewKey) -> View:
    """Return a key with its text, the only time."""
    return {**key(value.key), "key": value.text}


def replay(value: Replay) -> View:
    """Return a replay and how far it is."""
    chosen = value.filter
    return {
        "id": ids.to_text(ids.REPLAY, value.id),
        "filter": {
            "endpoint_id": None
            if chosen.endpoint_id is None
            else ids.to_text(ids.ENDPOINT, chosen.endpoint_id),
            "event_types": chosen.event_types,
            "object_id": chosen.object_id,
            "reason": chosen.reason,
            "created_gte": time(chosen.created_gte),
            "created_lt": time(chosen.created_lt),
        },
        "include": value.include,
        "rate_per_s": value.rate_per_s,
        "state": value.state,
        "matched": value.matched,
        "queued": value.queued,
        "created_at": time(value.created_at),
        "finished_at": time(value.finished_at),
    }


def audit_entry(value: ChainedAuditEntry) -> View:
    """Return one entry of the audit log."""
    entry = value.entry
    return {
        "number": value.number,
        "at": time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "target": entry.target,
        "changes": msgspec.Raw(entry.changes),
        "request_id": entry.request_id,
        "ip": entry.ip,
        "hash": value.hash.hex(),
    }


def bucket(value: Bucket) -> View:
    """Return the counts of one step."""
    return {
        "at": time(value.at),
        "accepted": value.accepted,
        "delivered": value.delivered,
        "failed": value.failed,
        "attempts": value.attempts,
        "attempts_failed": value.attempts_failed,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 3)

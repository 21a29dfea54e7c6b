"""What dialects print of an event beside its data: derived, so equal on every attempt."""

import hashlib
from datetime import UTC, datetime
from typing import Final

import msgspec

from payhooks.dialects.reading import decode_members
from payhooks.ids import MERCHANT, delivery_id, to_text
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

encode_json: Final = msgspec.json.Encoder().encode


def happened_at(event: Event) -> datetime:
    """Return when it happened, else when it was accepted; in UTC."""
    return (event.occurred_at or event.created_at).astimezone(UTC)


def delivery_digest(event: Event, endpoint: Endpoint) -> bytes:
    """Return 32 bytes that belong to this delivery alone, for ids in a provider's form."""
    return hashlib.sha256(delivery_id(event.id, endpoint.number)).digest()


def iso_milliseconds(at: datetime) -> str:
    """Return a UTC time as ``2024-03-22T09:41:43.342Z``."""
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def iso_microseconds(at: datetime) -> str:
    """Return a UTC time as ``2024-03-22T09:41:43.342000Z``."""
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def merchant_id(merchant: Merchant, *, provided: str) -> str:
    """Return the provider's id that is kept as *provided*, else the operator's, else ours."""
    ids = dict(merchant.provider_ids)
    return ids.get(provided) or merchant.reference or to_text(MERCHANT, merchant.id)


def object_beside(event: Event, name: str) -> bytes | None:
    """Return the JSON object that the event's metadata has under *name*, as it is spelled.

    Anything but an object is None: it is the publisher's own, and not meant for the wire.
    """
    if event.metadata is None:
        return None
    found = decode_members(event.metadata).get(name)
    if found is None or not (spelled := bytes(found)).startswith(b"{"):
        return None
    return spelled

"""What a publisher says and is told, and what makes two of his words the same."""

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from payhooks.ids import EventId, MerchantId

_HASH_BYTES: Final = 16


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What a publisher says, checked."""

    type: str
    family: str
    data: bytes
    object_type: str | None = None
    object_id: str | None = None
    occurred_at: datetime | None = None
    ordering_key: str | None = None
    metadata: bytes | None = None
    idempotency_key: str | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: equal for every repetition of a key."""

    event_id: EventId
    type: str
    deliveries: int
    repeated: bool


def key_hash(merchant_id: MerchantId, key: str) -> bytes:
    """Return what an idempotency key is stored under: 16 bytes, apart for every merchant."""
    return _hash(merchant_id, key.encode())


def _hash(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big"))
        digest.update(part)
    return digest.digest()[:_HASH_BYTES]


def content_hash(said: Publication) -> bytes:
    """Hash what makes two publications the same word: all of it but the key."""
    occurred_at = "" if said.occurred_at is None else said.occurred_at.isoformat()
    return _hash(
        said.type.encode(),
        said.family.encode(),
        said.data,
        (said.object_type or "").encode(),
        (said.object_id or "").encode(),
        occurred_at.encode(),
        b"\x00" if said.ordering_key is None else b"\x01" + said.ordering_key.encode(),
        said.metadata or b"",
    )

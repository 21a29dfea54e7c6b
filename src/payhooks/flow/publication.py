"""What a publisher says and is told, and what makes two of his words the same."""

import hashlib
from datetime import datetime
from typing import Final

import msgspec

from payhooks.ids import EventId, MerchantId
from payhooks.model.event import Finding
from payhooks.ports.receiving import Conclusion

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
    findings: tuple[Finding, ...] = ()  # what there is to say of it that does not refuse it
    # Of what a connector told: 16 bytes that make two the same word, and its receipt's end.
    content: bytes | None = None
    conclusion: Conclusion | None = None


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: equal for every repetition of a key."""

    event_id: EventId
    type: str
    deliveries: int
    repeated: bool


def key_hash(merchant_id: MerchantId, key: str) -> bytes:
    """Return what an idempotency key is stored under: 16 bytes, apart for every merchant."""
    # The id has a fixed length, so no two pairs can run together into the same bytes.
    return hashlib.sha256(merchant_id + key.encode()).digest()[:_HASH_BYTES]


def content_hash(said: Publication) -> bytes:
    """Hash what makes two publications the same word: all of it but the key.

    And but the findings: they are our word, which may change while a key is kept.
    """
    if said.content is not None:
        return said.content
    # MessagePack frames each member, so no two contents can run together either.
    framed = msgspec.msgpack.encode(
        (
            said.type,
            said.family,
            said.data,
            said.object_type,
            said.object_id,
            said.occurred_at,
            said.ordering_key,
            said.metadata,
        )
    )
    return hashlib.sha256(framed).digest()[:_HASH_BYTES]

"""The audit log: who changed what, hash-chained per merchant so that edits show."""

import hashlib
from datetime import datetime

import msgspec

from payhooks.ids import MerchantId

GENESIS = bytes(32)  # what the first entry of a chain follows


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain was when somebody looked: its last entry then."""

    number: int
    hash: bytes


BEGINNING = Mark(number=0, hash=GENESIS)


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, before it has its place in the chain."""

    merchant_id: MerchantId | None  # None: the installation itself
    at: datetime
    actor: str  # "key:key_…", "user:usr_…", "operator", "cli", "system"
    action: str  # "endpoint.created", "delivery.retried" …
    target: str  # the printed id of what was changed
    changes: bytes  # JSON object: member → [before, after]; secrets never in it
    request_id: str | None
    ip: str | None


class ChainedAuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change in its place."""

    number: int  # from 1, without a gap
    entry: AuditEntry
    hash: bytes


def chain(previous: bytes, number: int, entry: AuditEntry) -> bytes:
    """Return the hash that ties *entry* to everything before it.

    SHA-256 over the previous hash and the entry as a JSON array, so no two different
    entries can run together into the same bytes.
    """
    fields = [
        number,
        None if entry.merchant_id is None else entry.merchant_id.hex(),
        entry.at.isoformat(),
        entry.actor,
        entry.action,
        entry.target,
        entry.changes.decode(),
        entry.request_id,
        entry.ip,
    ]
    return hashlib.sha256(previous + msgspec.json.encode(fields)).digest()

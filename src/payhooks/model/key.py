"""API keys: who may call, for how long, and what.

A key is shown once. It is stored as a SHA-256: it has 256 random bits, so nothing slower is
needed. A Source Key (``signing``) must sign, so its text is sealed beside the hash.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import KeyId, MerchantId


class Scope(StrEnum):
    """What a key may do. Every route declares what it needs."""

    EVENTS_WRITE = "events:write"
    EVENTS_READ = "events:read"
    ENDPOINTS_READ = "endpoints:read"
    ENDPOINTS_WRITE = "endpoints:write"
    SECRETS_READ = "secrets:read"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_WRITE = "deliveries:write"  # retry, cancel, replay
    CONNECTORS_READ = "connectors:read"  # and what they brought
    CONNECTORS_WRITE = "connectors:write"  # and have receipts read again
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    AUDIT_READ = "audit:read"
    MERCHANT_READ = "merchant:read"
    MERCHANT_WRITE = "merchant:write"  # remove payloads; settings are the operator's
    TEAM_READ = "team:read"  # users and invitations of the merchant
    TEAM_WRITE = "team:write"
    OPERATOR = "operator"  # everything, for every merchant


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """One key, without its text."""

    id: KeyId
    merchant_id: MerchantId | None  # None: an operator's key
    label: str
    digest: bytes  # SHA-256 of the text
    scopes: tuple[Scope, ...]
    signing: bool  # a Source Key: may be chosen to sign an endpoint's deliveries
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    hint: str  # the last four characters, to tell keys apart

"""A connector: a provider account that sends webhooks to us for a merchant."""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import ConnectorId, MerchantId


class ConnectorStatus(StrEnum):
    """Whether it is heard. From outside, all but an active one look as if there were none."""

    ACTIVE = "active"
    DISABLED = "disabled"
    DELETED = "deleted"  # its name is free again; what it brought stays


class Connector(msgspec.Struct, frozen=True, kw_only=True):
    """One provider account. Its secrets are sealed beside it, owned by its id."""

    id: ConnectorId
    merchant_id: MerchantId
    name: str  # the last part of the URL to post to; one per merchant
    dialect: str  # the provider's language, as the registry of connectors calls it
    status: ConnectorStatus
    version: int
    created_at: datetime
    updated_at: datetime
    options: tuple[tuple[str, str], ...] = ()  # choices within its language, by name
    # Patterns of what is heard, in the provider's words; none: all. The rest is acknowledged.
    events: tuple[str, ...] = ()

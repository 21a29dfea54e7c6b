"""A merchant: the tenant. Owns endpoints, connectors, keys and events."""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import MerchantId
from payhooks.model.custom_dialect import CustomDialect


class Mode(StrEnum):
    """Sandbox money or real money; fixed for the life of a merchant."""

    SANDBOX = "sandbox"
    LIVE = "live"


class CardNumbers(StrEnum):
    """What is done with card numbers found in published events."""

    REPORT = "report"  # stored, delivered, counted, alarmed
    MASK = "mask"
    REJECT = "reject"


class TypeCheck(StrEnum):
    """What publishing an unknown event type does."""

    STRICT = "strict"
    WARN = "warn"
    OFF = "off"


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant in one mode."""

    id: MerchantId
    name: str
    mode: Mode
    reference: str | None  # the operator's own id, accepted wherever {m} stands; unique
    families: tuple[str, ...]  # whose words it uses, for its picker; empty: all
    provider_ids: tuple[tuple[str, str], ...]  # merch_key …, for dialects that print one
    card_numbers: CardNumbers
    type_check: TypeCheck
    account_id: bytes | None  # what joins a sandbox and a live twin
    version: int  # counts edits; the ETag
    created_at: datetime
    updated_at: datetime
    # Since when it uses these families; none: since nobody knows when, at the latest its last edit.
    families_since: datetime | None = None
    custom_dialect: CustomDialect | None = None  # what its endpoints with dialect custom speak
    sandbox_auto_capture: bool = True  # whether scenarios capture what was authorised by themselves

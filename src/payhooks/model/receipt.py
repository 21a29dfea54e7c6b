"""A receipt: one inbound request from a connector, as it was kept, and what became of it."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from payhooks.ids import ConnectorId, MerchantId, ReceiptId, made_at
from payhooks.model.event import Finding

# The method under which the answer to a question of ours is kept.
ASKED: Final = "ASKED"


class Verdict(StrEnum):
    """Whose request it is. Decided once, on the raw bytes."""

    VERIFIED = "verified"
    FETCH = "fetch"  # the provider signs nothing: what it points at is fetched from it
    UNVERIFIED = "unverified"


class ReceiptState(StrEnum):
    """How far its processing is."""

    RECEIVED = "received"  # stored, not read yet
    PROCESSED = "processed"  # read; what it had to tell was told with this
    DUPLICATE = "duplicate"  # the provider had said so before
    CONFLICTING = "conflicting"  # said otherwise under the same id: a person decides
    IGNORED = "ignored"  # the connector does not hear such events
    UNMAPPED = "unmapped"  # verified, and nothing is known of the event
    UNDECODABLE = "undecodable"  # verified, and it cannot be read
    REFUSED = "refused"  # read, and what it would tell is none that the merchant takes
    QUARANTINED = "quarantined"  # not verified: kept for a look, within bounds


# What a person may have read again, once the secret, the decoder or the map is mended.
REPROCESSABLE = frozenset(
    {
        ReceiptState.CONFLICTING,
        ReceiptState.IGNORED,
        ReceiptState.UNMAPPED,
        ReceiptState.UNDECODABLE,
        ReceiptState.REFUSED,
        ReceiptState.QUARANTINED,
    }
)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or an answer to one of ours. All but state and what goes with it stays."""

    id: ReceiptId
    merchant_id: MerchantId
    connector_id: ConnectorId
    method: str
    query: str
    headers: tuple[tuple[str, str], ...]  # lower case, without credentials
    body: bytes  # as it came; where card data was found, the masked copy
    body_sha256: bytes  # of the body as it came
    verdict: Verdict
    answered: int  # HTTP status
    reason: str | None = None  # why it is not verified, in words
    findings: tuple[Finding, ...] = ()  # card data, by place; never a number
    state: ReceiptState = ReceiptState.RECEIVED
    detail: str | None = None  # of the state, in words
    word: str | None = None  # the event in the provider's words
    object_type: str | None = None  # of the provider's object; both or neither
    object_id: str | None = None
    # A person has said that this conflicting one is to be told as well.
    despite_conflict: bool = False
    put_back_at: datetime | None = None  # when a person had it read again, the last time

    @property
    def is_answer(self) -> bool:
        """Whether its provider was asked for it."""
        return self.method == ASKED

    @property
    def received_at(self) -> datetime:
        """When it came, to the millisecond."""
        return made_at(self.id)

    @property
    def tried_since(self) -> datetime:
        """From when on it is tried: since it came, or since a person had it read again."""
        return self.put_back_at or self.received_at

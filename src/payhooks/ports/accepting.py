"""What accept asks of the store: one statement that makes events durable."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from payhooks.errors import InvalidError
from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId
from payhooks.model.connector import Connector
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event, Finding
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret
from payhooks.ports.receiving import Conclusion


class PlannedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that accept shall make beside the event."""

    id: DeliveryId
    endpoint_id: EndpointId
    order_key: bytes | None  # 16 bytes; set: born blocked, a worker promotes the first
    dialect: str
    dialect_version: int
    lease_s: float | None  # None: hand-off is not wanted; else how long the lease shall last


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One event at the door. Keys are distinct inside a batch: flow collapses equal ones."""

    event: Event
    routing_version: int  # of the merchant, as fan-out saw it
    idempotency: bytes | None  # 16 bytes: hash of merchant and key
    content: bytes  # 16 bytes: hash of what the caller said
    deliveries: tuple[PlannedDelivery, ...]
    findings: tuple[Finding, ...] = ()  # of the first to come, kept with the event
    # Of the receipt that tells it: written in the same transaction, where the event is accepted.
    conclusion: Conclusion | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """Stored now. ``leased`` are those handed off: leased to the caller under fence 1."""

    leased: tuple[DeliveryId, ...]


class Repeated(msgspec.Struct, frozen=True, kw_only=True):
    """The key was here before: the first answer, and what it was given for."""

    event_id: EventId
    event_type: str
    content: bytes
    deliveries: int


class StaleRouting(msgspec.Struct, frozen=True):
    """The merchant's routing changed or is changing: load it again, plan again."""


class StaleHistory(msgspec.Struct, frozen=True):
    """More was heard of an object than its conclusion was drawn from; nothing was stored."""


class KeyBusy(msgspec.Struct, frozen=True):
    """Another transaction holds the key and has not finished in LOCK_TIMEOUT_S."""


class Refused(msgspec.Struct, frozen=True):
    """A value of the arrival is none that this store can hold; those beside it are stored."""

    error: InvalidError


Acceptance = Accepted | Repeated | StaleRouting | StaleHistory | KeyBusy | Refused


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """All that fan-out and send must know of a merchant, at one version.

    Every change to the merchant, its endpoints, secrets or keys raises the version.
    """

    merchant: Merchant
    version: int
    endpoints: tuple[Endpoint, ...]  # without deleted ones, by number
    secrets: tuple[SealedSecret, ...]  # not expired at load
    keys: tuple[ApiKey, ...]  # neither revoked nor expired at load
    connectors: tuple[Connector, ...] = ()  # without deleted ones


class AcceptStore(Protocol):
    """Durable acceptance."""

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """Store a batch and say per arrival what became of it; an error is one of all.

        Committed and on the disk when it returns. A delivery is leased to *owner* at once
        when that was wanted and its lane is open, closed-circuit, unlimited and has nothing
        due; else it is scheduled (or blocked) and a wake is left for its lane. Sending the
        same batch again after an error is safe: rows that are ours already count as new,
        whatever has changed since, and what ran out or is over meanwhile is not leased again.

        Raises:
            UnavailableError: Nothing was stored.
            OutcomeUnknownError: Stored or not; send the same batch again.

        """
        ...

    async def routing_version(self, merchant_id: MerchantId) -> int | None:
        """Return the version that the merchant's routing has now; None where there is none."""
        ...

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        """Return the routing of the merchants that exist."""
        ...

"""What the control plane asks of the store: one kind of write, and plain reads.

Every change a person or program makes is one ``Change``: what to write, which version it was
based on, its audit entry and what it announces, in one transaction.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from payhooks.ids import DeliveryId, EndpointId, KeyId, MerchantId, ReplayId
from payhooks.model.audit import AuditEntry, ChainedAuditEntry, Mark
from payhooks.model.connector import Connector
from payhooks.model.endpoint import Endpoint
from payhooks.model.event_type import EventType
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.replay import Replay
from payhooks.model.secret import SealedSecret
from payhooks.ports.sweeping import Announcement


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the control plane; members that are None or empty change nothing."""

    audit: AuditEntry
    merchant: Merchant | None = None  # version 1 inserts; else updates version - 1
    endpoint: Endpoint | None = None  # likewise; its number came from ``next_number``
    lease_s: float | None = None  # how long its lane leases from now on; with each endpoint
    # The endpoint has another URL: its lane forgets rest, circuit and failures, as on resuming.
    moved: bool = False
    # The endpoint lets go of objects whose head failed: none waits for a person any more.
    unblocked: bool = False
    # The Source Key that the endpoint chooses in this change.
    signer: KeyId | None = None
    secrets: tuple[SealedSecret, ...] = ()  # inserted, or replaced where the id exists
    # Of a rotation: the ids of all secrets that the owner of the new one had when it was read.
    secrets_before: frozenset[bytes] | None = None
    # Given their end where they are still there: never inserted, and never an end that is later.
    ending_secrets: tuple[SealedSecret, ...] = ()
    forget_secrets: tuple[bytes, ...] = ()  # ids, removed at once
    connector: Connector | None = None  # version as for merchant
    key: ApiKey | None = None  # inserted, or replaced where the id exists
    replay: Replay | None = None  # inserted, or replaced while it runs, but for how far it is
    event_type: EventType | None = None  # an operator's own; version as for merchant
    announcements: tuple[Announcement, ...] = ()

    def __post_init__(self) -> None:
        assert (self.lease_s is not None) == (self.endpoint is not None)
        assert self.signer is None or self.endpoint is not None
        assert self.secrets_before is None or len(self.secrets) == 1


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: newest first, after the last id seen."""

    limit: int
    after: bytes | None = None


class Cancelled(StrEnum):
    """What became of a wish to cancel a delivery."""

    CANCELLED = "cancelled"
    UNBLOCKED = "unblocked"  # it had failed and held its object up; now the next may go
    IN_FLIGHT = "in_flight"  # being sent right now
    FINAL = "final"  # over already
    UNKNOWN = "unknown"


class Requeue(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery to send again, or for the first time where none was made."""

    delivery_id: DeliveryId
    merchant_id: MerchantId
    endpoint_id: EndpointId
    event_type: str
    order_key: bytes | None
    dialect: str
    dialect_version: int


class LaneBacklog(msgspec.Struct, frozen=True, kw_only=True):
    """What of a replay is undone in one lane."""

    endpoint_id: EndpointId
    undone: int
    # Of these, what a delivery that is made now has to wait for: not what waits for a retry
    # later, and not what it holds up.
    ahead: int


class ControlStore(Protocol):
    """Configuration at rest."""

    async def apply(self, change: Change) -> None:
        """Write *change* whole, raise the merchant's routing version, chain its audit entry.

        An endpoint's status sets its lane: paused, disabled and deleted stop it in this one
        row whatever waits; becoming active again starts afresh: due at once, no rest, closed
        circuit, no spell of failure. Other edits leave a rest alone. History of subscriptions
        is kept by routing version.

        Raises:
            StaleVersionError: Merchant, endpoint, connector or event type has another version
                than the change is based on, or the owner other secrets. Read again.
            WrongStateError: The reference is taken by another merchant, the connector's name by
                another of the merchant's, the event type exists already, or the replay is over;
                the signer is revoked, or the key to be revoked signs for an endpoint.

        """
        ...

    async def next_number(self, merchant_id: MerchantId) -> int:
        """Take the next endpoint number of the merchant; never given twice."""
        ...

    async def merchant(self, id_or_reference: MerchantId | str) -> Merchant | None:
        """Return the merchant with this id or reference."""
        ...

    async def merchants(self, window: Window) -> list[Merchant]:
        """Return merchants, newest first."""
        ...

    async def endpoint(self, merchant_id: MerchantId, endpoint_id: EndpointId) -> Endpoint | None:
        """Return the endpoint; a deleted one too."""
        ...

    async def endpoints(self, merchant_id: MerchantId, window: Window) -> list[Endpoint]:
        """Return endpoints that are not deleted, newest first."""
        ...

    async def secrets(self, merchant_id: MerchantId, owner_id: bytes) -> list[SealedSecret]:
        """Return the secrets of an endpoint, merchant or key, newest first; expired ones too."""
        ...

    async def secrets_sealed_under_other(self, key_id: bytes, *, limit: int) -> list[SealedSecret]:
        """Return secrets whose ``sealed`` does not begin with *key_id*, for re-sealing."""
        ...

    async def reseal(self, old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        """Replace each sealed text by the new one where it is still the old; return how many."""
        ...

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256, revoked or expired ones too."""
        ...

    async def keys(self, merchant_id: MerchantId | None, window: Window) -> list[ApiKey]:
        """Return keys of the merchant (None: of the operator), newest first."""
        ...

    async def audit(
        self, merchant_id: MerchantId | None, *, after: int, limit: int
    ) -> list[ChainedAuditEntry]:
        """Return entries with a greater number, oldest first."""
        ...

    async def audit_head(self, merchant_id: MerchantId | None) -> Mark:
        """Return the last entry of a chain as it is kept beside the entries; else the beginning."""
        ...

    async def audit_chains(self) -> list[MerchantId | None]:
        """Return whose chains there are, for ``audit-log verify``."""
        ...

    async def audit_latest(
        self, merchant_id: MerchantId | None, *, before: int | None, limit: int
    ) -> list[ChainedAuditEntry]:
        """Return entries newest first, below a number where given."""
        ...

    async def cancel(
        self, merchant_id: MerchantId, delivery_id: DeliveryId, audit: AuditEntry
    ) -> Cancelled:
        """Cancel one waiting delivery; the audit entry is written where something changed."""
        ...

    async def requeue(self, items: Sequence[Requeue], *, audit: AuditEntry | None) -> int:
        """Put deliveries (back) on their way with a fresh budget of attempts.

        One that is undone already is made due now instead of twice. Delivered ones keep their
        first ``delivered_at``. An ordered one comes last of its object, except that one which
        holds its object up goes first and frees it. ``fan_out`` of the event is not changed.
        Nothing is put where the event is gone or expunged or the endpoint is deleted, and what
        is being sent or is blocked is left alone. Returns how many rows were put or hastened;
        the audit entry is written if any.
        """
        ...

    async def repair(self, items: Sequence[Requeue], *, audit: AuditEntry) -> int:
        """Make deliveries that were lost, as ``requeue`` does; return how many.

        Those that cannot be sent any more are written down as cancelled: the endpoint is
        deleted, or the event expunged. Of an event that is gone there is nothing to write.
        """
        ...

    async def expunge(self, merchant_id: MerchantId, event_id: bytes, audit: AuditEntry) -> bool:
        """Remove an event's data, metadata and kept bodies; its undone deliveries are cancelled.

        Those being sent right now too: what their workers tell of them comes late, and is kept
        without the answer, which may quote what it was sent.
        Returns False where there is no such event. The event itself stays, and says so.
        """
        ...

    async def replay(self, merchant_id: MerchantId, replay_id: ReplayId) -> Replay | None:
        """Return the job."""
        ...

    async def replays(self, merchant_id: MerchantId, window: Window) -> list[Replay]:
        """Return jobs, newest first."""
        ...

    async def claim_replays(self, *, owner: int, limit: int, for_s: float) -> list[Replay]:
        """Take jobs that nobody holds, for so long; one owner at a time advances one.

        Those that run; and those that are cancelled, while what waits of them is not taken back.
        Merchants in turn, and of one those first that nobody has held for longest: with more of
        them than are held at once, each has its turn, and nobody waits for all of another's.
        """
        ...

    async def advance_replay(
        self, replay: Replay, *, after: Replay, items: Sequence[Requeue], bulk: bool
    ) -> bool:
        """Requeue *items* and write how far the job is and its count in one transaction.

        Returns False, and does nothing, where the job is over, or its cursor and count are not
        those of *after* any more: a slice whose answer was lost is not sent twice, nor one that
        comes late. Each slice with items counts them.
        """
        ...

    async def replay_backlog(self, replay_id: ReplayId) -> list[LaneBacklog]:
        """Return per lane how many deliveries of the job are undone, by endpoint."""
        ...

    async def cancel_replay_backlog(
        self, merchant_id: MerchantId, replay_id: ReplayId, *, limit: int
    ) -> int:
        """Take the job's waiting deliveries back to how they ended before; return how many.

        At most *limit*, so that it takes no longer where more wait: call it until nothing is left.
        Those that had never been sent before end cancelled. One that had held its object up
        holds it up again, where its endpoint is still ordered so.
        """
        ...

    async def event_types(self) -> list[EventType]:
        """Return the operator's own event types, by family and name."""
        ...

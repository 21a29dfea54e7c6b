"""What the sweeper asks of the store: slices of upkeep, each small, each repeatable."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from payhooks import limits
from payhooks.ids import DeliveryId, EndpointId, MerchantId


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """A lease that ran out and was taken back."""

    delivery_id: DeliveryId
    merchant_id: MerchantId
    endpoint_id: EndpointId
    poisoned: bool  # the third time that it was out alone: the delivery is failed now


class FailingLane(msgspec.Struct, frozen=True, kw_only=True):
    """A lane with nothing but failure."""

    merchant_id: MerchantId
    endpoint_id: EndpointId
    failing_s: float
    warned: int  # how many warnings went out for this spell


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """An event of family payhooks that a change made due; published after the change."""

    id: bytes  # the idempotency key of its publication
    merchant_id: MerchantId
    type: str  # webhook.created …
    object_type: str
    object_id: str
    data: bytes


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process that sends, as it last reported."""

    owner: int
    seen_s_ago: float
    version: str


# Begins the words of a durability that is less than what 202 promises.
DEGRADED: Final = "degraded: "


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the store fares, as one look tells."""

    durability: str  # "fsync", "synchronous_standby", or "degraded: …" in words
    clock_skew_s: float  # our clock minus the store's
    schema_version: int
    workers: tuple[Worker, ...]
    writable: bool = True  # False: it refuses whatever is to be stored, until somebody acts

    @property
    def degraded(self) -> bool:
        """Whether 202 promises less than it should."""
        return self.durability.startswith(DEGRADED)

    @property
    def clock_differs(self) -> bool:
        """Whether our clock is too far from the store's to make ids and signatures with."""
        return abs(self.clock_skew_s) > limits.CLOCK_SKEW_S_MAX


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """The work that waits, for metrics."""

    states: tuple[tuple[str, int], ...]  # of queue rows, by state
    oldest_s: float  # age of the oldest delivery that is due and unpaused; 0 if none
    endpoints: tuple[tuple[str, int], ...]  # by status
    circuits_open: int


class SweepStore(Protocol):
    """Upkeep. Every call does at most one slice and says how much it did."""

    async def expire(self, *, limit: int) -> list[Expired]:
        """Take back leases that ran out; records an ``abandoned`` attempt for each fence.

        The object of one that is set aside as poison waits for a person where its endpoint says so.
        """
        ...

    async def mend_lanes(self, *, limit: int, after: EndpointId | None) -> "Mended":
        """Derive lanes anew; a lane that would have been looked at too late counts as drifted.

        Objects that an endpoint holds up though it blocks no more are freed, which is no drift: a
        delivery that failed while it did may be settled after the edit.
        """
        ...

    async def cancel_orphans(self, *, limit: int) -> int:
        """Cancel undone deliveries of deleted endpoints; return how many."""
        ...

    async def retire(self, *, before: datetime, limit: int) -> int:
        """Purge what is older, whole events only; undone deliveries that old are cancelled.

        Of each kind (events, keys, answers …) so much goes in each slice, so that none waits for
        the others to end; a store whose transactions keep others waiting counts deliveries with
        their events. Returns how many rows or partitions went; 0 when nothing is left to do.
        """
        ...

    async def failing_lanes(self, *, for_s: float, limit: int) -> list[FailingLane]:
        """Return open lanes with nothing but failure for at least *for_s*."""
        ...

    async def warned(self, endpoint_id: EndpointId, *, warnings: int) -> None:
        """Note that so many warnings went out for the lane's spell of failure."""
        ...

    async def silent_listeners(self, *, for_s: float) -> list[tuple[MerchantId, EndpointId]]:
        """Return listening endpoints whose stream has given no sign of life for *for_s*."""
        ...

    async def announcements(self, *, limit: int, skip: int = 0) -> list[Announcement]:
        """Return announcements not yet published, oldest first, without the first *skip*."""
        ...

    async def announced(self, ids: Sequence[bytes]) -> None:
        """Forget announcements that are published."""
        ...

    async def heartbeat(self, *, owner: int, version: str) -> None:
        """Report that this process is alive; rows unseen for an hour are dropped."""
        ...

    async def health(self) -> Health:
        """Return how the store fares."""
        ...

    async def pending(self) -> Pending:
        """Return the work that waits. Counts rows: call it every 15 s, not per request."""
        ...


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """What one slice of lane mending found."""

    looked: int
    drifted: int  # must be 0; counted as a metric and an alarm
    last: EndpointId | None  # go on after this one; None: all lanes were looked at

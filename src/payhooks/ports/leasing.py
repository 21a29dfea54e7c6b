"""What workers ask of the store: deliveries to attempt, and word of how lanes fare."""

from collections.abc import Sequence
from enum import Enum, StrEnum
from typing import Protocol

import msgspec

from payhooks.ids import DeliveryId, EndpointId, MerchantId, ReplayId
from payhooks.model.event import Event


class Leased(msgspec.Struct, frozen=True, kw_only=True):
    """The right to attempt one delivery, with all that an attempt needs of the store."""

    id: DeliveryId
    endpoint_id: EndpointId
    merchant_id: MerchantId
    event: Event
    fence: int
    attempts_made: int
    lease_s: float  # from when the statement ran; count from before it was sent
    order_key: bytes | None
    dialect: str
    dialect_version: int
    replay_id: ReplayId | None
    replay_bulk: bool | None  # True: sent again by a job, False: by hand, None: not a replay
    rendered: bytes | None  # the body of earlier attempts; None before the first failure
    routing_version: int  # the merchant's now; a cached routing that is older is reloaded
    lane_failing: bool  # nothing but failure lately: a success must be reported
    lane_probe: bool  # the circuit is half open and this is the probe
    probation: bool = False  # as many processes died with it as PROBATION_AFTER says, or more


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What one look brought."""

    leased: tuple[Leased, ...]  # per lane the longest due first
    look_again_s: float | None  # until the next open lane is due; None: nothing waits


class Trial(Enum):
    """Which deliveries on probation a look may bring, beside those that are not."""

    NONE = "none"
    TOGETHER = "together"  # PROBATION_TOGETHER_MAX of those that are not to go alone yet
    ALONE = "alone"  # one of those that are to go alone


class LaneNews(StrEnum):
    """What a worker tells of a lane."""

    FAILING = "failing"  # a failure where none was on record
    RECOVERED = "recovered"  # a success: closes the circuit and ends the rest it brought
    RESTED = "rested"  # Retry-After: nothing is due before rest_s is over
    TRIPPED = "tripped"  # the circuit opened (again): rest, then one probe


class LaneReport(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of news. A rest only ever lengthens one that is running."""

    merchant_id: MerchantId
    endpoint_id: EndpointId
    news: LaneNews
    rest_s: float = 0.0


class LeaseStore(Protocol):
    """The schedule. Only these methods and the control plane write lanes."""

    async def lease(  # noqa: PLR0913 - whose look, and all that bounds what it brings
        self,
        *,
        owner: int,
        lanes_max: int,
        per_lane_max: int,
        skip: Sequence[EndpointId],
        only: EndpointId | None = None,
        trial: Trial = Trial.NONE,
    ) -> Lease:
        """Fold wakes into lanes, promote heads of ordered objects, lease what is due.

        Lanes are taken longest due first, each gives at most *per_lane_max* deliveries (one
        while its circuit is half open; as many as its rate allows), and none of *skip*,
        which have no room here. While a probe is leased its lane rests, so that nothing
        starts a second. What is on probation comes as *trial* says, from the first lanes that
        have some due, and else stays where it is while others pass it. With *only*, that one
        lane, if it is of a listening endpoint, which no worker takes, whatever its deliveries
        went through; asking counts as a sign of life.

        Raises:
            UnavailableError: Nothing is known to be leased; what was runs out by itself.

        """
        ...

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """Write news of lanes; may wait for their locks, in order of id."""
        ...

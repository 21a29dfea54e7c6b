"""What this process knows of a lane: what is under way, what waits, how it fares.

The store has the last word on everything but the cap; this is memory that a restart forgets.
"""

from random import Random
from typing import TYPE_CHECKING, Final

from payhooks import limits
from payhooks.clock import Clock
from payhooks.dialects.registry import DIALECTS
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.delivery import Trigger
from payhooks.policy.breaker import CLOSED, Breaker, after_failure, after_success
from payhooks.policy.classify import Verdict
from payhooks.ports.leasing import LaneNews, LaneReport, Leased
from payhooks.ports.transport import UnderWay

if TYPE_CHECKING:
    from payhooks.worker.rounds import Round

# Longer than disabling an endpoint takes. Where it fails the receiver is asked again after it.
DISABLING_S_MAX: Final = 5.0


class Held:
    """A delivery leased to this process, and since when: it waits for its turn, then is sent."""

    __slots__ = ("lane", "leased", "over_s", "taken_at_s", "under_way", "unproven")
    under_way: UnderWay | None

    def __init__(self, leased: Leased, lane: "Lane", taken_at_s: float) -> None:
        self.leased = leased
        self.lane = lane
        self.taken_at_s = taken_at_s
        self.under_way = None
        self.over_s: float | None = None  # when its request times out; None: none has begun
        self.unproven = False  # it was begun as one of the unproven

    @property
    def ends_s(self) -> float:
        """When its request must be over, by this process's clock: then it is written down."""
        return self.taken_at_s + self.leased.lease_s - limits.LEASE_MARGIN_S


class Lane:
    """One endpoint as this process sees it."""

    __slots__ = (
        "breaker",
        "dialect",
        "endpoint_id",
        "failing",
        "in_flight",
        "in_flight_max",
        "merchant_id",
        "proven",
        "queued_in",
        "rested",
        "resting_until_s",
        "suspect",
        "waiting",
    )

    def __init__(self, endpoint_id: EndpointId, merchant_id: MerchantId) -> None:
        self.endpoint_id = endpoint_id
        self.merchant_id = merchant_id
        # No deque: even an empty one takes 760 bytes, and there is a lane for every endpoint.
        self.waiting: list[Held] = []
        self.in_flight = 0
        self.dialect = ""
        self.in_flight_max = limits.IN_FLIGHT_PER_LANE  # its dialect's, once it has begun to speak
        self.queued_in: Round | None = None  # where it has its turn, or stands aside
        self.proven = False  # its last outcome here was a success
        self.suspect = False  # its last outcome, here or as the store knows it, was a failure
        self.failing = False  # the store was told so
        self.breaker: Breaker = CLOSED
        self.resting_until_s = 0.0
        self.rested = False  # a rest has just begun: what waits in memory has to wait in the store

    @property
    def cap(self) -> int:
        """How many requests it may have under way."""
        if self.proven:
            return self.in_flight_max
        return min(self.in_flight_max, limits.IN_FLIGHT_PER_UNPROVEN_LANE)

    def speak(self, dialect: str) -> None:
        """Have the cap of the dialect that is spoken from now on."""
        self.dialect = dialect
        known = DIALECTS.get(dialect)
        # One that is installed with other processes only is found missing when it is to write.
        self.in_flight_max = known.in_flight_max if known else limits.IN_FLIGHT_PER_LANE

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not self.waiting and not self.in_flight

    @property
    def waiting_max(self) -> int:
        """How many may wait in memory; more are better left where any process finds them."""
        return limits.WAITING_PER_LANE_MAX if self.proven else limits.IN_FLIGHT_PER_LANE

    @property
    def full(self) -> bool:
        """Leasing more of it would not make it faster."""
        return len(self.waiting) >= self.waiting_max // 2

    @property
    def wants_more(self) -> bool:
        """It was full, maybe, and this very moment it has half of that left."""
        return len(self.waiting) == self.waiting_max // 4


def judge(  # noqa: PLR0913 - the lane, what came of it, and the two sources
    lane: Lane, leased: Leased, verdict: Verdict, trigger: Trigger, *, clock: Clock, random: Random
) -> list[LaneReport]:
    """Move *lane* by one settled outcome and return what the store must hear of it."""
    news: list[LaneReport] = []
    if trigger is Trigger.SUCCEED:
        # Told at the first success here too: another process may have seen it fail and died.
        if not lane.proven or lane.failing or leased.lane_failing or leased.lane_probe:
            news.append(_report(leased, LaneNews.RECOVERED))
        lane.proven, lane.failing, lane.breaker = True, False, after_success(lane.breaker)
        lane.suspect = False
        lane.resting_until_s = 0.0
    elif verdict.counts_for_breaker:
        news += _count_failure(lane, leased, clock=clock, random=random)
    rest_s = verdict.rest_s
    if verdict.disable is not None:
        # Disabling is a change of its own, a moment later. What waits must not fail meanwhile.
        rest_s = max(rest_s or 0.0, DISABLING_S_MAX)
    if rest_s is not None:
        news.append(_report(leased, LaneNews.RESTED, rest_s=rest_s))
        lane.rested = True
    return news


def _count_failure(lane: Lane, leased: Leased, *, clock: Clock, random: Random) -> list[LaneReport]:
    now_s = clock.monotonic_s()
    lane.proven, lane.suspect = False, True
    lane.breaker, rest_s = after_failure(
        lane.breaker, random, resting=now_s < lane.resting_until_s, probe=leased.lane_probe
    )
    if rest_s is not None:
        lane.failing = True
        lane.resting_until_s = now_s + rest_s
        lane.rested = True
        return [_report(leased, LaneNews.TRIPPED, rest_s=rest_s)]
    if not lane.failing and not leased.lane_failing:
        lane.failing = True
        return [_report(leased, LaneNews.FAILING)]
    return []


def _report(leased: Leased, news: LaneNews, *, rest_s: float = 0.0) -> LaneReport:
    return LaneReport(
        merchant_id=leased.merchant_id,
        endpoint_id=leased.endpoint_id,
        news=news,
        rest_s=rest_s,
    )

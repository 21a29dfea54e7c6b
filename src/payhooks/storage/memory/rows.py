"""The rows of the memory store, and its unit of time: whole microseconds since 1970, UTC."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

import msgspec

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, ReplayId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State, Trigger
from payhooks.model.event import Event, Finding

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MICROSECONDS_PER_S: Final = 1_000_000

NEVER: Final = 2**63 - 1  # the greatest integer SQLite has, so that both speak of one infinity


def to_us(at: datetime) -> int:
    """Return the microseconds from 1970 to *at*."""
    return (at - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """Return the time so many microseconds after 1970."""
    return _EPOCH + at_us * _MICROSECOND


def span_us(seconds: float) -> int:
    """Return a delay in microseconds."""
    return round(seconds * _MICROSECONDS_PER_S)


def span_s(microseconds: int) -> float:
    """Return a delay in seconds."""
    return microseconds / _MICROSECONDS_PER_S


class LaneState(Enum):
    """Whether a lane gives anything, and to whom."""

    OPEN = auto()
    PAUSED = auto()
    DISABLED = auto()
    DELETED = auto()
    LISTENING = auto()  # gives to the stream that asks for it by name, to no worker


@dataclass(slots=True, kw_only=True)
class LaneRow:
    """One endpoint's queue, seen from outside."""

    endpoint_id: EndpointId
    merchant_id: MerchantId
    state: LaneState
    lease_us: int
    rate_per_s: float | None
    look_at: int = NEVER
    rest_until: int = 0
    circuit_open: bool = False
    probe_until: int = 0  # while the one delivery that an open circuit lets through is away
    tat: int = 0
    failing_since: int | None = None
    warned: int = 0
    listened_at: int
    sequence_last: int = 0  # of the feed

    @property
    def still_until(self) -> int:
        """Until when nothing goes, whatever is due."""
        return max(self.rest_until, self.probe_until)


@dataclass(slots=True, kw_only=True)
class EventRow:
    """An accepted event."""

    event: Event
    fan_out: int
    routing_version: int
    findings: tuple[Finding, ...]
    expunged: bool = False


@dataclass(slots=True, kw_only=True)
class KeyRow:
    """An idempotency key and what it was given for."""

    event_id: EventId
    event_type: str
    content: bytes
    deliveries: int


@dataclass(slots=True, kw_only=True)
class QueueRow:
    """A delivery that is not over."""

    id: DeliveryId
    merchant_id: MerchantId
    endpoint_id: EndpointId
    event_type: str
    state: State
    due_at: int
    position: int
    order_key: bytes | None
    dialect: str
    dialect_version: int
    fence: int = 0
    attempts_made: int = 0
    abandoned: int = 0  # leases in a row that ran out
    owner: int | None = None
    lease_until: int | None = None
    replay_id: ReplayId | None = None
    replay_bulk: bool | None = None
    delivered_at: int | None = None
    reason: Reason | None = None


@dataclass(slots=True, kw_only=True)
class FinalRow:
    """A delivery that ended, as it ended last."""

    id: DeliveryId
    merchant_id: MerchantId
    endpoint_id: EndpointId
    event_type: str
    state: State
    finished_at: int
    position: int
    order_key: bytes | None
    dialect: str
    dialect_version: int
    fence: int
    attempts_made: int
    replay_id: ReplayId | None
    delivered_at: int | None
    reason: Reason | None


class DeliveryMoved(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery changed its state; told after the transaction that did it."""

    id: DeliveryId
    endpoint_id: EndpointId
    old: State | None  # None: there was none before
    new: State
    trigger: Trigger | None  # None: born
    fence: int


class EventAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """An event and its deliveries are stored; told after the transaction that did it."""

    event: Event
    deliveries: tuple[DeliveryId, ...]
    owner: int


# Called as observer("delivery_moved", DeliveryMoved) and observer("event_accepted", EventAccepted).
Observer = Callable[[str, object], None]

"""A replay: one job that sends many deliveries again, paced, resumable, audited."""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import EndpointId, MerchantId, ReplayId
from payhooks.model.attempt import Reason


class ReplayState(StrEnum):
    """Where the job stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Include(StrEnum):
    """What a replay sends."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    DELIVERED = "delivered"
    MISSED = "missed"  # events an endpoint had selected, accepted while it was disabled


class ReplayFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries; every member narrows."""

    endpoint_id: EndpointId | None = None
    event_types: tuple[str, ...] = ()  # patterns, as on an endpoint
    object_id: str | None = None
    reason: Reason | None = None  # why they failed last
    created_gte: datetime | None = None
    created_lt: datetime | None = None


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is that goes on without the lanes that had no room."""

    front: bytes  # the last delivery id looked at, but for those lanes
    lanes: tuple[tuple[EndpointId, bytes], ...]  # and where each of them is; before the front


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """One job and how far it is."""

    id: ReplayId
    merchant_id: MerchantId
    filter: ReplayFilter
    include: tuple[Include, ...]
    rate_per_s: float
    state: ReplayState
    matched: int  # counted when it was made
    queued: int  # sent on their way so far
    cursor: bytes | None  # the last delivery id looked at in every lane
    created_at: datetime
    finished_at: datetime | None
    behind: Behind | None = None  # None: all lanes are at the cursor

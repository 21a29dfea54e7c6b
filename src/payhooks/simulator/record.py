"""What the auditor keeps: what was sent under which lease, seen, and told to publishers."""

from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, ReceiptId, ReplayId
from payhooks.model.attempt import Answer, Outcome
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.simulator.loop import Life


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One HTTP request as it was."""

    delivery_id: DeliveryId
    endpoint_id: EndpointId
    fence: int
    life: Life
    number: int  # of this delivery's requests
    sent_at_s: float
    deadline_s: float  # from then
    seen: bool = False
    accepted: bool = False  # the receiver answered 2xx, and the answer reached the process
    over: bool = False  # the process waits for it no more
    broken_off: bool = False  # the process stopped while it was under way
    returned: Outcome | None = None
    returned_at_s: float = 0.0
    pauses: int  # of the process, before it was sent


@dataclass(slots=True, frozen=True)
class Lease:
    """The right to send, as the store gave it."""

    at_s: float
    owner: int | None


@dataclass(slots=True)
class Record:
    """What the auditor knows of the outside."""

    requests: dict[tuple[DeliveryId, int], Request] = field(default_factory=dict)
    counts: dict[DeliveryId, int] = field(default_factory=dict)
    sights: dict[DeliveryId, list[int]] = field(default_factory=dict)  # fences
    bodies: dict[DeliveryId, bytes] = field(default_factory=dict)
    in_flight: dict[tuple[str, EndpointId], int] = field(default_factory=dict)
    accepted_as: dict[EventId, int] = field(default_factory=dict)  # accept order
    stored: dict[tuple[MerchantId, bytes], EventId] = field(default_factory=dict)  # by data
    told: dict[tuple[MerchantId, str], EventId] = field(default_factory=dict)  # by key
    announced: dict[bytes, EventId] = field(default_factory=dict)  # by stored key
    last_sight: dict[tuple[EndpointId, bytes], int] = field(default_factory=dict)
    replayed: set[DeliveryId] = field(default_factory=set)  # at least once
    replay_of: dict[DeliveryId, ReplayId | None] = field(default_factory=dict)  # last
    tokens: dict[EndpointId, tuple[float, float]] = field(default_factory=dict)  # left, at
    leases: dict[tuple[DeliveryId, int], Lease] = field(default_factory=dict)
    fences: dict[DeliveryId, int] = field(default_factory=dict)
    spent: Counter[DeliveryId] = field(default_factory=Counter)  # since accept or a replay
    cut_short: set[tuple[DeliveryId, int]] = field(default_factory=set)  # expunged while leased
    expired: dict[DeliveryId, int] = field(default_factory=dict)  # in a row
    rests: dict[EndpointId, float] = field(default_factory=dict)
    tripped_at_s: dict[EndpointId, float] = field(default_factory=dict)
    versions: dict[EndpointId, list[tuple[float, Endpoint]]] = field(default_factory=dict)
    states: Counter[State] = field(default_factory=Counter)  # of undone deliveries, by moves
    asked_to_cancel: set[DeliveryId] = field(default_factory=set)
    job_rates: dict[ReplayId, float] = field(default_factory=dict)
    jobs: dict[ReplayId, int] = field(default_factory=dict)  # deliveries sent by it
    job_items: set[tuple[ReplayId, DeliveryId]] = field(default_factory=set)
    job_claims: Counter[ReplayId] = field(default_factory=Counter)
    job_cancelled: set[ReplayId] = field(default_factory=set)  # and the person was told so
    job_leased: dict[ReplayId, set[DeliveryId]] = field(default_factory=dict)  # at its cancel
    received: dict[tuple[MerchantId, bytes], ReceiptId] = field(default_factory=dict)  # by body
    words_due: Counter[tuple[MerchantId, str]] = field(default_factory=Counter)  # by meaning
    # By meaning: of which message each event tells.
    words_told: dict[tuple[MerchantId, str], list[str]] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)  # rare states that were reached


def is_success(outcome: Outcome | None) -> bool:
    """Return whether a receiver answered 2xx."""
    if not isinstance(outcome, Answer):
        return False
    return HTTPStatus.OK <= outcome.status < HTTPStatus.MULTIPLE_CHOICES

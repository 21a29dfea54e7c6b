"""What the auditor keeps: what was sent under which lease, seen, and told to publishers."""

from dataclasses import dataclass, field
from http import HTTPStatus

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId
from payhooks.model.attempt import Answer, Outcome
from payhooks.simulator.loop import Life


@dataclass(slots=True, kw_only=True, eq=False)
class Request:
    """One HTTP request as it was."""

    delivery_id: DeliveryId
    endpoint_id: EndpointId
    fence: int
    life: Life
    number: int  # of this delivery's requests
    message_id: str
    body: bytes
    seen: bool = False
    accepted: bool = False  # the receiver answered 2xx, and the answer reached the process
    over: bool = False  # the process waits for it no more
    returned: Outcome | None = None
    pauses: int  # of the process, before it was sent


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
    last_sight: dict[tuple[EndpointId, bytes], int] = field(default_factory=dict)
    replayed: set[DeliveryId] = field(default_factory=set)  # at least once
    tokens: dict[EndpointId, tuple[float, float]] = field(default_factory=dict)  # left, at
    leased_at: dict[DeliveryId, float] = field(default_factory=dict)  # last
    rests: dict[EndpointId, float] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)  # rare states that were reached


def is_success(outcome: Outcome | None) -> bool:
    """Return whether a receiver answered 2xx."""
    if not isinstance(outcome, Answer):
        return False
    return HTTPStatus.OK <= outcome.status < HTTPStatus.MULTIPLE_CHOICES

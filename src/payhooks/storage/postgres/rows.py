"""How rows read as values."""

from typing import Final

from payhooks.ids import (
    DeliveryId,
    EndpointId,
    EventId,
    MerchantId,
    ReplayId,
)
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Delivery, State
from payhooks.model.event import Event
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.storage.postgres.connections import Row

# As the tables spell states. Undone ones are in queue, the others in deliveries.
STATES: Final = (
    State.SCHEDULED,
    State.LEASED,
    State.BLOCKED,
    State.DELIVERED,
    State.FAILED,
    State.CANCELLED,
)
CODES: Final = {state: code for code, state in enumerate(STATES)}


def event(row: Row, *, id_: EventId) -> Event:
    """Return the event whose columns the row has."""
    return Event(
        id=id_,
        merchant_id=MerchantId(row["merchant_id"]),
        type=row["type"],
        family=row["family"],
        data=row["data"],
        object_type=row["object_type"],
        object_id=row["object_id"],
        occurred_at=row["occurred_at"],
        ordering_key=row["ordering_key"],
        metadata=row["metadata"],
    )


def delivery(row: Row) -> Delivery:
    """Return the delivery whose columns, of deliveries_all and its lane, the row has."""
    state = STATES[row["state"]]
    return Delivery(
        id=DeliveryId(row["id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        endpoint_id=EndpointId(row["endpoint_id"]),
        state=state,
        event_type=row["event_type"],
        dialect=row["dialect"],
        dialect_version=row["dialect_version"],
        fence=row["fence"],
        attempts_made=row["attempts_made"],
        due_at=row["due_at"] if state is State.SCHEDULED else None,
        finished_at=row["finished_at"],
        delivered_at=row["delivered_at"],
        reason=reason(row["reason"]),
        replay_id=None if row["replay_id"] is None else ReplayId(row["replay_id"]),
        position=row["position"] if row["order_key"] is not None else None,
        held=row["held"],
    )


def reason(text: str | None) -> Reason | None:
    """Return the reason so written."""
    return None if text is None else Reason(text)


def secret(row: Row) -> SealedSecret:
    """Return the secret whose columns the row has."""
    return SealedSecret(
        id=row["id"],
        merchant_id=MerchantId(row["merchant_id"]),
        owner_id=row["owner_id"],
        purpose=SecretPurpose(row["purpose"]),
        sealed=row["sealed"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )

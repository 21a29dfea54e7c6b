"""An event: something that happened to a payment object. Immutable once accepted."""

from datetime import datetime

import msgspec

from payhooks.ids import EventId, MerchantId, made_at


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something to know of an event that did not refuse it."""

    pointer: str  # the place: a JSON pointer into what was published
    code: str
    detail: str  # one sentence; it may quote the payload


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a publisher told us, its data byte for byte as it came."""

    id: EventId
    merchant_id: MerchantId
    type: str
    family: str
    data: bytes  # raw JSON: number spelling, key order and spacing are the publisher's
    object_type: str | None = None  # both or neither
    object_id: str | None = None
    occurred_at: datetime | None = None
    ordering_key: str | None = None
    metadata: bytes | None = None  # raw JSON object

    def __post_init__(self) -> None:
        assert (self.object_type is None) == (self.object_id is None)
        assert self.occurred_at is None or self.occurred_at.tzinfo is not None

    @property
    def created_at(self) -> datetime:
        """When it was accepted, to the millisecond: the time in its id."""
        return made_at(self.id)

    @property
    def order_of(self) -> str | None:
        """What orders it among others: the ordering key, else the object, else nothing."""
        if self.ordering_key is not None:
            return self.ordering_key
        if self.object_id is not None:
            return f"{self.object_type}\x1f{self.object_id}"
        return None

"""What lists, pages and checks ask of the store: reads only, each bounded.

A delivery is found in the queue while it is undone, in history when it is over; where both
know one (a replay), the queue is right about its state.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import Delivery, State
from payhooks.model.event import Event, Finding
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; every member narrows."""

    types: tuple[str, ...] = ()  # patterns
    status: str | None = None  # unsubscribed, pending, delivered, failed, cancelled
    object_id: str | None = None
    created_gte: datetime | None = None
    created_lt: datetime | None = None


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries; every member narrows."""

    states: tuple[State, ...] = ()
    held: bool | None = None
    endpoint_id: EndpointId | None = None
    event_types: tuple[str, ...] = ()  # patterns
    reason: Reason | None = None
    created_gte: datetime | None = None
    created_lt: datetime | None = None


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event with what is known of its way."""

    event: Event
    status: str
    fan_out: int  # deliveries made when it was accepted
    routing_version: int  # of the merchant when it was accepted
    expunged: bool
    findings: tuple[Finding, ...]  # made when it was accepted; none of an expunged one


class FeedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of an endpoint in the order that a puller reads."""

    sequence: int  # from 1, without a gap
    delivery: Delivery
    event: Event
    expunged: bool


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What one endpoint had selected from one routing version on, until its next entry."""

    endpoint_id: EndpointId
    number: int
    version: int
    events: tuple[str, ...]
    status: str  # an EndpointStatus; only active and paused got deliveries
    listening: bool


class DeliveryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How one delivery of an event stands."""

    id: DeliveryId
    state: State
    reason: Reason | None  # why it failed last


class EventFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What reconcile and replays go by: read from events, and from deliveries and queue."""

    id: EventId
    type: str
    routing_version: int
    fan_out: int
    order_of: str | None
    deliveries: tuple[DeliveryFacts, ...]


class FactsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events that were read at once."""

    events: Sequence[EventFacts]
    ended: bool  # nothing else lies within the bounds; a short page alone does not tell


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What one event is about."""

    event_id: EventId
    family: str
    type: str
    object_type: str
    object_id: str


class ReadStore(Protocol):
    """What was accepted and what became of it."""

    async def events(
        self, merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        """Return events, newest first."""
        ...

    async def event(self, merchant_id: MerchantId, event_id: EventId) -> StoredEvent | None:
        """Return one event."""
        ...

    async def deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, window: Window
    ) -> list[Delivery]:
        """Return deliveries, newest event first."""
        ...

    async def deliveries_of(
        self, merchant_id: MerchantId, event_id: EventId, window: Window
    ) -> list[Delivery]:
        """Return the deliveries of one event, by endpoint number, downwards."""
        ...

    async def delivery(self, merchant_id: MerchantId, delivery_id: DeliveryId) -> Delivery | None:
        """Return one delivery."""
        ...

    async def delivery_with_attempts(
        self, merchant_id: MerchantId, delivery_id: DeliveryId
    ) -> tuple[Delivery, list[Attempt]] | None:
        """Return one delivery and its attempts, oldest first, as they were at one moment."""
        ...

    async def last_statuses(
        self, merchant_id: MerchantId, delivery_ids: Sequence[DeliveryId]
    ) -> dict[DeliveryId, int | None]:
        """Return what the newest attempt of each was answered with; None where with nothing.

        Those of other merchants, and those that were never tried, are left out.
        """
        ...

    async def count_deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, *, at_most: int
    ) -> int:
        """Return how many match, counting no further than *at_most*."""
        ...

    async def feed(
        self, merchant_id: MerchantId, endpoint_id: EndpointId, *, after: int, limit: int
    ) -> list[FeedEntry]:
        """Return an endpoint's deliveries by sequence, numbering new ones first.

        Those whose events are some minutes older than the newest numbered one when they are
        made (missed ones, sent later) need not be numbered.
        """
        ...

    async def subscriptions(self, merchant_id: MerchantId) -> list[Subscription]:
        """Return the whole history of the merchant's subscriptions, by number, then version."""
        ...

    async def event_facts(
        self,
        merchant_id: MerchantId,
        *,
        after: EventId | None,
        before: EventId,
        limit: int,
        deliveries_max: int,
    ) -> FactsPage:
        """Return events with their deliveries by id, upwards; both bounds exclusive.

        No more events than were accepted with *deliveries_max* deliveries in all, but one at
        least, if there is any: go on after the last one, until the page says that it ended.
        """
        ...

    async def subjects(
        self, merchant_id: MerchantId, *, after: EventId, limit: int
    ) -> list[Subject]:
        """Return what events are about, by id, upwards; those about no object are left out."""
        ...

    async def merchants_using(self, family: str, window: Window) -> list[Merchant]:
        """Return merchants that name this family among theirs, newest first. Reads them all."""
        ...

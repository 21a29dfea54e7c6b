"""What was accepted and what became of it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from payhooks.ids import (
    DeliveryId,
    EndpointId,
    EventId,
    MerchantId,
    event_id_of,
    first_id_at,
)
from payhooks.model.attempt import Attempt
from payhooks.model.delivery import Delivery, State
from payhooks.model.merchant import Merchant
from payhooks.policy.match import matches
from payhooks.ports.controlling import Window
from payhooks.ports.reading import (
    DeliveryFacts,
    DeliveryFilter,
    EventFacts,
    EventFilter,
    FactsPage,
    FeedEntry,
    StoredEvent,
    Subject,
    Subscription,
)
from payhooks.storage.facts import together
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.rows import FinalRow, QueueRow, from_us
from payhooks.storage.memory.tables import Tables, newest_first


class MemoryRead:
    """See ReadStore."""

    _tables: Tables

    async def events(
        self, merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        """See ReadStore."""
        ids = newest_first(
            list(self._tables.events_of.get(merchant_id, [])),
            after=window.after,
            at_least=_bound(filter_.created_gte),
            below=_bound(filter_.created_lt),
        )
        events = (self._event(EventId(id_)) for id_ in ids)
        return list(islice((one for one in events if _selects(filter_, one)), window.limit))

    async def event(self, merchant_id: MerchantId, event_id: EventId) -> StoredEvent | None:
        """See ReadStore."""
        row = self._tables.events.get(event_id)
        if row is None or row.event.merchant_id != merchant_id:
            return None
        return self._event(event_id)

    async def deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, window: Window
    ) -> list[Delivery]:
        """See ReadStore."""
        return list(islice(self._matching(merchant_id, filter_, window.after), window.limit))

    async def deliveries_of(
        self, merchant_id: MerchantId, event_id: EventId, window: Window
    ) -> list[Delivery]:
        """See ReadStore."""
        ids = self._tables.deliveries_of_event(merchant_id, event_id)
        shown = [id_ for id_ in reversed(ids) if window.after is None or id_ < window.after]
        return [self._delivery(id_) for id_ in shown[: window.limit]]

    async def delivery(self, merchant_id: MerchantId, delivery_id: DeliveryId) -> Delivery | None:
        """See ReadStore."""
        known = self._row(delivery_id)
        if known is None or known.merchant_id != merchant_id:
            return None
        return self._delivery(delivery_id)

    async def delivery_with_attempts(
        self, merchant_id: MerchantId, delivery_id: DeliveryId
    ) -> tuple[Delivery, list[Attempt]] | None:
        """See ReadStore."""
        found = await self.delivery(merchant_id, delivery_id)
        if found is None:
            return None
        attempts = self._tables.attempts.get(delivery_id, {})
        return found, [attempts[key] for key in sorted(attempts)]

    async def last_statuses(
        self, merchant_id: MerchantId, delivery_ids: Sequence[DeliveryId]
    ) -> dict[DeliveryId, int | None]:
        """See ReadStore."""
        found = {}
        for id_ in delivery_ids:
            row = self._row(id_)
            attempts = self._tables.attempts.get(id_, {})
            in_time = [key for key in attempts if not key[1]]
            if row is not None and row.merchant_id == merchant_id and in_time:
                found[id_] = attempts[max(in_time)].status
        return found

    async def count_deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, *, at_most: int
    ) -> int:
        """See ReadStore."""
        return sum(1 for _ in islice(self._matching(merchant_id, filter_, None), at_most))

    async def feed(
        self, merchant_id: MerchantId, endpoint_id: EndpointId, *, after: int, limit: int
    ) -> list[FeedEntry]:
        """See ReadStore."""
        lane = self._tables.lanes.get(endpoint_id)
        if lane is None or lane.merchant_id != merchant_id:
            return []
        feed = self._tables.feeds.setdefault(endpoint_id, {})
        for id_ in sorted(self._tables.unnumbered.pop(endpoint_id, ())):
            lane.sequence_last += 1
            feed[lane.sequence_last] = id_
        shown = [sequence for sequence in feed if sequence > after][:limit]
        return [self._feed_entry(sequence, feed[sequence]) for sequence in shown]

    async def subscriptions(self, merchant_id: MerchantId) -> list[Subscription]:
        """See ReadStore."""
        history = self._tables.endpoint_history.get(merchant_id, [])
        return sorted(history, key=lambda one: (one.number, one.version))

    async def event_facts(
        self,
        merchant_id: MerchantId,
        *,
        after: EventId | None,
        before: EventId,
        limit: int,
        deliveries_max: int,
    ) -> FactsPage:
        """See ReadStore."""
        ids = (
            id_
            for id_ in self._tables.events_of.get(merchant_id, [])
            if (after is None or id_ > after) and id_ < before
        )
        found = list(islice(ids, limit))
        fan_outs = [self._tables.events[EventId(id_)].fan_out for id_ in found]
        read = together(fan_outs, deliveries_max)
        return FactsPage(
            events=[self._facts(merchant_id, EventId(id_)) for id_ in found[:read]],
            ended=read < limit and read == len(found),
        )

    async def subjects(
        self, merchant_id: MerchantId, *, after: EventId, limit: int
    ) -> list[Subject]:
        """See ReadStore."""
        ids = (id_ for id_ in self._tables.events_of.get(merchant_id, []) if id_ > after)
        events = (self._tables.events[EventId(id_)].event for id_ in ids)
        about = (
            Subject(
                event_id=event.id,
                family=event.family,
                type=event.type,
                object_type=event.object_type,
                object_id=event.object_id,
            )
            for event in events
            if event.object_type is not None and event.object_id is not None
        )
        return list(islice(about, limit))

    async def merchants_using(self, family: str, window: Window) -> list[Merchant]:
        """See ReadStore."""
        using = (one for one in self._tables.merchants.values() if family in one.families)
        return page(using, window)

    def _row(self, id_: DeliveryId) -> QueueRow | FinalRow | None:
        return self._tables.queue.rows.get(id_) or self._tables.deliveries.get(id_)

    def _matching(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, after: bytes | None
    ) -> Iterator[Delivery]:
        ids = newest_first(
            list(self._tables.deliveries_of.get(merchant_id, [])),
            after=after,
            at_least=_bound(filter_.created_gte),
            below=_bound(filter_.created_lt),
        )
        deliveries = (self._delivery(DeliveryId(id_)) for id_ in ids)
        return (delivery for delivery in deliveries if _selects_delivery(filter_, delivery))

    def _delivery(self, id_: DeliveryId) -> Delivery:
        row = self._row(id_)
        assert row is not None
        undone = row if isinstance(row, QueueRow) else None
        final = row if isinstance(row, FinalRow) else None
        waits = row.state in {State.SCHEDULED, State.BLOCKED}
        return Delivery(
            id=row.id,
            merchant_id=row.merchant_id,
            endpoint_id=row.endpoint_id,
            state=row.state,
            event_type=row.event_type,
            dialect=row.dialect,
            dialect_version=row.dialect_version,
            fence=row.fence,
            attempts_made=row.attempts_made,
            due_at=from_us(undone.due_at) if undone and row.state is State.SCHEDULED else None,
            finished_at=None if final is None else from_us(final.finished_at),
            delivered_at=None if row.delivered_at is None else from_us(row.delivered_at),
            reason=row.reason,
            replay_id=row.replay_id,
            position=undone.position if undone and row.order_key is not None else None,
            held=waits and self._tables.held(row.endpoint_id),
        )

    def _feed_entry(self, sequence: int, delivery_id: DeliveryId) -> FeedEntry:
        row = self._tables.events[event_id_of(delivery_id)]
        return FeedEntry(
            sequence=sequence,
            delivery=self._delivery(delivery_id),
            event=row.event,
            expunged=row.expunged,
        )

    def _event(self, event_id: EventId) -> StoredEvent:
        row = self._tables.events[event_id]
        return StoredEvent(
            event=row.event,
            status=self._status(row.event.merchant_id, event_id),
            fan_out=row.fan_out,
            routing_version=row.routing_version,
            expunged=row.expunged,
            findings=row.findings,
        )

    def _delivery_facts(self, id_: DeliveryId) -> DeliveryFacts:
        row = self._row(id_)
        assert row is not None
        return DeliveryFacts(id=id_, state=row.state, reason=row.reason)

    def _status(self, merchant_id: MerchantId, event_id: EventId) -> str:
        ids = self._tables.deliveries_of_event(merchant_id, event_id)
        states = {self._tables.state_of(id_) for id_ in ids}
        if not states:
            return "unsubscribed"
        if states & {State.BLOCKED, State.SCHEDULED, State.LEASED}:
            return "pending"
        for state in (State.FAILED, State.DELIVERED):
            if state in states:
                return state.value
        return "cancelled"

    def _facts(self, merchant_id: MerchantId, event_id: EventId) -> EventFacts:
        row = self._tables.events[event_id]
        ids = self._tables.deliveries_of_event(merchant_id, event_id)
        return EventFacts(
            id=event_id,
            type=row.event.type,
            routing_version=row.routing_version,
            fan_out=row.fan_out,
            order_of=row.event.order_of,
            deliveries=tuple(self._delivery_facts(id_) for id_ in ids),
        )


def _bound(at: datetime | None) -> bytes | None:
    return None if at is None else first_id_at(at)


def _selects(filter_: EventFilter, stored: StoredEvent) -> bool:
    event = stored.event
    return (
        _any_matches(filter_.types, event.type)
        and filter_.status in {None, stored.status}
        and filter_.object_id in {None, event.object_id}
    )


def _selects_delivery(filter_: DeliveryFilter, delivery: Delivery) -> bool:
    return (
        (not filter_.states or delivery.state in filter_.states)
        and filter_.held in {None, delivery.held}
        and filter_.endpoint_id in {None, delivery.endpoint_id}
        and _any_matches(filter_.event_types, delivery.event_type)
        and filter_.reason in {None, delivery.reason}
    )


def _any_matches(patterns: Sequence[str], event_type: str) -> bool:
    return not patterns or any(matches(pattern, event_type) for pattern in patterns)

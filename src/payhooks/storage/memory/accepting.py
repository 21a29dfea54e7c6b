"""Durable acceptance, as far as memory is durable."""

from collections.abc import Sequence

from payhooks.ids import DeliveryId, EndpointId, MerchantId, event_id_of
from payhooks.model.connector import ConnectorStatus
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus
from payhooks.ports.accepting import (
    Acceptance,
    Accepted,
    Arrival,
    PlannedDelivery,
    Repeated,
    Routing,
    StaleHistory,
    StaleRouting,
)
from payhooks.storage.memory.receiving import conclude, is_stale
from payhooks.storage.memory.rows import (
    EventRow,
    KeyRow,
    LaneRow,
    LaneState,
    QueueRow,
    span_us,
)
from payhooks.storage.memory.tables import Tables


class MemoryAccept:
    """See AcceptStore."""

    _tables: Tables

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore."""
        self._check(arrivals)
        now = self._tables.now()
        # Decided before the first row goes in: one batch is one moment.
        open_lanes = self._open_lanes(arrivals, now)
        acceptances = [self._tell(arrival, owner, open_lanes, now) for arrival in arrivals]
        self._tables.publish()
        return acceptances

    async def routing_version(self, merchant_id: MerchantId) -> int | None:
        """See AcceptStore."""
        return self._tables.routing.get(merchant_id)

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        """See AcceptStore."""
        return [self._routing(id_) for id_ in merchant_ids if id_ in self._tables.merchants]

    def _check(self, arrivals: Sequence[Arrival]) -> None:
        keys = [arrival.idempotency for arrival in arrivals if arrival.idempotency is not None]
        assert len(set(keys)) == len(keys), "flow collapses equal keys"
        for arrival in arrivals:
            for planned in arrival.deliveries:
                assert event_id_of(planned.id) == arrival.event.id

    def _open_lanes(self, arrivals: Sequence[Arrival], now: int) -> dict[EndpointId, None]:
        endpoint_ids = {
            planned.endpoint_id: None
            for arrival in arrivals
            for planned in arrival.deliveries
            if planned.lease_s is not None
        }
        lanes = self._tables.lanes
        return {id_: None for id_ in endpoint_ids if id_ in lanes and self._open(lanes[id_], now)}

    def _open(self, lane: LaneRow, now: int) -> bool:
        """Whether a new delivery may go at once, overtaking nothing and breaking no rest."""
        return (
            lane.state is LaneState.OPEN
            and lane.look_at > now
            and lane.rest_until <= now
            and not lane.circuit_open
            and lane.rate_per_s is None
            and not self._tables.wakes.get(lane.endpoint_id)
        )

    def _tell(
        self, arrival: Arrival, owner: int, open_lanes: dict[EndpointId, None], now: int
    ) -> Acceptance:
        acceptance = self._accept(arrival, owner, open_lanes, now)
        if arrival.conclusion is not None and isinstance(acceptance, Accepted):
            conclude(self._tables, arrival.conclusion)
        return acceptance

    def _accept(
        self, arrival: Arrival, owner: int, open_lanes: dict[EndpointId, None], now: int
    ) -> Acceptance:
        event = arrival.event
        # A resend of what is stored is answered from the tables, whatever has changed since.
        if event.id in self._tables.events:
            return Accepted(leased=self._still_leased(arrival, owner))
        known = self._tables.idempotency.get(arrival.idempotency or b"")
        if known is not None:
            return Repeated(
                event_id=known.event_id,
                event_type=known.event_type,
                content=known.content,
                deliveries=known.deliveries,
            )
        if self._tables.routing.get(event.merchant_id) != arrival.routing_version:
            return StaleRouting()
        if arrival.conclusion is not None and is_stale(self._tables, arrival.conclusion):
            return StaleHistory()
        ids = tuple(planned.id for planned in arrival.deliveries)
        row = EventRow(
            event=event,
            fan_out=len(ids),
            routing_version=arrival.routing_version,
            findings=arrival.findings,
        )
        self._tables.add_event(row, ids, owner)
        if arrival.idempotency is not None:
            self._tables.idempotency[arrival.idempotency] = _key(arrival)
        for planned in arrival.deliveries:
            handed_off = planned.lease_s is not None and planned.endpoint_id in open_lanes
            self._deliver(planned, arrival, owner if handed_off else None, now)
        return Accepted(leased=self._still_leased(arrival, owner))

    def _deliver(
        self, planned: PlannedDelivery, arrival: Arrival, owner: int | None, now: int
    ) -> None:
        row = QueueRow(
            id=planned.id,
            merchant_id=arrival.event.merchant_id,
            endpoint_id=planned.endpoint_id,
            event_type=arrival.event.type,
            state=State.SCHEDULED if planned.order_key is None else State.BLOCKED,
            due_at=now,
            position=self._tables.queue.next_position(),
            order_key=planned.order_key,
            dialect=planned.dialect,
            dialect_version=planned.dialect_version,
        )
        if owner is not None and planned.lease_s is not None and planned.order_key is None:
            row.state = State.LEASED
            row.owner, row.fence = owner, 1
            row.lease_until = now + span_us(planned.lease_s)
        else:
            self._tables.wake(planned.endpoint_id, due_at=now, order_key=planned.order_key)
        self._tables.put(row)

    def _still_leased(self, arrival: Arrival, owner: int) -> tuple[DeliveryId, ...]:
        rows = [self._tables.queue.rows.get(planned.id) for planned in arrival.deliveries]
        return tuple(
            row.id
            for row in rows
            if row is not None and (row.state, row.owner, row.fence) == (State.LEASED, owner, 1)
        )

    def _routing(self, merchant_id: MerchantId) -> Routing:
        tables = self._tables
        now = tables.clock.now()
        endpoints = [
            endpoint
            for endpoint in tables.endpoints.values()
            if endpoint.merchant_id == merchant_id and endpoint.status is not EndpointStatus.DELETED
        ]
        return Routing(
            merchant=tables.merchants[merchant_id],
            version=tables.routing[merchant_id],
            endpoints=tuple(sorted(endpoints, key=lambda endpoint: endpoint.number)),
            secrets=tuple(
                secret
                for secret in tables.secrets.values()
                if secret.merchant_id == merchant_id
                and (secret.expires_at is None or secret.expires_at > now)
            ),
            keys=tuple(
                key
                for key in tables.api_keys.values()
                if key.merchant_id == merchant_id
                and key.revoked_at is None
                and (key.expires_at is None or key.expires_at > now)
            ),
            connectors=tuple(
                connector
                for connector in tables.connectors.values()
                if connector.merchant_id == merchant_id
                and connector.status is not ConnectorStatus.DELETED
            ),
        )


def _key(arrival: Arrival) -> KeyRow:
    return KeyRow(
        event_id=arrival.event.id,
        event_type=arrival.event.type,
        content=arrival.content,
        deliveries=len(arrival.deliveries),
    )

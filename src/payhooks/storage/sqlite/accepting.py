"""Durable acceptance: one job per batch, a handful of statements whatever its size."""

from collections.abc import Sequence
from typing import Final

import apsw
from msgspec import Struct

from payhooks.ids import DeliveryId, EndpointId, MerchantId, event_id_of, last_delivery_id_of
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.key import ApiKey
from payhooks.model.merchant import Merchant
from payhooks.model.secret import SealedSecret
from payhooks.ports.accepting import (
    Acceptance,
    Accepted,
    Arrival,
    PlannedDelivery,
    Repeated,
    Routing,
    StaleRouting,
)
from payhooks.storage import statements
from payhooks.storage.documents import decode
from payhooks.storage.sqlite.connection import (
    Row,
    blobs,
    delay_us,
    first,
    optional_us,
    rows,
    rows_of_many,
    run_many,
)
from payhooks.storage.sqlite.parts import CODES, Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "accepting.sql")


class _Batch(Struct, kw_only=True):
    """What is collected of a batch before it is written."""

    keys: list[Row] = []
    events: list[Row] = []
    queue: list[Row] = []
    wakes: dict[tuple[EndpointId, bytes | None], None] = {}


class SqliteAccept(Part):
    """See AcceptStore."""

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore."""
        keys = [arrival.idempotency for arrival in arrivals if arrival.idempotency is not None]
        assert len(set(keys)) == len(keys), "flow collapses equal keys"
        return await self._write(
            Kind.ACCEPT, lambda db: _accept(db, arrivals, owner=owner, now=self._now_us())
        )

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        """See AcceptStore."""
        now = self._now_us()

        def read(db: apsw.Connection) -> list[Routing]:
            found = (_routing(db, id_, now) for id_ in merchant_ids)
            return [routing for routing in found if routing is not None]

        return await self._read(read)


def _accept(
    db: apsw.Connection, arrivals: Sequence[Arrival], *, owner: int, now: int
) -> list[Acceptance]:
    known = _known(db, arrivals, owner)
    versions = _versions(db, arrivals)
    acceptances: list[Acceptance] = []
    winners: list[Arrival] = []
    for arrival in arrivals:
        answer = known.get(arrival.event.id)
        if answer is None:
            if versions.get(arrival.event.merchant_id) == arrival.routing_version:
                winners.append(arrival)
                answer = Accepted(leased=())  # replaced below, where something was handed off
            else:
                answer = StaleRouting()
        acceptances.append(answer)
    if not winners:
        return acceptances
    leased = _insert(db, winners, owner=owner, now=now)
    return [
        leased.get(arrival.event.id, answer)
        for arrival, answer in zip(arrivals, acceptances, strict=True)
    ]


def _known(db: apsw.Connection, arrivals: Sequence[Arrival], owner: int) -> dict[bytes, Acceptance]:
    """Return the answers of those that were here before, by the id they have now."""
    by_key = {
        arrival.idempotency: arrival for arrival in arrivals if arrival.idempotency is not None
    }
    answers: dict[bytes, Acceptance] = {}
    ours: set[bytes] = set()
    if by_key:
        for key, event_id, content, event_type, count in rows(
            db, _SQL["known_keys"], (blobs(by_key),)
        ):
            arrival = by_key[key]
            if event_id == arrival.event.id:
                ours.add(event_id)
            else:
                answers[arrival.event.id] = Repeated(
                    event_id=event_id, event_type=event_type, content=content, deliveries=count
                )
    keyless = [
        (arrival.event.merchant_id, arrival.event.id)
        for arrival in arrivals
        if arrival.idempotency is None
    ]
    ours.update(id_ for (id_,) in rows_of_many(db, _SQL["known_events"], keyless))
    for arrival in arrivals if ours else ():
        event = arrival.event
        if event.id in ours:
            span = (event.merchant_id, event.id, last_delivery_id_of(event.id), owner)
            leased = tuple(DeliveryId(id_) for (id_,) in rows(db, _SQL["still_leased"], span))
            answers[event.id] = Accepted(leased=leased)
    return answers


def _versions(db: apsw.Connection, arrivals: Sequence[Arrival]) -> dict[bytes, int]:
    merchants = {arrival.event.merchant_id for arrival in arrivals}
    return dict(rows(db, _SQL["routing_versions"], (blobs(merchants),)))


def _insert(
    db: apsw.Connection, winners: Sequence[Arrival], *, owner: int, now: int
) -> dict[bytes, Acceptance]:
    """Write the new ones; return those of which something was handed off."""
    open_lanes = _open_lanes(db, winners, now)
    count = sum(len(arrival.deliveries) for arrival in winners)
    taken = first(db, _SQL["take_positions"], (count,))
    assert taken is not None
    position = taken[0] - count
    batch = _Batch()
    answers: dict[bytes, Acceptance] = {}
    for arrival in winners:
        _collect(batch, arrival)
        leased = []
        for planned in arrival.deliveries:
            position += 1
            assert event_id_of(planned.id) == arrival.event.id
            handed_off = planned.lease_s is not None and planned.endpoint_id in open_lanes
            if handed_off and planned.order_key is None:
                leased.append(planned.id)
                batch.queue.append(_leased(arrival, planned, position, owner=owner, now=now))
            else:
                batch.queue.append(_waiting(arrival, planned, position, now=now))
                batch.wakes[planned.endpoint_id, planned.order_key] = None
        if leased:
            answers[arrival.event.id] = Accepted(leased=tuple(leased))
    # By key, so that neighbours in the index are written together.
    run_many(db, _SQL["insert_keys"], sorted(batch.keys))
    run_many(db, _SQL["insert_events"], batch.events)
    run_many(db, _SQL["insert_queue"], batch.queue)
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in batch.wakes])
    return answers


def _open_lanes(db: apsw.Connection, winners: Sequence[Arrival], now: int) -> set[bytes]:
    # Judged before the first row goes in: one batch is one moment.
    wanted = {
        planned.endpoint_id
        for arrival in winners
        for planned in arrival.deliveries
        if planned.lease_s is not None
    }
    if not wanted:
        return set()
    return {id_ for (id_,) in rows(db, _SQL["open_lanes"], (blobs(wanted), now))}


def _collect(batch: _Batch, arrival: Arrival) -> None:
    event = arrival.event
    fan_out = len(arrival.deliveries)
    if arrival.idempotency is not None:
        batch.keys.append((arrival.idempotency, event.id, arrival.content, event.type, fan_out))
    batch.events.append(
        (
            event.id,
            event.merchant_id,
            event.type,
            event.family,
            event.object_type,
            event.object_id,
            optional_us(event.occurred_at),
            event.ordering_key,
            event.metadata,
            arrival.idempotency,
            arrival.routing_version,
            fan_out,
            event.data,
        )
    )


def _leased(
    arrival: Arrival, planned: PlannedDelivery, position: int, *, owner: int, now: int
) -> Row:
    assert planned.lease_s is not None
    lease = (1, owner, now + delay_us(planned.lease_s))
    return _row(arrival, planned, (CODES[State.LEASED], now, position), lease)


def _waiting(arrival: Arrival, planned: PlannedDelivery, position: int, *, now: int) -> Row:
    state = State.SCHEDULED if planned.order_key is None else State.BLOCKED
    return _row(arrival, planned, (CODES[state], now, position), (0, None, None))


def _row(arrival: Arrival, planned: PlannedDelivery, standing: Row, lease: Row) -> Row:
    return (
        arrival.event.merchant_id,
        planned.id,
        planned.endpoint_id,
        arrival.event.type,
        *standing,
        planned.order_key,
        *lease,
        planned.dialect,
        planned.dialect_version,
    )


def _routing(db: apsw.Connection, merchant_id: MerchantId, now: int) -> Routing | None:
    found = first(db, _SQL["routing_of"], (merchant_id,))
    if found is None:
        return None
    version, document = found
    endpoints = rows(db, _SQL["endpoints_of"], (merchant_id,))
    secrets = rows(db, _SQL["secrets_of"], (merchant_id, now))
    keys = rows(db, _SQL["keys_of"], (merchant_id, now))
    return Routing(
        merchant=decode(Merchant, document),
        version=version,
        endpoints=tuple(decode(Endpoint, text) for (text,) in endpoints),
        secrets=tuple(decode(SealedSecret, text) for (text,) in secrets),
        keys=tuple(decode(ApiKey, text) for (text,) in keys),
    )

"""Durable acceptance: one job per batch, a handful of statements whatever its size."""

from collections.abc import Sequence
from typing import Final

import apsw
from msgspec import Struct
from msgspec.json import Decoder

from payhooks.ids import (
    EndpointId,
    EventId,
    MerchantId,
    event_id_of,
    last_delivery_id_of,
)
from payhooks.model.connector import Connector
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
    StaleHistory,
    StaleRouting,
)
from payhooks.storage import findings, statements
from payhooks.storage.documents import decode
from payhooks.storage.sqlite.concluding import Histories, write_conclusions
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
from payhooks.storage.sqlite.parts import CODES, Part, Positions
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "accepting.sql")
_VERSIONS: Final = Decoder(list[tuple[str, int]])
_KEYS: Final = Decoder(list[tuple[str, str, str, str, int]])
_LANES: Final = Decoder(list[str])
_ALL_WAIT: Final = Accepted(leased=())


class _Sight(Struct, kw_only=True):
    """What a batch must know before it is judged."""

    versions: dict[bytes, int]
    keys: dict[bytes, tuple[str, str, str, str, int]]
    open_lanes: set[bytes]


class _Batch(Struct, kw_only=True):
    """What is collected of a batch before it is written."""

    keys: list[Row] = []
    events: list[Row] = []
    queue: list[Row] = []
    wakes: dict[tuple[EndpointId, bytes | None], None] = {}

    def add_event(self, arrival: Arrival) -> None:
        """Add the event itself, and its key."""
        event = arrival.event
        fan_out = len(arrival.deliveries)
        if arrival.idempotency is not None:
            key = (arrival.idempotency, event.id, arrival.content, event.type, fan_out)
            self.keys.append(key)
        self.events.append(
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
                findings.encode(arrival.findings),
            )
        )


class SqliteAccept(Part):
    """See AcceptStore."""

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore."""
        keys = [arrival.idempotency for arrival in arrivals if arrival.idempotency is not None]
        assert len(set(keys)) == len(keys), "flow collapses equal keys"
        return await self._write(
            Kind.ACCEPT,
            lambda db: _accept(db, arrivals, self._positions, owner=owner, now=self._now_us()),
        )

    async def routing_version(self, merchant_id: MerchantId) -> int | None:
        """See AcceptStore."""
        found = await self._read(lambda db: first(db, _SQL["version_of"], (merchant_id,)))
        return None if found is None else int(found[0])

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        """See AcceptStore."""
        now = self._now_us()

        def read(db: apsw.Connection) -> list[Routing]:
            found = (_routing(db, id_, now) for id_ in merchant_ids)
            return [routing for routing in found if routing is not None]

        return await self._read(read)


def _accept(
    db: apsw.Connection,
    arrivals: Sequence[Arrival],
    positions: Positions,
    *,
    owner: int,
    now: int,
) -> list[Acceptance]:
    sight = _look(db, arrivals, now)
    known = _known(db, arrivals, sight, owner)
    histories = Histories(db)
    batch = _Batch()
    acceptances: list[Acceptance] = []
    for arrival in arrivals:
        answer = known.get(arrival.event.id)
        if answer is None:
            version = sight.versions.get(arrival.event.merchant_id)
            if version != arrival.routing_version:
                answer = StaleRouting()
            elif arrival.conclusion is not None and not histories.take(arrival.conclusion):
                answer = StaleHistory()
            else:
                answer = _collect(batch, arrival, sight, positions, owner=owner, now=now)
        acceptances.append(answer)
    # By key, so that neighbours in the index are written together.
    run_many(db, _SQL["insert_keys"], sorted(batch.keys))
    run_many(db, _SQL["insert_events"], batch.events)
    run_many(db, _SQL["insert_queue"], batch.queue)
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in batch.wakes])
    conclusions = [
        arrival.conclusion
        for arrival, acceptance in zip(arrivals, acceptances, strict=True)
        if arrival.conclusion is not None and isinstance(acceptance, Accepted)
    ]
    write_conclusions(db, conclusions, now=now)
    return acceptances


def _look(db: apsw.Connection, arrivals: Sequence[Arrival], now: int) -> _Sight:
    merchants = {arrival.event.merchant_id for arrival in arrivals}
    keys = [arrival.idempotency for arrival in arrivals if arrival.idempotency is not None]
    lanes = {
        planned.endpoint_id
        for arrival in arrivals
        for planned in arrival.deliveries
        if planned.lease_s is not None
    }
    found = first(db, _SQL["look"], (blobs(merchants), blobs(keys), blobs(lanes), now))
    assert found is not None
    return _Sight(
        versions={bytes.fromhex(id_): version for id_, version in _VERSIONS.decode(found[0])},
        keys={bytes.fromhex(row[0]): row for row in _KEYS.decode(found[1])},
        # Judged before the first row goes in: one batch is one moment.
        open_lanes={bytes.fromhex(id_) for id_ in _LANES.decode(found[2])},
    )


def _known(
    db: apsw.Connection, arrivals: Sequence[Arrival], sight: _Sight, owner: int
) -> dict[bytes, Acceptance]:
    """Return the answers of those that were here before, by the id they have now."""
    answers: dict[bytes, Acceptance] = {}
    ours: set[bytes] = set()
    keyless = []
    for arrival in arrivals:
        if arrival.idempotency is None:
            keyless.append((arrival.event.merchant_id, arrival.event.id))
        elif (row := sight.keys.get(arrival.idempotency)) is not None:
            event_id = EventId(bytes.fromhex(row[1]))
            if event_id == arrival.event.id:
                ours.add(event_id)
            else:
                answers[arrival.event.id] = Repeated(
                    event_id=event_id,
                    content=bytes.fromhex(row[2]),
                    event_type=row[3],
                    deliveries=row[4],
                )
    ours.update(id_ for (id_,) in rows_of_many(db, _SQL["known_events"], keyless))
    for arrival in arrivals if ours else ():
        event = arrival.event
        if event.id in ours:
            span = (event.merchant_id, event.id, last_delivery_id_of(event.id), owner)
            held = {id_ for (id_,) in rows(db, _SQL["still_leased"], span)}
            leased = tuple(one.id for one in arrival.deliveries if one.id in held)
            answers[event.id] = Accepted(leased=leased)
    return answers


def _collect(  # noqa: PLR0913 - a batch, one of it, and what it is judged by
    batch: _Batch,
    arrival: Arrival,
    sight: _Sight,
    positions: Positions,
    *,
    owner: int,
    now: int,
) -> Accepted:
    """Add the rows of one new event to the batch; return what of it is handed off."""
    batch.add_event(arrival)
    leased = []
    numbers = positions.take(len(arrival.deliveries))
    for planned, position in zip(arrival.deliveries, numbers, strict=True):
        assert event_id_of(planned.id) == arrival.event.id
        handed_off = planned.lease_s is not None and planned.endpoint_id in sight.open_lanes
        if handed_off and planned.order_key is None:
            leased.append(planned.id)
            batch.queue.append(_leased(arrival, planned, position, owner=owner, now=now))
        else:
            batch.queue.append(_waiting(arrival, planned, position, now=now))
            batch.wakes[planned.endpoint_id, planned.order_key] = None
    return Accepted(leased=tuple(leased)) if leased else _ALL_WAIT


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
    connectors = rows(db, _SQL["connectors_of"], (merchant_id,))
    return Routing(
        merchant=decode(Merchant, document),
        version=version,
        endpoints=tuple(decode(Endpoint, text) for (text,) in endpoints),
        secrets=tuple(decode(SealedSecret, text) for (text,) in secrets),
        keys=tuple(decode(ApiKey, text) for (text,) in keys),
        connectors=tuple(decode(Connector, text) for (text,) in connectors),
    )

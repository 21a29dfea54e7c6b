"""What was accepted and what became of it: reads on their own connections."""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw
import msgspec

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, event_id_of
from payhooks.ids import last_delivery_id_of as last_of
from payhooks.model.attempt import Attempt, Reason, Timing
from payhooks.model.delivery import Delivery, State
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.reading import (
    DeliveryFacts,
    DeliveryFilter,
    EventFacts,
    EventFilter,
    FactsPage,
    StoredEvent,
    Subject,
    Subscription,
)
from payhooks.storage import findings, statements
from payhooks.storage.documents import decode, decode_readable
from payhooks.storage.facts import together
from payhooks.storage.sqlite import listing
from payhooks.storage.sqlite.connection import (
    Row,
    blobs,
    first,
    from_us,
    optional_time,
    rows,
)
from payhooks.storage.sqlite.parts import STATES, Part
from payhooks.storage.sqlite.selecting import BY_ID, Leg, Where, where_events, where_undone

_SQL: Final = statements.load(__package__, "reading.sql")
_GREATEST_ID: Final = b"\xff" * 16
_HEADERS: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...])


class SqliteRead(Part):
    """See ReadStore; the feed, which also writes, is in feeding.py."""

    async def events(
        self, merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        """See ReadStore."""
        return await self._read(lambda db: _events(db, merchant_id, filter_, window))

    async def event(self, merchant_id: MerchantId, event_id: EventId) -> StoredEvent | None:
        """See ReadStore."""
        where = Where()
        where.narrow("e.id = ?", event_id)
        found = await self._read(lambda db: events(db, merchant_id, where, 1))
        return found[0] if found else None

    async def deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, window: Window
    ) -> list[Delivery]:
        """See ReadStore."""
        return await self._read(
            lambda db: _deliveries(db, merchant_id, filter_, window.after, window.limit)
        )

    async def deliveries_of(
        self, merchant_id: MerchantId, event_id: EventId, window: Window
    ) -> list[Delivery]:
        """See ReadStore."""

        def read(db: apsw.Connection) -> list[Delivery]:
            where = Where()
            where.narrow("d.id BETWEEN ? AND ?", event_id, last_of(event_id))
            if window.after is not None:
                where.narrow("d.id < ?", window.after)
            return _merged(db, merchant_id, where, [Leg(index=BY_ID, where=where)], window.limit)

        return await self._read(read)

    async def delivery(self, merchant_id: MerchantId, delivery_id: DeliveryId) -> Delivery | None:
        """See ReadStore."""
        found = await self._read(lambda db: one_delivery(db, merchant_id, delivery_id))
        return found[0] if found else None

    async def delivery_with_attempts(
        self, merchant_id: MerchantId, delivery_id: DeliveryId
    ) -> tuple[Delivery, list[Attempt]] | None:
        """See ReadStore."""

        def read(db: apsw.Connection) -> tuple[Delivery, list[Attempt]] | None:
            found = one_delivery(db, merchant_id, delivery_id)
            if not found:
                return None
            attempts = rows(db, _SQL["attempts"], (delivery_id,))
            return found[0], [_attempt(delivery_id, row) for row in attempts]

        return await self._read(read)

    async def last_statuses(
        self, merchant_id: MerchantId, delivery_ids: Sequence[DeliveryId]
    ) -> dict[DeliveryId, int | None]:
        """See ReadStore."""
        asked = (merchant_id, blobs(delivery_ids))
        found = await self._read(lambda db: rows(db, _SQL["last_statuses"], asked))
        return {DeliveryId(id_): status for id_, status in found}

    async def count_deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, *, at_most: int
    ) -> int:
        """See ReadStore."""
        return await self._read(lambda db: _count(db, merchant_id, filter_, at_most))

    async def subscriptions(self, merchant_id: MerchantId) -> list[Subscription]:
        """See ReadStore."""
        found = await self._read(lambda db: rows(db, _SQL["subscriptions"], (merchant_id,)))
        return [decode(Subscription, text) for (text,) in found]

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
        bounds = (merchant_id, after or b"", before, limit)
        return await self._read(lambda db: _facts(db, bounds, deliveries_max))

    async def subjects(
        self, merchant_id: MerchantId, *, after: EventId, limit: int
    ) -> list[Subject]:
        """See ReadStore."""
        asked = (merchant_id, after, limit)
        found = await self._read(lambda db: rows(db, _SQL["subjects"], asked))
        return [
            Subject(event_id=EventId(id_), family=family, type=type_, object_type=kind, object_id=o)
            for id_, family, type_, kind, o in found
        ]

    async def merchants_using(self, family: str, window: Window) -> list[Merchant]:
        """See ReadStore."""
        asked = (family, window.after or _GREATEST_ID, window.limit)
        found = await self._read(lambda db: rows(db, _SQL["merchants_using"], asked))
        return decode_readable(Merchant, (document for (document,) in found))


def events(
    db: apsw.Connection, merchant_id: MerchantId, where: Where, limit: int
) -> list[StoredEvent]:
    """Return events with what is derived of them, newest first."""
    sql = _SQL["events"].replace("{status}", _SQL["status"]).replace("{where}", where.sql)
    return [_event(row) for row in rows(db, sql, (merchant_id, *where.bindings, limit))]


def one_delivery(
    db: apsw.Connection, merchant_id: MerchantId, delivery_id: DeliveryId
) -> list[Delivery]:
    """Return the delivery, if there is one."""
    where = Where()
    where.narrow("d.id = ?", delivery_id)
    return _merged(db, merchant_id, where, [Leg(index=BY_ID, where=where)], 1)


def _events(
    db: apsw.Connection, merchant_id: MerchantId, filter_: EventFilter, window: Window
) -> list[StoredEvent]:
    found = listing.event_ids(db, merchant_id, filter_, window, status=_SQL["status"])
    if found is None:
        where = where_events(filter_, window.after, status=_SQL["status"])
    else:
        where = Where()
        where.narrow("e.id IN (SELECT value FROM carray(?))", blobs(found))
    return events(db, merchant_id, where, window.limit)


def _merged(
    db: apsw.Connection,
    merchant_id: MerchantId,
    undone: Where | None,
    final: Sequence[Leg],
    limit: int,
) -> list[Delivery]:
    """Return deliveries of both tables, newest event first."""
    found: list[Row] = []
    for text, where in _sides(undone, final):
        found += rows(db, text, (merchant_id, *where.bindings, limit))
    found.sort(key=lambda row: row[0], reverse=True)
    return [_delivery(row) for row in found[:limit]]


def _sides(undone: Where | None, final: Sequence[Leg]) -> Iterator[tuple[str, Where]]:
    """Yield every statement that a list is read by, with what it is narrowed to."""
    if undone is not None:
        yield _SQL["undone"].replace("{where}", undone.sql), undone
    for leg in final:
        text = _SQL["final"].replace("{where}", leg.where.sql).replace("{index}", leg.index)
        yield text, leg.where


def _deliveries(
    db: apsw.Connection,
    merchant_id: MerchantId,
    filter_: DeliveryFilter,
    after: bytes | None,
    limit: int,
) -> list[Delivery]:
    undone = where_undone(filter_, after)
    return _merged(db, merchant_id, undone, listing.final(db, merchant_id, filter_, after), limit)


def _count(
    db: apsw.Connection, merchant_id: MerchantId, filter_: DeliveryFilter, at_most: int
) -> int:
    count = 0
    final = listing.final(db, merchant_id, filter_, None)
    for text, where in _sides(where_undone(filter_, None), final):
        if count < at_most:
            counted = listing.SQL["count"].replace("{listed}", text)
            found = first(db, counted, (merchant_id, *where.bindings, at_most - count))
            assert found is not None
            count += found[0]
    return count


def _event(row: Row) -> StoredEvent:
    event = Event(
        id=EventId(row[0]),
        merchant_id=MerchantId(row[1]),
        type=row[2],
        family=row[3],
        object_type=row[4],
        object_id=row[5],
        occurred_at=optional_time(row[6]),
        ordering_key=row[7],
        metadata=row[8],
        data=row[9],
    )
    return StoredEvent(
        event=event,
        fan_out=row[10],
        routing_version=row[11],
        expunged=bool(row[12]),
        findings=findings.decode(row[13]),
        status=row[14],
    )


def _delivery(row: Row) -> Delivery:
    state = STATES[row[3]]
    return Delivery(
        id=DeliveryId(row[0]),
        merchant_id=MerchantId(row[1]),
        endpoint_id=EndpointId(row[2]),
        state=state,
        event_type=row[4],
        dialect=row[5],
        dialect_version=row[6],
        fence=row[7],
        attempts_made=row[8],
        due_at=optional_time(row[9]) if state is State.SCHEDULED else None,
        finished_at=optional_time(row[10]),
        delivered_at=optional_time(row[11]),
        reason=None if row[12] is None else Reason(row[12]),
        replay_id=row[13],
        position=row[14],
        held=bool(row[15]),
    )


def _attempt(delivery_id: DeliveryId, row: Row) -> Attempt:
    return Attempt(
        delivery_id=delivery_id,
        fence=row[0],
        late=bool(row[1]),
        at=from_us(row[2]),
        status=row[3],
        reason=None if row[4] is None else Reason(row[4]),
        detail=row[5],
        timing=decode(Timing, row[6]),
        peer=row[7],
        answer_headers=() if row[8] is None else _HEADERS.decode(row[8]),
        answer_body=row[9] or b"",
        answer_truncated=bool(row[10]),
    )


def _facts(
    db: apsw.Connection, bounds: tuple[MerchantId, bytes, bytes, int], deliveries_max: int
) -> FactsPage:
    merchant_id, _, _, limit = bounds
    found = rows(db, _SQL["facts"], bounds)
    if not found:
        return FactsPage(events=(), ended=True)
    events = found[: together([row[3] for row in found], deliveries_max)]
    span = (merchant_id, events[0][0], last_of(EventId(events[-1][0])))
    # The queue's rows come last, so that they stand where both tables know a delivery.
    known = {row[0]: row for row in rows(db, _SQL["fact_states"], span)}
    of_event: dict[bytes, list[DeliveryFacts]] = {row[0]: [] for row in events}
    for id_, state, reason in sorted(known.values()):
        why = None if reason is None else Reason(reason)
        one = DeliveryFacts(id=DeliveryId(id_), state=STATES[state], reason=why)
        of_event[event_id_of(one.id)].append(one)
    return FactsPage(
        events=[_fact(row, of_event[row[0]]) for row in events],
        ended=len(events) < limit and len(events) == len(found),
    )


def _fact(row: Row, deliveries: Sequence[DeliveryFacts]) -> EventFacts:
    id_, type_, version, fan_out, object_type, object_id, ordering_key = row
    by_object = None if object_id is None else f"{object_type}\x1f{object_id}"
    return EventFacts(
        id=EventId(id_),
        type=type_,
        routing_version=version,
        fan_out=fan_out,
        order_of=by_object if ordering_key is None else ordering_key,
        deliveries=tuple(deliveries),
    )

"""What was accepted and what became of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from payhooks import limits
from payhooks.ids import (
    DeliveryId,
    EndpointId,
    EventId,
    MerchantId,
    event_id_of,
    first_id_at,
    last_delivery_id_of,
    made_at,
)
from payhooks.model.attempt import Attempt, Timing
from payhooks.model.delivery import Delivery
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
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
from payhooks.storage import documents, findings, statements
from payhooks.storage.facts import together
from payhooks.storage.postgres import listing
from payhooks.storage.postgres.connections import Connections, Row
from payhooks.storage.postgres.listing import Page, is_by_type, likes, types_of
from payhooks.storage.postgres.rows import STATES, delivery, event, reason

_SQL: Final = statements.load("payhooks.storage.postgres", "reading.sql")
_LISTS: Final = listing.SQL
_EVERY: Final = Page(DeliveryFilter(), None)

_LEAST_ID: Final = bytes(16)
_GREATEST_ID: Final = b"\xff" * 16
# Rows that committed after one with a greater id is numbered are found this far back.
_FEED_LATE: Final = timedelta(minutes=2)
_HEADERS: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...])


class PostgresRead:
    """See ReadStore."""

    _control: Connections

    async def events(
        self, merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        """See ReadStore."""
        below, at_least = _bounds(filter_.created_gte, filter_.created_lt, window.after)
        span = (merchant_id, below, at_least)
        types = likes(filter_.types)
        by_type = listing.events_by_type(filter_)
        if by_type is not None:
            some = await types_of(self._control, merchant_id, filter_.types)
            if some is not None:
                waiting = (types,) if filter_.status is None else ()
                return await self._events(by_type, *span, some, window.limit, *waiting)
        by_status = _SQL.get(f"events_{filter_.status}")
        if by_status is not None and filter_.object_id is None:
            return await self._events(by_status, *span, types, window.limit)
        narrow = (types, filter_.object_id, filter_.status)
        return await self._call(events_statement(filter_), *span, *narrow, window.limit)

    async def event(self, merchant_id: MerchantId, event_id: EventId) -> StoredEvent | None:
        """See ReadStore."""
        bounds = (_next(event_id), event_id)
        one = events_statement(EventFilter())
        found = await self._call(one, merchant_id, *bounds, None, None, None, 1)
        return found[0] if found else None

    async def deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, window: Window
    ) -> list[Delivery]:
        """See ReadStore."""
        bounds = _bounds(filter_.created_gte, filter_.created_lt, window.after)
        return await self._deliveries(merchant_id, filter_, bounds, window.limit)

    async def deliveries_of(
        self, merchant_id: MerchantId, event_id: EventId, window: Window
    ) -> list[Delivery]:
        """See ReadStore."""
        below = _next(last_delivery_id_of(event_id))
        if window.after is not None:
            below = min(below, window.after)
        bounds = (below, event_id)
        return await self._deliveries(merchant_id, DeliveryFilter(), bounds, window.limit)

    async def delivery(self, merchant_id: MerchantId, delivery_id: DeliveryId) -> Delivery | None:
        """See ReadStore."""
        found = await self._control.call(_EVERY.sql, *_just(merchant_id, delivery_id))
        return delivery(found[0]) if found else None

    async def delivery_with_attempts(
        self, merchant_id: MerchantId, delivery_id: DeliveryId
    ) -> tuple[Delivery, list[Attempt]] | None:
        """See ReadStore."""
        arguments = _just(merchant_id, delivery_id)
        # A settle between two reads would show an attempt of a delivery that was never tried.
        async with self._control.snapshot() as connection:
            found = await connection.fetchrow(_EVERY.sql, *arguments)
            if found is None:
                return None
            attempts = await connection.fetch(_SQL["attempts"], merchant_id, delivery_id)
        return delivery(found), [_attempt(row) for row in attempts]

    async def last_statuses(
        self, merchant_id: MerchantId, delivery_ids: Sequence[DeliveryId]
    ) -> dict[DeliveryId, int | None]:
        """See ReadStore."""
        found = await self._control.call(_SQL["last_statuses"], merchant_id, list(delivery_ids))
        return {DeliveryId(row["delivery_id"]): row["status"] for row in found}

    async def count_deliveries(
        self, merchant_id: MerchantId, filter_: DeliveryFilter, *, at_most: int
    ) -> int:
        """See ReadStore."""
        bounds = _bounds(filter_.created_gte, filter_.created_lt, None)
        page = await self._page(merchant_id, filter_)
        counted = _LISTS["count"].replace("{page}", page.sql)
        rows = await self._control.call(counted, merchant_id, *bounds, at_most, *page.arguments)
        return int(rows[0]["count"])

    async def feed(
        self, merchant_id: MerchantId, endpoint_id: EndpointId, *, after: int, limit: int
    ) -> list[FeedEntry]:
        """See ReadStore. Numbers are given under the lane's lock, so none is given twice."""

        async def once() -> list[Row]:
            async with self._control.transaction() as connection:
                lane = await connection.fetchrow(_SQL["feed_lane"], endpoint_id, merchant_id)
                if lane is None:
                    return []
                last = await connection.fetchrow(_SQL["feed_numbered"], endpoint_id)
                since = _LEAST_ID
                if last is not None:
                    since = first_id_at(made_at(last["delivery_id"]) - _FEED_LATE)
                await connection.execute(
                    _SQL["feed_number"],
                    *(endpoint_id, merchant_id, since, lane["sequence_last"]),
                    limits.SLICE_ROWS_MAX,
                )
                return await connection.fetch(
                    _SQL["feed_page"], endpoint_id, merchant_id, after, limit
                )

        return [
            FeedEntry(
                sequence=row["sequence"],
                delivery=delivery(row),
                event=event(row, id_=EventId(row["event_id"])),
                expunged=row["expunged"],
            )
            for row in await self._control.persist(once)
        ]

    async def subscriptions(self, merchant_id: MerchantId) -> list[Subscription]:
        """See ReadStore."""
        return [
            Subscription(
                endpoint_id=EndpointId(row["endpoint_id"]),
                number=row["number"],
                version=row["version"],
                events=tuple(row["events"]),
                status=row["status"],
                listening=row["listening"],
            )
            for row in await self._control.call(_SQL["subscriptions"], merchant_id)
        ]

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
        async with self._control.borrowed() as connection:
            found = await connection.fetch(
                _SQL["facts"], merchant_id, after or _LEAST_ID, before, limit
            )
            if not found:
                return FactsPage(events=(), ended=True)
            rows = found[: together([row["fan_out"] for row in found], deliveries_max)]
            ends = (rows[0]["id"], rows[-1]["id"])
            made = await connection.fetch(_SQL["facts_deliveries"], merchant_id, *ends)
        deliveries: dict[bytes, list[DeliveryFacts]] = {row["id"]: [] for row in rows}
        for row in made:
            one = DeliveryFacts(
                id=DeliveryId(row["id"]), state=STATES[row["state"]], reason=reason(row["reason"])
            )
            # Of an event that committed between the two reads, perhaps: its turn comes later.
            deliveries.get(event_id_of(one.id), []).append(one)
        return FactsPage(
            events=[_facts(row, deliveries[row["id"]]) for row in rows],
            ended=len(rows) < limit and len(rows) == len(found),
        )

    async def subjects(
        self, merchant_id: MerchantId, *, after: EventId, limit: int
    ) -> list[Subject]:
        """See ReadStore."""
        return [
            Subject(
                event_id=EventId(row["id"]),
                family=row["family"],
                type=row["type"],
                object_type=row["object_type"],
                object_id=row["object_id"],
            )
            for row in await self._control.call(_SQL["subjects"], merchant_id, after, limit)
        ]

    async def merchants_using(self, family: str, window: Window) -> list[Merchant]:
        """See ReadStore."""
        asked = (family, window.after, window.limit)
        found = await self._control.call(_SQL["merchants_using"], *asked)
        return documents.decode_readable(Merchant, (row["document"] for row in found))

    async def _deliveries(
        self,
        merchant_id: MerchantId,
        filter_: DeliveryFilter,
        bounds: tuple[bytes, bytes],
        limit: int,
    ) -> list[Delivery]:
        page = await self._page(merchant_id, filter_)
        arguments = (merchant_id, *bounds, limit, *page.arguments)
        return [delivery(row) for row in await self._control.call(page.sql, *arguments)]

    async def _page(self, merchant_id: MerchantId, filter_: DeliveryFilter) -> Page:
        if not is_by_type(filter_):
            return Page(filter_, None)
        types = await types_of(self._control, merchant_id, filter_.event_types)
        return Page(filter_, types)

    async def _events(self, statement: str, *arguments: object) -> list[StoredEvent]:
        return await self._call(statement.replace("{status}", _SQL["status"]), *arguments)

    async def _call(self, text: str, *arguments: object) -> list[StoredEvent]:
        return [_stored(row) for row in await self._control.call(text, *arguments)]


def events_statement(filter_: EventFilter) -> str:
    """Return how events are read that no index of another table finds."""
    # Two texts: a parameter that may be NULL would hide from the planner which index serves.
    one = "$5::text IS NULL" if filter_.object_id is None else "e.object_id = $5"
    return _SQL["events"].replace("{status}", _SQL["status"]).replace("{of_object}", one)


def _just(merchant_id: MerchantId, delivery_id: DeliveryId) -> tuple[object, ...]:
    return merchant_id, _next(delivery_id), delivery_id, 1


def _bounds(
    created_gte: datetime | None, created_lt: datetime | None, after: bytes | None
) -> tuple[bytes, bytes]:
    """Return the id that is too great, and the least that is wanted."""
    ends = [_GREATEST_ID if after is None else after]
    if created_lt is not None:
        ends.append(first_id_at(created_lt))
    return min(ends), _LEAST_ID if created_gte is None else first_id_at(created_gte)


def _next(id_: bytes) -> bytes:
    """Return the least id above this one: no other lies between."""
    return (int.from_bytes(id_, "big") + 1).to_bytes(len(id_), "big")


def _stored(row: Row) -> StoredEvent:
    return StoredEvent(
        event=event(row, id_=EventId(row["id"])),
        status=row["status"],
        fan_out=row["fan_out"],
        routing_version=row["routing_version"],
        expunged=row["expunged"],
        findings=findings.decode(row["findings"]),
    )


def _attempt(row: Row) -> Attempt:
    return Attempt(
        delivery_id=DeliveryId(row["delivery_id"]),
        fence=row["fence"],
        late=row["late"],
        at=row["at"],
        status=row["status"],
        reason=reason(row["reason"]),
        detail=row["detail"],
        timing=Timing(
            dns_s=row["dns_s"],
            connect_s=row["connect_s"],
            tls_s=row["tls_s"],
            wait_s=row["wait_s"],
            total_s=row["total_s"],
        ),
        peer=row["peer"],
        answer_headers=() if row["headers"] is None else _HEADERS.decode(row["headers"]),
        answer_body=row["body"] or b"",
        answer_truncated=row["truncated"] or False,
    )


def _facts(row: Row, deliveries: list[DeliveryFacts]) -> EventFacts:
    # Only to ask the event what orders it: the rule is written down there.
    order_of = Event(
        id=EventId(row["id"]),
        merchant_id=MerchantId(b""),
        type=row["type"],
        family="",
        data=b"",
        object_type=row["object_type"],
        object_id=row["object_id"],
        ordering_key=row["ordering_key"],
    ).order_of
    return EventFacts(
        id=EventId(row["id"]),
        type=row["type"],
        routing_version=row["routing_version"],
        fan_out=row["fan_out"],
        order_of=order_of,
        deliveries=tuple(deliveries),
    )

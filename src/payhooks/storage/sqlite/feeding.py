"""The feed of an endpoint: deliveries numbered when somebody reads them."""

from datetime import timedelta
from heapq import merge
from itertools import islice
from typing import Final

import apsw

from payhooks.ids import (
    DeliveryId,
    EndpointId,
    MerchantId,
    event_id_of,
    first_id_at,
    made_at,
)
from payhooks.ports.reading import FeedEntry
from payhooks.storage import statements
from payhooks.storage.sqlite.connection import first, rows, run, run_many
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.reading import events, one_delivery
from payhooks.storage.sqlite.selecting import Where
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "reading.sql")
_NUMBERED_MAX: Final = 1_000  # in one read; the next read goes on
# A row may commit this much later than its id was made: four times ACCEPT_GIVE_UP_S.
_LATE: Final = timedelta(minutes=2)


class SqliteFeed(Part):
    """See ReadStore."""

    async def feed(
        self, merchant_id: MerchantId, endpoint_id: EndpointId, *, after: int, limit: int
    ) -> list[FeedEntry]:
        """See ReadStore."""

        def work(db: apsw.Connection) -> list[FeedEntry]:
            lane = first(db, _SQL["lane_feed"], (endpoint_id, merchant_id))
            if lane is None:
                return []
            _number(db, merchant_id, endpoint_id, last=lane[0], greatest=lane[1])
            found = rows(db, _SQL["feed"], (endpoint_id, after, limit))
            entries = (_entry(db, merchant_id, *row) for row in found)
            return [entry for entry in entries if entry is not None]

        return await self._write(Kind.SLOW, work)


def _number(
    db: apsw.Connection,
    merchant_id: MerchantId,
    endpoint_id: EndpointId,
    *,
    last: int,
    greatest: bytes,
) -> None:
    bound = first_id_at(made_at(greatest) - _LATE) if greatest else b""
    of_queue = (merchant_id, endpoint_id, bound, _NUMBERED_MAX)
    undone = rows(db, _SQL["unnumbered_undone"], of_queue)
    final = rows(db, _SQL["unnumbered_final"], (endpoint_id, bound, _NUMBERED_MAX))
    # A replayed delivery is in both tables, and is numbered once.
    ids = dict.fromkeys(id_ for (id_,) in merge(undone, final))
    new = list(islice(ids, _NUMBERED_MAX))
    if new:
        numbered = [
            (endpoint_id, sequence, merchant_id, id_) for sequence, id_ in enumerate(new, last + 1)
        ]
        run_many(db, _SQL["number"], numbered)
        run(db, _SQL["numbered"], (endpoint_id, last + len(new), new[-1]))


def _entry(
    db: apsw.Connection, merchant_id: MerchantId, sequence: int, delivery_id: DeliveryId
) -> FeedEntry | None:
    where = Where()
    where.narrow("e.id = ?", event_id_of(delivery_id))
    deliveries = one_delivery(db, merchant_id, delivery_id)
    stored = events(db, merchant_id, where, 1)
    if not deliveries or not stored:
        return None
    return FeedEntry(
        sequence=sequence,
        delivery=deliveries[0],
        event=stored[0].event,
        expunged=stored[0].expunged,
    )

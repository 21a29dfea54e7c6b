"""Retention: the oldest events go, with all that is known of them."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Final

import apsw

from payhooks import limits
from payhooks.ids import EventId, MerchantId, event_id_of, first_id_at, last_delivery_id_of
from payhooks.model.delivery import State, Trigger
from payhooks.storage import statements
from payhooks.storage.sqlite.connection import (
    Row,
    blobs,
    rows,
    rows_of_many,
    run,
    run_many,
    to_us,
)
from payhooks.storage.sqlite.parts import CODES, Part
from payhooks.storage.sqlite.settling import Undone, end
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "sweeping.sql")
_OF_DELIVERIES: Final = ("purge_attempts", "purge_bodies", "purge_rendered", "purge_feed")


class SqliteRetire(Part):
    """See SweepStore."""

    async def retire(self, *, before: datetime, limit: int) -> int:
        """See SweepStore."""
        bound = first_id_at(before)
        old = await self._read(lambda db: _old_events(db, bound, limit))
        retired = await self._write(Kind.SLOW, lambda db: _retire_events(db, old, self._now_us()))
        # Apart, so that whoever waits for the writer goes between the two.
        return retired + await self._write(
            Kind.SLOW, lambda db: _retire_bodies(db, self._clock.now(), limit)
        )


def _old_events(db: apsw.Connection, bound: bytes, limit: int) -> list[Row]:
    first = rows(db, _SQL["first_events"], (bound, limit))
    # Neighbours, which share their pages. Where some of the first are young, the others are too,
    # or those were accepted while the clock was ahead.
    found = first if len(first) == limit else rows(db, _SQL["old_events"], (bound, limit))
    # With all of their deliveries they go in one transaction, for which publishers wait.
    together = list(accumulate(1 + fan_out for _, _, _, fan_out in found))
    return found[: max(bisect_right(together, limit), 1)]


def _retire_events(db: apsw.Connection, old: Sequence[Row], now: int) -> int:
    spans = [(merchant_id, id_, last_delivery_id_of(id_)) for merchant_id, id_, _, _ in old]
    undone = rows_of_many(db, _SQL["undone_of"], spans)
    waiting = [Undone(*row[:4]) for row in undone if row[4] != CODES[State.LEASED]]
    # They end visibly first; the next slice takes them.
    ended = end(db, waiting, Trigger.CANCEL, now=now)
    kept = {event_id_of(row[1]) for row in undone}
    gone = [row for row in old if row[1] not in kept]
    _purge(db, gone, now)
    return ended + len(gone)


def _purge(db: apsw.Connection, old: Sequence[Row], now: int) -> None:
    spans = [(merchant, id_, last_delivery_id_of(EventId(id_))) for merchant, id_, _, _ in old]
    of_merchant: dict[EventId, MerchantId] = {row[1]: row[0] for row in old}
    ids = [id_ for (id_,) in rows_of_many(db, _SQL["deliveries_of"], spans)]
    for name in _OF_DELIVERIES:
        run(db, _SQL[name], (blobs(ids),))
    freed = rows(db, _SQL["purge_order_blocks"], (blobs(ids),))
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in freed])
    keyed = [(of_merchant[event_id_of(id_)], id_) for id_ in ids]
    run_many(db, _SQL["purge_deliveries"], keyed)
    run(db, _SQL["purge_keys"], (blobs(row[2] for row in old if row[2] is not None),))
    run_many(db, _SQL["purge_events"], [row[:2] for row in old])


def _retire_bodies(db: apsw.Connection, now: datetime, limit: int) -> int:
    bound = now - timedelta(days=limits.ANSWER_KEPT_DAYS)
    answers = run(db, _SQL["retire_bodies"], (to_us(bound), limit))
    return answers + run(db, _SQL["retire_rendered"], (first_id_at(bound), limit))

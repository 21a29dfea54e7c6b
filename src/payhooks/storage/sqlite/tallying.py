"""Counts by step, for charts and lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import apsw

from payhooks.ids import EndpointId, MerchantId
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally
from payhooks.storage import statements
from payhooks.storage.sqlite.connection import Row, blobs, from_us, rows, run, run_many, to_us
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "tallying.sql")
_WHOLE: Final = bytes(16)


class SqliteTally(Part):
    """See TallyStore."""

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """See TallyStore."""
        values = [_row(one) for one in tallies]
        await self._write(Kind.SLOW, lambda db: run_many(db, _SQL["add"], values))

    async def merchant_tallies(
        self, merchant_id: MerchantId, *, step_s: int, since: datetime, until: datetime
    ) -> list[Tally]:
        """See TallyStore."""
        bindings = (merchant_id, _WHOLE, step_s, to_us(since), to_us(until))
        return await self._tallies("of_merchant", bindings)

    async def endpoint_tallies(
        self, merchant_id: MerchantId, endpoint_ids: Sequence[EndpointId], *, since: datetime
    ) -> list[Tally]:
        """See TallyStore."""
        bindings = (merchant_id, blobs(endpoint_ids), HOUR_S, to_us(since))
        return await self._tallies("of_endpoints", bindings)

    async def endpoint_totals(
        self, merchant_id: MerchantId, *, since: datetime, limit: int
    ) -> list[Tally]:
        """See TallyStore."""
        return await self._tallies("totals", (merchant_id, _WHOLE, HOUR_S, to_us(since), limit))

    async def forget_tallies(
        self, *, minutes_before: datetime, hours_before: datetime, limit: int
    ) -> int:
        """See TallyStore."""

        def work(db: apsw.Connection) -> int:
            minutes = run(db, _SQL["forget"], (MINUTE_S, to_us(minutes_before), limit))
            return minutes + run(db, _SQL["forget"], (HOUR_S, to_us(hours_before), limit))

        return await self._write(Kind.SLOW, work)

    async def _tallies(self, name: str, bindings: Sequence[object]) -> list[Tally]:
        return await self._read(lambda db: [_tally(row) for row in rows(db, _SQL[name], bindings)])


def _row(one: Tally) -> Row:
    return (
        one.merchant_id,
        one.endpoint_id or _WHOLE,
        one.step_s,
        to_us(one.at),
        one.accepted,
        one.delivered,
        one.failed,
        one.attempts,
        one.attempts_failed,
        *one.responses,
    )


def _tally(row: Row) -> Tally:
    merchant_id, endpoint_id, step_s, at, accepted, delivered, failed, attempts, bad, *took = row
    return Tally(
        merchant_id=MerchantId(merchant_id),
        endpoint_id=None if endpoint_id == _WHOLE else EndpointId(endpoint_id),
        step_s=step_s,
        at=from_us(at),
        accepted=accepted,
        delivered=delivered,
        failed=failed,
        attempts=attempts,
        attempts_failed=bad,
        responses=tuple(took),
    )

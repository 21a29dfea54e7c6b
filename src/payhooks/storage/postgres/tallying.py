"""Counts by step, for charts and lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from payhooks.ids import EndpointId, MerchantId
from payhooks.policy.fitness import RESPONSE_MS
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally
from payhooks.storage import statements
from payhooks.storage.postgres.connections import Connections, Row

_SQL: Final = statements.load("payhooks.storage.postgres", "tallying.sql")
_WHOLE: Final = bytes(16)
_COUNTS: Final = ("accepted", "delivered", "failed", "attempts", "attempts_failed")
_RESPONSES: Final = (*(f"took_{bound}" for bound in RESPONSE_MS), "took_more")


class PostgresTally:
    """See TallyStore."""

    _control: Connections

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """See TallyStore."""
        arguments = [
            [one.merchant_id for one in tallies],
            [one.endpoint_id or _WHOLE for one in tallies],
            [one.step_s for one in tallies],
            [one.at for one in tallies],
            *([getattr(one, name) for one in tallies] for name in _COUNTS),
            *([one.responses[at] for one in tallies] for at in range(len(_RESPONSES))),
        ]
        await self._control.persist(lambda: self._control.call(_SQL["add"], *arguments))

    async def merchant_tallies(
        self, merchant_id: MerchantId, *, step_s: int, since: datetime, until: datetime
    ) -> list[Tally]:
        """See TallyStore."""
        rows = await self._control.call(
            _SQL["of_merchant"], merchant_id, _WHOLE, step_s, since, until
        )
        return [_tally(row) for row in rows]

    async def endpoint_tallies(
        self, merchant_id: MerchantId, endpoint_ids: Sequence[EndpointId], *, since: datetime
    ) -> list[Tally]:
        """See TallyStore."""
        rows = await self._control.call(
            _SQL["of_endpoints"], merchant_id, list(endpoint_ids), HOUR_S, since
        )
        return [_tally(row) for row in rows]

    async def endpoint_totals(
        self, merchant_id: MerchantId, *, since: datetime, limit: int
    ) -> list[Tally]:
        """See TallyStore."""
        rows = await self._control.call(_SQL["totals"], merchant_id, _WHOLE, HOUR_S, since, limit)
        return [_tally(row) for row in rows]

    async def forget_tallies(
        self, *, minutes_before: datetime, hours_before: datetime, limit: int
    ) -> int:
        """See TallyStore."""
        gone = 0
        for step_s, before in ((MINUTE_S, minutes_before), (HOUR_S, hours_before)):
            gone += (await self._control.call(_SQL["forget"], step_s, before, limit))[0]["count"]
        return gone


def _tally(row: Row) -> Tally:
    endpoint_id = row["endpoint_id"]
    return Tally(
        merchant_id=MerchantId(row["merchant_id"]),
        endpoint_id=None if endpoint_id == _WHOLE else EndpointId(endpoint_id),
        step_s=row["step_s"],
        at=row["at"],
        accepted=row["accepted"],
        delivered=row["delivered"],
        failed=row["failed"],
        attempts=row["attempts"],
        attempts_failed=row["attempts_failed"],
        responses=tuple(row[name] for name in _RESPONSES),
    )

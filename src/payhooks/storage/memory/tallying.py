"""Counts by step, for charts and lists."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from payhooks.ids import EndpointId, MerchantId
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally
from payhooks.storage.memory.tables import Tables

_SUMMED = ("accepted", "delivered", "failed", "attempts", "attempts_failed")


class MemoryTally:
    """See TallyStore."""

    _tables: Tables

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """See TallyStore."""
        known = self._tables.tallies
        for tally in tallies:
            key = (tally.merchant_id, tally.endpoint_id, tally.step_s, tally.at)
            known[key] = _sum(tally, known[key]) if key in known else tally

    async def merchant_tallies(
        self, merchant_id: MerchantId, *, step_s: int, since: datetime, until: datetime
    ) -> list[Tally]:
        """See TallyStore."""
        found = (
            one
            for one in self._tables.tallies.values()
            if one.merchant_id == merchant_id and one.endpoint_id is None and one.step_s == step_s
        )
        return sorted((one for one in found if since <= one.at < until), key=lambda one: one.at)

    async def endpoint_tallies(
        self, merchant_id: MerchantId, endpoint_ids: Sequence[EndpointId], *, since: datetime
    ) -> list[Tally]:
        """See TallyStore."""
        found = self._of_endpoints(merchant_id, since)
        asked = [(one.endpoint_id, one) for one in found if one.endpoint_id in endpoint_ids]
        return [one for _, one in sorted(asked, key=lambda pair: (pair[0], pair[1].at))]

    async def endpoint_totals(
        self, merchant_id: MerchantId, *, since: datetime, limit: int
    ) -> list[Tally]:
        """See TallyStore."""
        totals: dict[EndpointId, Tally] = {}
        for one in self._of_endpoints(merchant_id, since):
            assert one.endpoint_id is not None
            total = totals.get(one.endpoint_id)
            moved = msgspec.structs.replace(one, at=since)
            totals[one.endpoint_id] = moved if total is None else _sum(moved, total)
        most = sorted(totals.items(), key=lambda pair: (-pair[1].attempts, pair[0]))
        return [total for _, total in most[:limit] if total.attempts]

    async def forget_tallies(
        self, *, minutes_before: datetime, hours_before: datetime, limit: int
    ) -> int:
        """See TallyStore."""
        gone = 0
        for step_s, before in ((MINUTE_S, minutes_before), (HOUR_S, hours_before)):
            known = self._tables.tallies
            old = [key for key, one in known.items() if one.step_s == step_s and one.at < before]
            for key in old[:limit]:
                del known[key]
                gone += 1
        return gone

    def _of_endpoints(self, merchant_id: MerchantId, since: datetime) -> Iterable[Tally]:
        return (
            one
            for one in self._tables.tallies.values()
            if one.merchant_id == merchant_id and one.endpoint_id is not None and one.at >= since
        )


def _sum(one: Tally, other: Tally) -> Tally:
    counts = {name: getattr(one, name) + getattr(other, name) for name in _SUMMED}
    responses = tuple(map(sum, zip(one.responses, other.responses, strict=True)))
    return msgspec.structs.replace(one, responses=responses, **counts)

"""The schedule: one call of lease_v4 folds wakes, claims lanes and leases deliveries."""

from collections.abc import Sequence
from typing import Final

from payhooks import limits
from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, ReplayId
from payhooks.model.delivery import PROBATION_AFTER
from payhooks.ports.leasing import LaneNews, LaneReport, Lease, Leased, Trial
from payhooks.storage.postgres.connections import Connections, Row
from payhooks.storage.postgres.rows import event
from payhooks.storage.trials import BANDS, EVERY, FREE

_LEASE: Final = "SELECT * FROM lease_v4($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
_REPORT: Final = "SELECT report_v1($1, $2, $3)"
_WAKES_MAX: Final = 2_000  # folded in one look; the next look is at once where more wait
_NEWS: Final = {
    LaneNews.FAILING: 0,
    LaneNews.RECOVERED: 1,
    LaneNews.RESTED: 2,
    LaneNews.TRIPPED: 3,
}


class PostgresLease:
    """See LeaseStore."""

    _leasing: Connections
    _control: Connections

    async def lease(  # noqa: PLR0913 - whose look, and all that bounds what it brings
        self,
        *,
        owner: int,
        lanes_max: int,
        per_lane_max: int,
        skip: Sequence[EndpointId],
        only: EndpointId | None = None,
        trial: Trial = Trial.NONE,
    ) -> Lease:
        """See LeaseStore."""
        # A stream asks often and for one lane only; it must not stand in the workers' way.
        connections = self._leasing if only is None else self._control
        freely, tried = FREE if only is None else EVERY, BANDS[trial]
        rows = await connections.persist(
            lambda: connections.call(
                _LEASE,
                *(owner, lanes_max, per_lane_max, list(skip), only),
                *(limits.SLICE_ROWS_MAX, _WAKES_MAX),
                *(freely.below, tried.at_least, tried.below, tried.together_max, PROBATION_AFTER),
            )
        )
        head, *found = rows
        return Lease(leased=tuple(_leased(row) for row in found), look_again_s=head["look_again_s"])

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore."""
        if not reports:
            return
        arguments = (
            [report.endpoint_id for report in reports],
            [_NEWS[report.news] for report in reports],
            [report.rest_s for report in reports],
        )
        await self._control.persist(lambda: self._control.call(_REPORT, *arguments))


def _leased(row: Row) -> Leased:
    return Leased(
        id=DeliveryId(row["id"]),
        endpoint_id=EndpointId(row["endpoint_id"]),
        merchant_id=MerchantId(row["merchant_id"]),
        event=event(row, id_=EventId(row["event_id"])),
        fence=row["fence"],
        attempts_made=row["attempts_made"],
        lease_s=row["lease_s"],
        order_key=row["order_key"],
        dialect=row["dialect"],
        dialect_version=row["dialect_version"],
        replay_id=None if row["replay_id"] is None else ReplayId(row["replay_id"]),
        replay_bulk=row["replay_bulk"],
        rendered=row["rendered"],
        routing_version=row["routing_version"],
        lane_failing=row["lane_failing"],
        lane_probe=row["lane_probe"],
        probation=row["probation"],
    )

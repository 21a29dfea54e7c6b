"""One delivery under way: check that it may still go, send, judge, write down."""

import asyncio
from random import Random
from typing import Final

from payhooks.clock import Clock
from payhooks.errors import NotFoundError, UnavailableError
from payhooks.flow.routing import Directory, RoutingTable
from payhooks.flow.send import Sender, Sent
from payhooks.flow.settle import RETRY_S_MIN, Judged, Settler
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.ports.leasing import LaneReport, Leased, LeaseStore
from payhooks.ports.telemetry import Telemetry
from payhooks.worker.dispatcher import Write
from payhooks.worker.lanes import Lane, judge

# Then the outcome is written down without its news: what the breaker finds next tells it
# again, but an outcome that is dropped is sent again, and after three times poisoned.
_REPORT_TRIES: Final = 3


class Attempts:
    """Makes the attempts of this process."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        store: LeaseStore,
        directory: Directory,
        sender: Sender,
        settler: Settler,
        clock: Clock,
        random: Random,
        telemetry: Telemetry,
    ) -> None:
        """Take the steps that an attempt is made of."""
        self._store = store
        self._directory = directory
        self._sender = sender
        self._settler = settler
        self._clock = clock
        self._random = random
        self._telemetry = telemetry

    async def attempt(self, leased: Leased, lane: Lane) -> Write | None:
        """Make one attempt and have its outcome written down.

        Returns what is left to do once its slot is free: telling the store news of the lane.
        """
        found = await self._find(leased)
        if found is None:
            self._settler.give_back(leased)
            return None
        table, endpoint = found
        sent = await self._sender.send(leased, endpoint, table)
        judged = self._settler.judge(leased, endpoint, sent)
        reports = judge(
            lane,
            leased,
            judged.verdict,
            judged.decision.trigger,
            clock=self._clock,
            random=self._random,
        )
        if reports:
            return lambda: self._write(leased, endpoint, sent, judged, reports)
        self._settler.settle(leased, endpoint, sent, judged)
        return None

    async def _find(self, leased: Leased) -> tuple[RoutingTable, Endpoint] | None:
        """Return where to send, or None where the endpoint may not be told now."""
        table = self._directory.cached(leased.merchant_id)
        if table is None or table.version < leased.routing_version:
            try:
                table = await self._directory.at_least(leased.merchant_id, leased.routing_version)
            except (NotFoundError, UnavailableError):
                # Given back, not dropped: leases that run out count towards poison.
                return None
        endpoint = table.endpoint(leased.endpoint_id)
        # Paused or deleted since it was leased: the store knows what becomes of it.
        if endpoint is None or endpoint.status is not EndpointStatus.ACTIVE:
            return None
        return table, endpoint

    async def _write(
        self,
        leased: Leased,
        endpoint: Endpoint,
        sent: Sent,
        judged: Judged,
        reports: list[LaneReport],
    ) -> None:
        # The lane first: a rest that is known only after the retry is due would be late.
        await self._report(reports)
        self._settler.settle(leased, endpoint, sent, judged)

    async def _report(self, reports: list[LaneReport]) -> None:
        for _ in range(_REPORT_TRIES):
            try:
                await self._store.report(reports)
            except UnavailableError as error:
                self._telemetry.alarmed("report_waits", str(error))
                await asyncio.sleep(RETRY_S_MIN)
                continue
            for report in reports:
                self._telemetry.lane_reported(report.merchant_id, report.endpoint_id, report.news)
            return

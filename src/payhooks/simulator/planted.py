"""Bugs put in on purpose. A simulator that does not find them proves nothing about the rest."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from payhooks.clock import Clock
from payhooks.flow.routing import RoutingTable
from payhooks.flow.send import Sent
from payhooks.model.attempt import Answer, Timing
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus
from payhooks.ports.accepting import Acceptance, Accepted, Arrival
from payhooks.ports.controlling import Change
from payhooks.ports.leasing import LaneNews, LaneReport, Leased
from payhooks.ports.settling import Settlement
from payhooks.ports.transport import UnderWay
from payhooks.simulator.auditor import Auditor
from payhooks.storage.memory import MemoryStore
from payhooks.worker.attempts import Attempts
from payhooks.worker.dispatcher import Done
from payhooks.worker.lanes import Lane

# One wake in so many is forgotten, so that the other wakes of a lane cannot always mend it.
_FORGETS_ONE_IN: Final = 3


class Bug(StrEnum):
    """What may be planted."""

    NO_FENCE = "no_fence"  # a settle does not look whose lease it is
    SETTLE_FIRST = "settle_first"  # written down as delivered, then sent
    FORGOTTEN_LANE = "forgotten_lane"  # an accept leaves no wake


class SimulatedStore(MemoryStore):
    """The memory store, whose tables and lane news the auditor sees."""

    def __init__(self, *, auditor: Auditor, clock: Clock) -> None:
        super().__init__(clock=clock, observer=auditor.observe)
        self._auditor = auditor
        auditor.watch(self._tables)

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore."""
        for report in reports:
            lane = self._tables.lanes[report.endpoint_id]
            self._auditor.note("lane", report.endpoint_id.hex(), report.news, report.rest_s)
            if report.news is LaneNews.RESTED:
                self._auditor.rested(report.endpoint_id, report.rest_s)
            elif report.news is LaneNews.RECOVERED and lane.circuit_open:
                # The store keeps one rest for both; a probe that succeeds ends it.
                self._auditor.reopened(report.endpoint_id)
        await super().report(reports)

    async def apply(self, change: Change) -> None:
        """See ControlStore."""
        await super().apply(change)
        for secret in change.secrets:
            self._auditor.secrets.keep(secret)
        endpoint = change.endpoint
        if endpoint is not None:
            self._auditor.note("endpoint", endpoint.id.hex(), endpoint.status)
            if endpoint.status is EndpointStatus.ACTIVE:
                self._auditor.reopened(endpoint.id)


class NoFence(SimulatedStore):
    """Take every word for the present owner's."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore, but for the fence."""
        return await super().settle([self._refenced(each) for each in settlements])

    def _refenced(self, settlement: Settlement) -> Settlement:
        row = self._tables.queue.rows.get(settlement.delivery_id)
        if row is None or row.state is not State.LEASED:
            return settlement
        return msgspec.structs.replace(settlement, fence=row.fence)


class ForgottenLane(SimulatedStore):
    """Now and then leave no word for the lanes of what was accepted."""

    def __init__(self, *, auditor: Auditor, clock: Clock) -> None:
        super().__init__(auditor=auditor, clock=clock)
        self._accepts = 0

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore, but for the wakes."""
        wakes = {lane: dict(keys) for lane, keys in self._tables.wakes.items()}
        acceptances = await super().accept(arrivals, owner=owner)
        if any(isinstance(acceptance, Accepted) for acceptance in acceptances):
            self._accepts += 1
            if self._accepts % _FORGETS_ONE_IN == 0:
                self._tables.wakes = wakes
        return acceptances


class SettlesFirst(Attempts):
    """Say that it went well, then send."""

    def _begin(
        self, leased: Leased, lane: Lane, table: RoutingTable, done: Done
    ) -> UnderWay | None:
        endpoint = table.endpoint(leased.endpoint_id)
        if endpoint is not None and endpoint.status is EndpointStatus.ACTIVE:
            good = Answer(
                status=200,
                headers=(),
                body=b"",
                body_truncated=False,
                timing=Timing(),
                peer=None,
            )
            sent = Sent(outcome=good, body=b"", began_at=self._clock.now())
            judged = self._settler.judge(leased, endpoint, sent)
            self._settler.settle(leased, endpoint, sent, judged)
        return super()._begin(leased, lane, table, done)


def make_store(bug: Bug | None, *, auditor: Auditor, clock: Clock) -> SimulatedStore:
    """Return the store, right or with the planted bug."""
    match bug:
        case Bug.NO_FENCE:
            return NoFence(auditor=auditor, clock=clock)
        case Bug.FORGOTTEN_LANE:
            return ForgottenLane(auditor=auditor, clock=clock)
        case _:
            return SimulatedStore(auditor=auditor, clock=clock)

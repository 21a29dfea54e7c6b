"""One delivery under way: check that it may still go, send, judge, write down."""

import asyncio
from functools import partial
from random import Random
from typing import Final

from payhooks import limits
from payhooks.clock import Clock
from payhooks.dialects.deadlines import timeout_s
from payhooks.errors import DamagedError, NotFoundError, UnavailableError
from payhooks.flow.routing import Directory, RoutingTable
from payhooks.flow.send import Sender, Sent
from payhooks.flow.settle import RETRY_S_MIN, Judged, Settler, holds_up
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.policy.classify import OUR_FAULT_REST_S
from payhooks.ports.leasing import LaneNews, LaneReport, Leased, LeaseStore
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import UnderWay
from payhooks.worker.dispatcher import Done, Write
from payhooks.worker.lanes import Held, Lane, judge

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

    def begin(self, held: Held, done: Done) -> UnderWay | None:
        """Begin one attempt and have its outcome written down.

        *done* is told once what is left to do when its slot is free: telling the store news of
        the lane. Cancelled, it spends nothing. Returns None where *done* was told already.
        """
        table = self._directory.cached(held.leased.merchant_id)
        if table is None or table.version < held.leased.routing_version:
            return asyncio.get_running_loop().create_task(self._begin_late(held, done))
        return self._begin(held, table, done)

    def _begin(self, held: Held, table: RoutingTable, done: Done) -> UnderWay | None:
        leased = held.leased
        endpoint = table.endpoint(leased.endpoint_id)
        # Paused or deleted since it was leased: the store knows what becomes of it.
        if endpoint is None or endpoint.status is not EndpointStatus.ACTIVE:
            self._settler.give_back(leased)
            done(None)
            return None
        ended = partial(self._end, leased, held.lane, endpoint, done)
        now_s = self._clock.monotonic_s()
        # The endpoint may have been given a longer time-out since this was leased.
        held.over_s = min(now_s + timeout_s(endpoint), held.ends_s)
        deadline_s = held.over_s - now_s
        return self._sender.begin(leased, endpoint, table, ended, deadline_s=deadline_s)

    async def _begin_late(self, held: Held, done: Done) -> None:
        """Begin with a table that must be loaded first; until then this task is under way."""
        leased = held.leased
        write: Write | None = None
        try:
            table = await self._directory.at_least(leased.merchant_id, leased.routing_version)
            if self._clock.monotonic_s() - held.taken_at_s > limits.WAIT_IN_MEMORY_S_MAX:
                # What is left of the lease is less than the request may take.
                self._settler.give_back(leased)
            else:
                # From now on that is what a stop breaks off. Were this task to wait for the end,
                # one that comes in the turn of the stop would be heard, and broken off as well.
                held.under_way = self._begin(held, table, done)
                return
        except DamagedError as error:
            # The lane rests, or what is given back would be leased again at once, for ever.
            self._telemetry.alarmed("our_fault", str(error))
            write = partial(self._rest, leased)
        except (NotFoundError, UnavailableError):
            # Given back, not dropped: leases that run out count towards poison.
            self._settler.give_back(leased)
        except Exception as error:  # noqa: BLE001 - the top of a loop: one delivery's bug is its own
            self._telemetry.bug_caught("attempt", error)
        done(write)

    def _end(self, leased: Leased, lane: Lane, endpoint: Endpoint, done: Done, sent: Sent) -> None:
        write: Write | None = None
        try:
            write = self._settle(leased, lane, endpoint, sent)
        except Exception as error:  # noqa: BLE001 - as above
            self._telemetry.bug_caught("attempt", error)
        done(write)

    def _settle(self, leased: Leased, lane: Lane, endpoint: Endpoint, sent: Sent) -> Write | None:
        judged = self._settler.judge(leased, endpoint, sent)
        reports = judge(
            lane,
            leased,
            judged.verdict,
            judged.decision.trigger,
            clock=self._clock,
            random=self._random,
        )
        if reports or holds_up(leased, endpoint, judged.decision):
            return lambda: self._write(leased, endpoint, sent, judged, reports)
        self._settler.settle(leased, endpoint, sent, judged)
        return None

    async def _write(
        self,
        leased: Leased,
        endpoint: Endpoint,
        sent: Sent,
        judged: Judged,
        reports: list[LaneReport],
    ) -> None:
        # The lane first: a rest that is known only after the retry is due would be late.
        try:
            if reports:
                await self._report(reports)
            if holds_up(leased, endpoint, judged.decision):
                endpoint = await self._as_edited(leased, endpoint)
        finally:
            # A process that stops waits for no news; what came of a request it does not forget.
            self._settler.settle(leased, endpoint, sent, judged)

    async def _as_edited(self, leased: Leased, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as it is now, if that can be told.

        Edited while this was sent, it may hold no object up any more; nobody would free this one.
        """
        try:
            table = await self._directory.reload(leased.merchant_id)
        except (DamagedError, NotFoundError, UnavailableError):
            return endpoint
        return table.endpoint(leased.endpoint_id) or endpoint

    async def _rest(self, leased: Leased) -> None:
        report = LaneReport(
            merchant_id=leased.merchant_id,
            endpoint_id=leased.endpoint_id,
            news=LaneNews.RESTED,
            rest_s=OUR_FAULT_REST_S,
        )
        try:
            await self._report([report])
        finally:
            self._settler.give_back(leased)

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

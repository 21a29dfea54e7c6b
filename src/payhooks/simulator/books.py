"""The books: sums and records that must agree, now and then, and when all is over."""

from payhooks.control import audit, reconcile
from payhooks.control.context import SYSTEM, Control
from payhooks.ids import DeliveryId
from payhooks.model.attempt import OurFault, Reason
from payhooks.model.delivery import State
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.hearings import Hearings
from payhooks.simulator.promises import Promise
from payhooks.simulator.record import Request


class Books:
    """Compares what different tables and different witnesses say."""

    def __init__(self, auditor: Auditor, control: Control) -> None:
        """Take the auditor, and a control plane whose store nothing lies in between."""
        self._auditor = auditor
        self._control = control

    async def compare(self) -> None:
        """Check what must hold at any time, and costs too much to look at each time."""
        auditor = self._auditor
        pending = await self._control.store.pending()
        counted = {state.value: count for state, count in auditor.record.states.items() if count}
        gauged = {state: count for state, count in pending.states if count}
        auditor.demand(
            Promise.GAUGES, counted == gauged, lambda: f"gauges say {gauged}, there are {counted}"
        )
        for merchant in list(auditor.tables.merchants.values()):
            report = await reconcile.reconcile(self._control, SYSTEM, merchant)
            if not (report.is_equal and all(hour.is_equal for hour in report.hours.values())):
                auditor.blame(Promise.RECONCILED, f"they differ: {report.differences[:3]}")
        auditor.mark("reconciled")

    async def close(self) -> None:
        """Check what can only be checked when all is over."""
        await self.compare()
        auditor, record, tables = self._auditor, self._auditor.record, self._auditor.tables
        for chain in await audit.verify_all(self._control):
            if chain.broken_at is not None:
                auditor.blame(Promise.AUDIT, f"a chain is broken at {chain.broken_at}")
        for (_, key), event_id in record.told.items():
            if event_id not in tables.events:
                auditor.blame(Promise.STORED, f"{key} was answered, but is lost")
        for id_, row in tables.deliveries.items():
            if row.state is State.DELIVERED and not record.sights.get(id_):
                what = f"{id_.hex()} is delivered, but no receiver has seen it"
                auditor.blame(Promise.STORED, what)
        for (id_, fence), request in record.requests.items():
            self._check_outcome_is_kept(id_, fence, request)
        self._check_sights()
        Hearings(auditor).close()

    def _check_sights(self) -> None:
        """Check that attempts tell of every sight, and of nothing else."""
        record, attempts = self._auditor.record, self._auditor.tables.attempts
        for id_, sights in record.sights.items():
            for fence in sights:
                told = {(fence, False), (fence, True)} & attempts.get(id_, {}).keys()
                if not told and (id_, fence) not in record.cut_short:
                    what = f"{id_.hex()} was seen under lease {fence}, of which no attempt tells"
                    self._auditor.blame(Promise.EXPLAINED, what)
        for id_, kept in attempts.items():
            for fence, _ in kept:
                if (id_, fence) not in record.leases:
                    what = f"an attempt of {id_.hex()} tells of lease {fence}, which never was"
                    self._auditor.blame(Promise.RECORD, what)

    def _check_outcome_is_kept(self, id_: DeliveryId, fence: int, request: Request) -> None:
        """Check that what a process learnt is written down, late or not, unless it died."""
        if request.life.dead or request.returned is None:
            return
        if isinstance(request.returned, OurFault):
            return
        attempts = self._auditor.tables.attempts.get(id_, {})
        kept = [attempts.get((fence, late)) for late in (False, True)]
        if not any(each is not None and each.reason is not Reason.ABANDONED for each in kept):
            what = f"what came of {id_.hex()} under lease {fence} was forgotten"
            self._auditor.blame(Promise.RECORD, what)

"""The memory store, whose tables and changes the auditor sees."""

from collections.abc import Sequence
from typing import Any

from payhooks.clock import Clock
from payhooks.flow.conclude import FAMILY
from payhooks.ids import DeliveryId, MerchantId, ReceiptId, ReplayId
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import State, Trigger
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.receipt import Receipt
from payhooks.model.replay import Replay
from payhooks.ports.accepting import Acceptance, Arrival, Repeated, StaleHistory, StaleRouting
from payhooks.ports.controlling import Cancelled, Change
from payhooks.ports.leasing import LaneNews, LaneReport
from payhooks.ports.receiving import Conclusion
from payhooks.ports.settling import Settlement
from payhooks.simulator.answers import Answers
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.hearings import Hearings
from payhooks.simulator.moves import Moves
from payhooks.storage.memory import DeliveryMoved, EventAccepted, MemoryStore


class WatchedStore(MemoryStore):
    """Right in everything; whoever plants a bug makes a subclass."""

    def __init__(self, *, auditor: Auditor, clock: Clock) -> None:
        super().__init__(clock=clock, observer=self._observe)
        self._auditor = auditor
        self._moves = Moves(auditor)
        self._answers = Answers(auditor)
        self._hearings = Hearings(auditor)
        auditor.watch(self._tables)

    def _observe(self, kind: str, fact: object) -> None:
        match fact:
            case EventAccepted():
                self._answers.event_accepted(fact)
                self._hearings.told(fact.event)
            case DeliveryMoved():
                self._moves.moved(fact)
            case _:
                raise AssertionError(kind)

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore."""
        again = any(arrival.event.id in self._tables.events for arrival in arrivals)
        carried = [each.conclusion for each in arrivals if each.conclusion is not None]
        undone = self._hearings.undone(carried)
        acceptances = await super().accept(arrivals, owner=owner)
        self._hearings.concluded(undone)
        self._answers.batch_accepted(list(arrivals), acceptances)
        if again:
            self._auditor.mark("batch sent again that was stored")
        for arrival, acceptance in zip(arrivals, acceptances, strict=True):
            match acceptance:
                case StaleRouting():
                    self._auditor.mark("plan was stale")
                case StaleHistory():
                    self._auditor.mark("receipt ended after another that it had not seen")
                case Repeated():
                    self._auditor.mark("key was known")
                    if arrival.event.family == FAMILY and acceptance.content != arrival.content:
                        self._auditor.mark("word told of another message")
                case _:
                    pass
        return acceptances

    async def receive(self, receipts: Sequence[Receipt], **bounds: Any) -> None:  # noqa: ANN401 - passed on
        """See ReceivingStore."""
        if any(receipt.id in self._tables.receipts for receipt in receipts):
            self._auditor.mark("receipts sent again that were stored")
        await super().receive(receipts, **bounds)
        self._hearings.received(receipts)

    async def claim_receipts(self, *, owner: int, limit: int, for_s: float) -> list[Receipt]:
        """See ReceivingStore."""
        claimed = await super().claim_receipts(owner=owner, limit=limit, for_s=for_s)
        if claimed:
            self._auditor.mark("receipt taken over")
        return claimed

    async def conclude(self, conclusions: Sequence[Conclusion]) -> frozenset[ReceiptId]:
        """See ReceivingStore."""
        undone = self._hearings.undone(conclusions)
        stale = await super().conclude(conclusions)
        if stale:
            self._auditor.mark("receipt ended after another that it had not seen")
        self._hearings.concluded(undone)
        return stale

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore."""
        held = await super().settle(settlements)
        for settlement, moved in zip(settlements, held, strict=True):
            if not moved:
                what = "release" if settlement.trigger is Trigger.RELEASE else "outcome"
                self._auditor.mark(f"zombie {what} refused")
        return held

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore."""
        record = self._auditor.record
        for report in reports:
            id_ = report.endpoint_id
            lane = self._tables.lanes[id_]
            self._auditor.note("lane", id_.hex(), report.news, report.rest_s)
            until_s = self._auditor.now_s + report.rest_s
            match report.news:
                case LaneNews.RESTED:
                    self._auditor.mark("lane rests as its receiver asked")
                    record.rests[id_] = max(record.rests.get(id_, 0.0), until_s)
                case LaneNews.RECOVERED if lane.circuit_open:
                    # The store keeps one rest for both; a probe that succeeds ends it.
                    self._auditor.mark("half-open circuit closed")
                    record.rests.pop(id_, None)
                case LaneNews.TRIPPED:
                    self._auditor.mark("probe failed" if lane.circuit_open else "circuit opened")
                    record.tripped_at_s[id_] = self._auditor.now_s
                    record.rests[id_] = max(record.rests.get(id_, 0.0), until_s)
                case _:
                    pass
        await super().report(reports)

    async def apply(self, change: Change) -> None:
        """See ControlStore."""
        await super().apply(change)
        auditor, now_s = self._auditor, self._auditor.now_s
        auditor.secrets.revoke(change.forget_secrets, now_s=now_s)
        for secret in (*change.secrets, *change.ending_secrets):
            auditor.secrets.keep(secret, now_s=now_s)
        if change.replay is not None:
            rates = auditor.record.job_rates
            rates.setdefault(change.replay.id, change.replay.rate_per_s)
        endpoint = change.endpoint
        if endpoint is None:
            return
        before = auditor.record.versions.get(endpoint.id)
        auditor.endpoint_written(endpoint)
        auditor.note("endpoint", endpoint.id.hex(), endpoint.status, endpoint.version)
        if before is None:
            return
        was = before[-2][1]
        if was.rate_limit_per_s != endpoint.rate_limit_per_s:
            auditor.record.tokens.pop(endpoint.id, None)
        if change.moved:
            auditor.mark("moved to another URL")
            auditor.record.rests.pop(endpoint.id, None)
        if endpoint.status is EndpointStatus.ACTIVE and was.status is not EndpointStatus.ACTIVE:
            # Opened by a person: nothing of before counts.
            auditor.record.rests.pop(endpoint.id, None)
            if any(row.endpoint_id == endpoint.id for row in self._tables.queue.rows.values()):
                auditor.mark("opened with a backlog")

    async def cancel(
        self, merchant_id: MerchantId, delivery_id: DeliveryId, audit: AuditEntry
    ) -> Cancelled:
        """See ControlStore."""
        cancelled = await super().cancel(merchant_id, delivery_id, audit)
        self._auditor.mark(f"cancel found it {cancelled}")
        return cancelled

    async def claim_replays(self, *, owner: int, limit: int, for_s: float) -> list[Replay]:
        """See ControlStore."""
        jobs = await super().claim_replays(owner=owner, limit=limit, for_s=for_s)
        for job in jobs:
            claims = self._auditor.record.job_claims
            claims[job.id] += 1
            if claims[job.id] > 1:
                self._auditor.mark("job taken over")
        return jobs

    async def cancel_replay_backlog(
        self, merchant_id: MerchantId, replay_id: ReplayId, *, limit: int
    ) -> int:
        """See ControlStore."""
        taken_back = await super().cancel_replay_backlog(merchant_id, replay_id, limit=limit)
        leased = self._auditor.record.job_leased.setdefault(replay_id, set())
        for row in self._tables.queue.rows.values():
            if row.replay_id == replay_id and row.state is State.LEASED:
                leased.add(row.id)
        if taken_back:
            self._auditor.mark("job called off half-way")
        return taken_back

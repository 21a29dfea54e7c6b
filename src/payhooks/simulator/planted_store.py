"""Bugs of stores, put in on purpose. See ``planted``."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from payhooks.clock import Clock
from payhooks.dialects.deadlines import lease_s
from payhooks.ids import EndpointId, MerchantId, ReplayId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State, Trigger
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.replay import Replay, ReplayState
from payhooks.ports.accepting import Acceptance, Accepted, Arrival
from payhooks.ports.controlling import Change, Requeue
from payhooks.ports.leasing import LaneNews, LaneReport, Lease, Leased
from payhooks.ports.settling import Settlement
from payhooks.ports.sweeping import Expired
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.watched import WatchedStore
from payhooks.storage.memory.rows import LaneRow, LaneState, QueueRow, span_us

# What is forgotten is forgotten so often, or what comes next would always mend it.
_ONE_IN: Final = 3
_SHORT_LEASE_S: Final = 3.0


class NoFence(WatchedStore):
    """A settle does not look whose lease it is."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore, but for the fence."""
        return await super().settle([self._refenced(each) for each in settlements])

    def _refenced(self, settlement: Settlement) -> Settlement:
        row = self._tables.queue.rows.get(settlement.delivery_id)
        if row is None or row.state is not State.LEASED:
            return settlement
        return msgspec.structs.replace(settlement, fence=row.fence)


class ForgottenLane(WatchedStore):
    """An accept leaves no wake for its lanes, now and then."""

    def __init__(self, *, auditor: Auditor, clock: Clock) -> None:
        super().__init__(auditor=auditor, clock=clock)
        self._accepts = 0

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore, but for the wakes."""
        wakes = {lane: dict(keys) for lane, keys in self._tables.wakes.items()}
        acceptances = await super().accept(arrivals, owner=owner)
        if any(isinstance(acceptance, Accepted) for acceptance in acceptances):
            self._accepts += 1
            if self._accepts % _ONE_IN == 0:
                self._tables.wakes = wakes
        return acceptances


class RotationGap(WatchedStore):
    """A rotation drops the old secret at once, whatever grace was promised."""

    async def apply(self, change: Change) -> None:
        """See ControlStore, but for graces."""
        await super().apply(change)
        for secret in change.ending_secrets:
            self._tables.secrets.pop(secret.id, None)


class RevokedSigns(WatchedStore):
    """A secret that is revoked at once stays where it is."""

    async def apply(self, change: Change) -> None:
        """See ControlStore, but for what is forgotten."""
        kept = {id_: self._tables.secrets.get(id_) for id_ in change.forget_secrets}
        await super().apply(change)
        for id_, secret in kept.items():
            if secret is not None:
                self._tables.secrets[id_] = secret


class DoubleCount(WatchedStore):
    """A failed attempt is counted twice, so deliveries are given up early."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore, but for the count."""
        held = await super().settle(settlements)
        for settlement, moved in zip(settlements, held, strict=True):
            row = self._tables.queue.rows.get(settlement.delivery_id)
            if moved and row is not None and settlement.trigger is Trigger.RETRY:
                row.attempts_made += 1
        return held


class ResentCount(WatchedStore):
    """A batch of outcomes that is sent again after a lost reply counts its attempts again."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore, but for repetitions."""
        for settlement in settlements:
            row = self._tables.queue.rows.get(settlement.delivery_id)
            written = self._tables.attempts.get(settlement.delivery_id, {})
            attempt = written.get((settlement.fence, False))
            again = attempt is not None and attempt.reason is not Reason.ABANDONED
            if row is not None and again and settlement.trigger is Trigger.RETRY:
                row.attempts_made += 1
        return await super().settle(settlements)


class OpenForEver(WatchedStore):
    """A circuit that opened is never closed."""

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore, but for good news."""
        lanes = [self._tables.lanes[report.endpoint_id] for report in reports]
        was_open = [lane.circuit_open for lane in lanes]
        await super().report(reports)
        for report, lane, was in zip(reports, lanes, was_open, strict=True):
            if report.news is LaneNews.RECOVERED:
                lane.circuit_open = was


class ShortRest(WatchedStore):
    """A lane rests half of the time its receiver asked for."""

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore, but for the length of rests."""
        now = self._tables.now()
        before = {r.endpoint_id: self._tables.lanes[r.endpoint_id].rest_until for r in reports}
        await super().report(reports)
        for report in reports:
            lane = self._tables.lanes[report.endpoint_id]
            if report.news is LaneNews.RESTED:
                half = now + span_us(report.rest_s / 2)
                lane.rest_until = max(before[report.endpoint_id], half)
                lane.look_at = min(lane.look_at, lane.rest_until)


class OrderById(WatchedStore):
    """The next of an object is the one with the least id, which is a clock's, not accept's."""

    def _promote(self, endpoint_id: EndpointId, order_key: bytes, now: int) -> None:
        head = self._tables.queue.head(endpoint_id, order_key)
        if head is None or (endpoint_id, order_key) in self._tables.order_blocks:
            return
        first = min(
            row.id
            for row in self._tables.queue.rows.values()
            if row.state is State.BLOCKED
            and (row.endpoint_id, row.order_key) == (endpoint_id, order_key)
        )
        self._tables.queue.move(self._tables.queue.rows[first], Trigger.PROMOTE, due_at=now)


class NobodyWaits(WatchedStore):
    """An object whose head failed goes on, although its endpoint wants a person to look."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore, but for objects that wait."""
        unblocked = [msgspec.structs.replace(each, block_order=False) for each in settlements]
        return await super().settle(unblocked)


class ShortLease(WatchedStore):
    """A lease is shorter than the request may take, and than the process is told."""

    def _write_lane(self, endpoint: Endpoint, *, lease_us: int, moved: bool) -> None:
        super()._write_lane(endpoint, lease_us=lease_us, moved=moved)
        self._tables.lanes[endpoint.id].lease_us = span_us(_SHORT_LEASE_S)

    def _leased(self, row: QueueRow, lane: LaneRow) -> Leased:
        told_s = lease_s(self._tables.endpoints[row.endpoint_id])
        return msgspec.structs.replace(super()._leased(row, lane), lease_s=told_s)


class DeafReplay(WatchedStore):
    """A job goes on after it was called off."""

    async def advance_replay(
        self, replay: Replay, *, after: Replay, items: Sequence[Requeue], bulk: bool
    ) -> bool:
        """See ControlStore, but for the job's state."""
        stored = self._tables.replays[replay.id]
        if stored.state is not ReplayState.CANCELLED:
            return await super().advance_replay(replay, after=after, items=items, bulk=bulk)
        self._tables.replays[replay.id] = msgspec.structs.replace(
            stored, state=ReplayState.RUNNING, finished_at=None
        )
        went = await super().advance_replay(replay, after=after, items=items, bulk=bulk)
        self._tables.replays[replay.id] = msgspec.structs.replace(
            replay, state=stored.state, finished_at=stored.finished_at
        )
        return went


class KeptBacklog(WatchedStore):
    """A job that is called off leaves what it had put on its way."""

    async def cancel_replay_backlog(
        self, merchant_id: MerchantId, replay_id: ReplayId, *, limit: int
    ) -> int:
        """See ControlStore, but do nothing."""
        self._auditor.record.job_leased.setdefault(replay_id, set())  # as the right one does
        return 0


class ForgetfulPause(WatchedStore):
    """What waited while an endpoint was paused is not looked at when it is resumed."""

    def _write_lane(self, endpoint: Endpoint, *, lease_us: int, moved: bool) -> None:
        lane = self._tables.lanes.get(endpoint.id)
        paused = lane is not None and lane.state is LaneState.PAUSED
        look_at = 0 if lane is None else lane.look_at
        super()._write_lane(endpoint, lease_us=lease_us, moved=moved)
        if lane is not None and paused and lane.state is LaneState.OPEN:
            lane.look_at = look_at
            self._tables.wakes.pop(endpoint.id, None)


class StaleFanOut(WatchedStore):
    """A plan is stored although the merchant's endpoints have changed since it was made."""

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore, but for the version."""
        current = [
            msgspec.structs.replace(
                arrival, routing_version=self._tables.routing[arrival.event.merchant_id]
            )
            for arrival in arrivals
        ]
        return await super().accept(current, owner=owner)


class DeadEars(WatchedStore):
    """A lane stays open when its endpoint is disabled."""

    def _write_lane(self, endpoint: Endpoint, *, lease_us: int, moved: bool) -> None:
        super()._write_lane(endpoint, lease_us=lease_us, moved=moved)
        if endpoint.status is EndpointStatus.DISABLED:
            self._tables.lanes[endpoint.id].state = LaneState.OPEN


class LooseKey(WatchedStore):
    """An idempotency key is written apart from its event, and now and then not at all."""

    def __init__(self, *, auditor: Auditor, clock: Clock) -> None:
        super().__init__(auditor=auditor, clock=clock)
        self._accepts = 0

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        """See AcceptStore, but for keys."""
        acceptances = await super().accept(arrivals, owner=owner)
        self._accepts += 1
        if self._accepts % _ONE_IN == 0:
            for arrival in arrivals:
                self._tables.idempotency.pop(arrival.idempotency or b"", None)
        return acceptances


class OthersEndpoint(WatchedStore):
    """An endpoint is looked up by its number alone, which two merchants may both have."""

    def _deliver(self, planned: object, arrival: Arrival, owner: int | None, now: int) -> None:
        number = self._tables.endpoints[planned.endpoint_id].number  # type: ignore[attr-defined] # a PlannedDelivery
        first = next(e for e in self._tables.endpoints.values() if e.number == number)
        other = msgspec.structs.replace(planned, endpoint_id=first.id)  # type: ignore[type-var] # as above
        super()._deliver(other, arrival, owner, now)  # type: ignore[arg-type] # as above


class SilentExpiry(WatchedStore):
    """A lease that ran out leaves no trace."""

    def _expire(self, row: QueueRow, now: int) -> Expired:
        id_, fence = row.id, row.fence
        expired = super()._expire(row, now)
        self._tables.attempts.get(id_, {}).pop((fence, False), None)
        return expired


class CostlyExpiry(WatchedStore):
    """A lease that ran out spends an attempt, so a merchant pays for our crashes."""

    def _expire(self, row: QueueRow, now: int) -> Expired:
        row.attempts_made += 1
        return super()._expire(row, now)


class NoLimit(WatchedStore):
    """A rate limit is kept at each look, and forgotten after it."""

    def _write_claim(self, lane: LaneRow, count: int, now: int) -> None:
        super()._write_claim(lane, count, now)
        lane.tat = 0


class Orphans(WatchedStore):
    """What waits for a deleted endpoint waits for ever."""

    async def cancel_orphans(self, *, limit: int) -> int:
        """See SweepStore, but do nothing."""
        del limit
        return 0


class TwoOwners(WatchedStore):
    """Two workers that look at once both get what is due."""

    async def lease(self, *, owner: int, **bounds: Any) -> Lease:  # noqa: ANN401 - passed on
        """See LeaseStore, but hand out what another has as well."""
        lease = await super().lease(owner=owner, **bounds)
        others = [
            self._leased(row, self._tables.lanes[row.endpoint_id])
            for row in self._tables.queue.rows.values()
            if row.state is State.LEASED and row.owner not in {owner, -1 - owner}
        ]
        return msgspec.structs.replace(lease, leased=(*lease.leased, *others[:1]))

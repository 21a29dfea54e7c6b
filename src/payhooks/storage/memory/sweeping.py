"""Upkeep, a slice at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice

from payhooks import limits
from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, event_id_of, first_id_at
from payhooks.model.attempt import Attempt, Reason, Timing
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, State, Trigger
from payhooks.model.endpoint import EndpointStatus
from payhooks.policy import throttle
from payhooks.ports.sweeping import (
    Announcement,
    Expired,
    FailingLane,
    Health,
    Mended,
    Pending,
    Worker,
)
from payhooks.storage.memory.rows import (
    NEVER,
    LaneRow,
    LaneState,
    QueueRow,
    from_us,
    span_s,
    span_us,
)
from payhooks.storage.memory.tables import Tables

_WORKER_FORGOTTEN_S = 3_600.0


class MemorySweep:
    """See SweepStore."""

    _tables: Tables

    async def expire(self, *, limit: int) -> list[Expired]:
        """See SweepStore."""
        now = self._tables.now()
        expired: list[Expired] = []
        while len(expired) < limit:
            row = self._tables.queue.first_expired(now)
            if row is None:
                break
            expired.append(self._expire(row, now))
        self._tables.publish()
        return expired

    async def mend_lanes(self, *, limit: int, after: EndpointId | None) -> Mended:
        """See SweepStore."""
        now = self._tables.now()
        ids = sorted(id_ for id_ in self._tables.lanes if after is None or id_ > after)[:limit]
        for id_ in ids:
            if not self._tables.endpoints[id_].blocks:
                # It was edited, and what had failed before was written down a moment after that.
                self._tables.unblock_lane(id_)
        drifted = [id_ for id_ in ids if self._mend(self._tables.lanes[id_], now)]
        last = ids[-1] if len(ids) == limit else None
        return Mended(looked=len(ids), drifted=len(drifted), last=last)

    async def cancel_orphans(self, *, limit: int) -> int:
        """See SweepStore."""
        orphans = [
            row
            for row in self._tables.queue.rows.values()
            if self._tables.lanes[row.endpoint_id].state is LaneState.DELETED
        ]
        return self._cancel(orphans, limit)

    async def retire(self, *, before: datetime, limit: int) -> int:
        """See SweepStore."""
        bound = first_id_at(before)
        old = [row for row in self._tables.queue.rows.values() if row.id < bound]
        retired = self._purge(bound, limit) + self._purge_bodies(limit)
        # They end visibly first; the next slice takes them.
        return retired + self._cancel(old, limit)

    async def failing_lanes(self, *, for_s: float, limit: int) -> list[FailingLane]:
        """See SweepStore."""
        now = self._tables.now()
        failing = (
            FailingLane(
                merchant_id=lane.merchant_id,
                endpoint_id=lane.endpoint_id,
                failing_s=span_s(now - lane.failing_since),
                warned=lane.warned,
            )
            for lane in self._tables.lanes.values()
            if lane.state is LaneState.OPEN
            and lane.failing_since is not None
            and now - lane.failing_since >= span_us(for_s)
        )
        return list(islice(failing, limit))

    async def warned(self, endpoint_id: EndpointId, *, warnings: int) -> None:
        """See SweepStore."""
        self._tables.lanes[endpoint_id].warned = warnings

    async def silent_listeners(self, *, for_s: float) -> list[tuple[MerchantId, EndpointId]]:
        """See SweepStore."""
        bound = self._tables.now() - span_us(for_s)
        return [
            (lane.merchant_id, lane.endpoint_id)
            for lane in self._tables.lanes.values()
            if lane.state is LaneState.LISTENING and lane.listened_at <= bound
        ]

    async def announcements(self, *, limit: int, skip: int = 0) -> list[Announcement]:
        """See SweepStore."""
        return list(islice(self._tables.announcements.values(), skip, skip + limit))

    async def announced(self, ids: Sequence[bytes]) -> None:
        """See SweepStore."""
        for id_ in ids:
            self._tables.announcements.pop(id_, None)

    async def heartbeat(self, *, owner: int, version: str) -> None:
        """See SweepStore."""
        now = self._tables.now()
        self._tables.workers[owner] = (now, version)
        forgotten = now - span_us(_WORKER_FORGOTTEN_S)
        workers = self._tables.workers.items()
        self._tables.workers = {id_: seen for id_, seen in workers if seen[0] > forgotten}

    async def health(self) -> Health:
        """See SweepStore."""
        now = self._tables.now()
        workers = tuple(
            Worker(owner=owner, seen_s_ago=span_s(now - seen_at), version=version)
            for owner, (seen_at, version) in self._tables.workers.items()
        )
        return Health(
            durability="degraded: kept in memory only",
            clock_skew_s=0.0,
            schema_version=0,
            workers=workers,
        )

    async def pending(self) -> Pending:
        """See SweepStore."""
        now = self._tables.now()
        states = dict.fromkeys((State.SCHEDULED, State.LEASED, State.BLOCKED), 0)
        for row in self._tables.queue.rows.values():
            states[row.state] += 1
        statuses = dict.fromkeys(
            (EndpointStatus.ACTIVE, EndpointStatus.PAUSED, EndpointStatus.DISABLED), 0
        )
        for endpoint in self._tables.endpoints.values():
            if endpoint.status is not EndpointStatus.DELETED:
                statuses[endpoint.status] += 1
        oldest = min(self._due_times(), default=now)
        return Pending(
            states=tuple((state.value, count) for state, count in states.items()),
            oldest_s=span_s(max(now - oldest, 0)),
            endpoints=tuple((status.value, count) for status, count in statuses.items()),
            circuits_open=sum(
                lane.circuit_open and lane.state is not LaneState.DELETED
                for lane in self._tables.lanes.values()
            ),
        )

    def _expire(self, row: QueueRow, now: int) -> Expired:
        attempt = Attempt(
            delivery_id=row.id,
            fence=row.fence,
            late=False,
            at=from_us(now),
            status=None,
            reason=Reason.ABANDONED,
            detail="",
            timing=Timing(),
            peer=None,
        )
        self._tables.attempts.setdefault(row.id, {})[row.fence, False] = attempt
        row.abandoned += 1
        poisoned = row.abandoned >= ABANDONED_IN_A_ROW_MAX
        if poisoned:
            row.reason = Reason.POISON
            blocks = self._tables.endpoints[row.endpoint_id].blocks
            if row.order_key is not None and blocks and not self._gone(row):
                self._tables.order_blocks[row.endpoint_id, row.order_key] = row.id
            self._tables.finish(row, Trigger.GIVE_UP, now=now)
        else:
            row.reason = Reason.ABANDONED
            self._tables.queue.move(row, Trigger.EXPIRE, due_at=now)
            self._tables.wake(row.endpoint_id, due_at=now, order_key=row.order_key)
        return Expired(
            delivery_id=row.id,
            merchant_id=row.merchant_id,
            endpoint_id=row.endpoint_id,
            poisoned=poisoned,
        )

    def _gone(self, row: QueueRow) -> bool:
        return self._tables.lanes[row.endpoint_id].state is LaneState.DELETED

    def _mend(self, lane: LaneRow, now: int) -> bool:
        """Return whether the lane would have slept through work that nothing else tells of."""
        if lane.state is not LaneState.OPEN or self._tables.wakes.get(lane.endpoint_id):
            return False
        drifted = False
        for order_key in self._tables.queue.blocked_keys(lane.endpoint_id):
            free = (lane.endpoint_id, order_key) not in self._tables.order_blocks
            if free and self._tables.queue.head(lane.endpoint_id, order_key) is not None:
                self._tables.wake(lane.endpoint_id, due_at=now, order_key=order_key)
                drifted = True
        first = self._tables.queue.first_due(lane.endpoint_id)
        due_at = NEVER if first is None else max(first.due_at, lane.still_until, now)
        if lane.rate_per_s is not None:
            burst = throttle.burst_of(lane.rate_per_s)
            due_at = max(due_at, throttle.next_at(lane.tat, now, lane.rate_per_s, burst))
        if lane.look_at > due_at:
            lane.look_at = due_at
            drifted = True
        return drifted

    def _cancel(self, rows: Sequence[QueueRow], limit: int) -> int:
        """Cancel those that are not being sent right now; return how many."""
        now = self._tables.now()
        waiting = [row for row in rows if row.state is not State.LEASED][:limit]
        for row in waiting:
            self._tables.finish(row, Trigger.CANCEL, now=now)
        self._tables.publish()
        return len(waiting)

    def _purge(self, bound: bytes, limit: int) -> int:
        """Forget events before *bound* of which nothing is under way; return how many."""
        undone = {event_id_of(id_) for id_ in self._tables.queue.rows}
        old = [id_ for id_ in self._tables.events if id_ < bound and id_ not in undone][:limit]
        purged = frozenset(old)
        for id_ in old:
            self._purge_event(id_)
        keys = self._tables.idempotency.items()
        kept = {key: row for key, row in keys if row.event_id not in purged}
        self._tables.idempotency = kept
        return len(old)

    def _purge_event(self, event_id: EventId) -> None:
        merchant_id = self._tables.events.pop(event_id).event.merchant_id
        deliveries = self._tables.deliveries_of_event(merchant_id, event_id)
        self._tables.events_of[merchant_id].remove(event_id)
        for id_ in deliveries:
            self._purge_delivery(merchant_id, id_)

    def _purge_delivery(self, merchant_id: MerchantId, id_: DeliveryId) -> None:
        endpoint_id = self._tables.deliveries.pop(id_).endpoint_id
        self._tables.deliveries_of[merchant_id].remove(id_)
        self._tables.attempts.pop(id_, None)
        self._tables.rendered.pop(id_, None)
        self._tables.unnumbered.get(endpoint_id, {}).pop(id_, None)
        self._tables.unblock(id_)
        feed = self._tables.feeds.get(endpoint_id, {})
        self._tables.feeds[endpoint_id] = {n: one for n, one in feed.items() if one != id_}

    def _purge_bodies(self, limit: int) -> int:
        kept_since = self._tables.clock.now() - timedelta(days=limits.ANSWER_KEPT_DAYS)
        bound, undone = first_id_at(kept_since), self._tables.queue.rows
        rendered = [id_ for id_ in self._tables.rendered if id_ < bound and id_ not in undone]
        for id_ in rendered[:limit]:
            del self._tables.rendered[id_]
        answers = [
            one
            for attempts in self._tables.attempts.values()
            for one in attempts.values()
            # By itself, not by its delivery: that of a replay is younger.
            if one.at < kept_since and (one.answer_headers or one.answer_body)
        ]
        for one in answers[:limit]:
            self._tables.forget_answer(one)
        return len(rendered[:limit]) + len(answers[:limit])

    def _due_times(self) -> list[int]:
        """Return the due times of what waits in open lanes."""
        return [
            row.due_at
            for row in self._tables.queue.rows.values()
            if row.state is State.SCHEDULED
            and self._tables.lanes[row.endpoint_id].state is LaneState.OPEN
        ]

"""Calling deliveries off, sending them again, and the jobs that do so with many."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from payhooks.ids import (
    DeliveryId,
    EventId,
    MerchantId,
    ReplayId,
    event_id_of,
)
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import State, Trigger
from payhooks.model.replay import Replay, ReplayState
from payhooks.ports.controlling import Cancelled, LaneBacklog, Requeue, Window
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.rows import FinalRow, LaneState, QueueRow, span_us
from payhooks.storage.memory.tables import Tables


class MemoryReplay:
    """See ControlStore; what configures is in controlling.py."""

    _tables: Tables

    async def cancel(
        self, merchant_id: MerchantId, delivery_id: DeliveryId, audit: AuditEntry
    ) -> Cancelled:
        """See ControlStore."""
        cancelled = self._call_off(merchant_id, delivery_id)
        if cancelled in {Cancelled.CANCELLED, Cancelled.UNBLOCKED}:
            self._tables.log(audit)
        self._tables.publish()
        return cancelled

    async def requeue(self, items: Sequence[Requeue], *, audit: AuditEntry | None) -> int:
        """See ControlStore."""
        count = self._requeue_all(items, replay_id=None, bulk=False)
        if count and audit is not None:
            self._tables.log(audit)
        self._tables.publish()
        return count

    async def repair(self, items: Sequence[Requeue], *, audit: AuditEntry) -> int:
        """See ControlStore."""
        count = self._requeue_all(items, replay_id=None, bulk=True)
        count += sum([self._write_off(item) for item in items])
        if count:
            self._tables.log(audit)
        self._tables.publish()
        return count

    async def expunge(self, merchant_id: MerchantId, event_id: bytes, audit: AuditEntry) -> bool:
        """See ControlStore."""
        row = self._tables.events.get(EventId(event_id))
        if row is None or row.event.merchant_id != merchant_id:
            return False
        row.event = msgspec.structs.replace(row.event, data=b"null", metadata=None)
        row.findings = ()
        row.expunged = True
        deliveries = self._tables.deliveries_of_event(merchant_id, row.event.id)
        for id_ in deliveries:
            undone = self._tables.queue.rows.get(id_)
            if undone is not None:
                self._tables.finish(undone, Trigger.CANCEL, now=self._tables.now())
        self._tables.forget_bodies(deliveries)
        self._tables.log(audit)
        self._tables.publish()
        return True

    async def replay(self, merchant_id: MerchantId, replay_id: ReplayId) -> Replay | None:
        """See ControlStore."""
        replay = self._tables.replays.get(replay_id)
        return replay if replay is not None and replay.merchant_id == merchant_id else None

    async def replays(self, merchant_id: MerchantId, window: Window) -> list[Replay]:
        """See ControlStore."""
        jobs = self._tables.replays.values()
        return page((job for job in jobs if job.merchant_id == merchant_id), window)

    async def claim_replays(self, *, owner: int, limit: int, for_s: float) -> list[Replay]:
        """See ControlStore."""
        now = self._tables.now()
        open_ = sorted(
            (self._claimed_until(id_) <= now, self._claimed_until(id_), id_)
            for id_, replay in self._tables.replays.items()
            if replay.state is ReplayState.RUNNING or id_ in self._tables.replays_stopping
        )
        # By turns: as many of a merchant's go before one as are held already, or wait for longer.
        before = Counter[MerchantId]()
        turns = []
        for is_free, until, id_ in open_:
            replay = self._tables.replays[id_]
            if is_free:
                turns.append((before[replay.merchant_id], until, id_))
            before[replay.merchant_id] += 1
        free = [self._tables.replays[id_] for _, _, id_ in sorted(turns)[:limit]]
        for replay in free:
            self._tables.replay_claims[replay.id] = (owner, now + span_us(for_s))
        return free

    async def advance_replay(
        self, replay: Replay, *, after: Replay, items: Sequence[Requeue], bulk: bool
    ) -> bool:
        """See ControlStore."""
        stored = self._tables.replays.get(replay.id)
        if stored is None or stored.state is not ReplayState.RUNNING:
            return False
        if (stored.cursor, stored.queued) != (after.cursor, after.queued):
            return False
        self._requeue_all(items, replay_id=replay.id, bulk=bulk)
        self._tables.replays[replay.id] = replay
        self._tables.publish()
        return True

    async def replay_backlog(self, replay_id: ReplayId) -> list[LaneBacklog]:
        """See ControlStore."""
        rows = self._tables.queue.rows.values()
        undone = Counter(row.endpoint_id for row in rows if row.replay_id == replay_id)
        ahead = Counter(row.endpoint_id for row in self._ahead(replay_id))
        return [
            LaneBacklog(endpoint_id=lane, undone=count, ahead=ahead[lane])
            for lane, count in sorted(undone.items())
        ]

    async def cancel_replay_backlog(
        self, merchant_id: MerchantId, replay_id: ReplayId, *, limit: int
    ) -> int:
        """See ControlStore."""
        all_waiting = (
            row
            for row in self._tables.queue.rows.values()
            if row.merchant_id == merchant_id
            and row.replay_id == replay_id
            and row.state is not State.LEASED
        )
        waiting = list(islice(all_waiting, limit))
        if len(waiting) < limit:
            self._tables.replays_stopping.discard(replay_id)
        for row in waiting:
            self._take_back(row)
        self._tables.publish()
        return len(waiting)

    def _call_off(self, merchant_id: MerchantId, delivery_id: DeliveryId) -> Cancelled:
        row = self._tables.queue.rows.get(delivery_id)
        final = self._tables.deliveries.get(delivery_id)
        known = row or final
        if known is None or known.merchant_id != merchant_id:
            return Cancelled.UNKNOWN
        if row is None:
            return Cancelled.UNBLOCKED if self._tables.unblock(delivery_id) else Cancelled.FINAL
        if row.state is State.LEASED:
            return Cancelled.IN_FLIGHT
        self._tables.finish(row, Trigger.CANCEL, now=self._tables.now())
        return Cancelled.CANCELLED

    def _requeue_all(
        self, items: Sequence[Requeue], *, replay_id: ReplayId | None, bulk: bool
    ) -> int:
        now = self._tables.now()  # one for all, so that what is equally due goes in accept order
        moved = [self._requeue(item, now, replay_id=replay_id, bulk=bulk) for item in items]
        return sum(moved)

    def _requeue(self, item: Requeue, now: int, *, replay_id: ReplayId | None, bulk: bool) -> bool:
        """Return whether the delivery was put on its way, or hastened."""
        event = self._tables.events.get(event_id_of(item.delivery_id))
        if event is None or event.expunged or event.event.merchant_id != item.merchant_id:
            return False
        lane = self._tables.lanes.get(item.endpoint_id)
        if lane is None or lane.state is LaneState.DELETED:
            return False
        undone = self._tables.queue.rows.get(item.delivery_id)
        if undone is None:
            self._put(item, now, replay_id=replay_id, bulk=bulk)
            return True
        if undone.state is not State.SCHEDULED:
            return False
        self._tables.queue.hasten(undone, due_at=now)
        self._tables.wake(undone.endpoint_id, due_at=now)
        return True

    def _put(self, item: Requeue, now: int, *, replay_id: ReplayId | None, bulk: bool) -> None:
        final = self._tables.deliveries.get(item.delivery_id)
        ordered = item.order_key is not None
        row = QueueRow(
            id=item.delivery_id,
            merchant_id=item.merchant_id,
            endpoint_id=item.endpoint_id,
            event_type=item.event_type,
            state=State.BLOCKED if ordered else State.SCHEDULED,
            due_at=now,
            position=self._position(final),
            order_key=item.order_key,
            dialect=item.dialect,
            dialect_version=item.dialect_version,
            replay_id=replay_id,
            replay_bulk=bulk,
        )
        if final is not None:
            row.fence = final.fence
            row.delivered_at = final.delivered_at
            row.reason = final.reason
            if (final.dialect, final.dialect_version) != (item.dialect, item.dialect_version):
                self._tables.rendered.pop(item.delivery_id, None)
        old = None if final is None else final.state
        trigger = Trigger.REPLAY_IN_ORDER if ordered else Trigger.REPLAY
        self._tables.put(row, old=old, by=trigger)
        self._tables.wake(item.endpoint_id, due_at=now, order_key=item.order_key)

    def _write_off(self, item: Requeue) -> bool:
        """End what was never made, and was not made now either; return whether it was so."""
        event = self._tables.events.get(event_id_of(item.delivery_id))
        if event is None or event.event.merchant_id != item.merchant_id:
            return False
        id_ = item.delivery_id
        if id_ in self._tables.queue.rows or id_ in self._tables.deliveries:
            return False
        now = self._tables.now()
        row = QueueRow(
            id=id_,
            merchant_id=item.merchant_id,
            endpoint_id=item.endpoint_id,
            event_type=item.event_type,
            state=State.SCHEDULED,
            due_at=now,
            position=self._tables.queue.next_position(),
            order_key=None,  # it has no place in any order
            dialect=item.dialect,
            dialect_version=item.dialect_version,
        )
        self._tables.put(row)
        self._tables.finish(row, Trigger.CANCEL, now=now)
        return True

    def _position(self, final: FinalRow | None) -> int:
        # What holds its object up goes before those it held up; else a replay counts as new.
        if final is not None and self._tables.unblock(final.id):
            return final.position
        return self._tables.queue.next_position()

    def _take_back(self, row: QueueRow) -> None:
        now = self._tables.now()
        final = self._tables.deliveries.get(row.id)
        if final is None:
            self._tables.finish(row, Trigger.CANCEL, now=now)
            return
        # Its leases were given, though it reads as before: the next one has another number.
        final.fence = row.fence
        if (row.dialect, row.dialect_version) != (final.dialect, final.dialect_version):
            self._tables.rendered.pop(row.id, None)
        if self._held_up(row, final):
            assert row.order_key is not None
            self._tables.order_blocks[row.endpoint_id, row.order_key] = row.id
        self._tables.queue.drop(row, back_to=final.state)
        if row.order_key is not None:
            self._tables.wake(row.endpoint_id, due_at=now, order_key=row.order_key)

    def _held_up(self, row: QueueRow, final: FinalRow) -> bool:
        """Return whether it held its object up until it was sent again, and has to go on so.

        Only such a one is sent again at its old place: see ``_position``.
        """
        if row.order_key is None or row.order_key != final.order_key:
            return False  # the endpoint is ordered otherwise: its object was freed for good
        deleted = self._tables.lanes[row.endpoint_id].state is LaneState.DELETED
        blocks = self._tables.endpoints[row.endpoint_id].blocks and not deleted
        return row.position == final.position and blocks

    def _ahead(self, replay_id: ReplayId) -> Iterator[QueueRow]:
        """Yield what of the job goes before what is made now."""
        now, queued = self._tables.now(), self._tables.queue.rows.values()
        # What is blocked goes with the head of its object: that may wait for a retry, or a person.
        stuck = {
            (row.endpoint_id, row.order_key)
            for row in queued
            if row.state is State.SCHEDULED and row.due_at > now
        } | self._tables.order_blocks.keys()
        for row in queued:
            if row.replay_id != replay_id or (row.state is State.SCHEDULED and row.due_at > now):
                continue
            if row.state is not State.BLOCKED or (row.endpoint_id, row.order_key) not in stuck:
                yield row

    def _claimed_until(self, replay_id: ReplayId) -> int:
        _, until = self._tables.replay_claims.get(replay_id, (0, 0))
        return until

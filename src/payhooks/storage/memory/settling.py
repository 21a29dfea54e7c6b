"""The record of attempts, guarded by the fence."""

from collections.abc import Sequence

import msgspec

from payhooks.ids import event_id_of
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import State, Trigger
from payhooks.ports.settling import Settlement
from payhooks.storage.memory.rows import LaneState, QueueRow, span_us
from payhooks.storage.memory.tables import Tables


class MemorySettle:
    """See SettleStore."""

    _tables: Tables

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore."""
        now = self._tables.now()
        held = [self._settle(settlement, now) for settlement in settlements]
        self._tables.publish()
        return held

    def _settle(self, settlement: Settlement, now: int) -> bool:
        row = self._tables.queue.rows.get(settlement.delivery_id)
        if row is None or row.state is not State.LEASED or row.fence != settlement.fence:
            return self._keep_evidence(settlement)
        if settlement.attempt is not None:
            self._record(settlement.attempt, late=False)
        if settlement.trigger is not Trigger.RELEASE:
            row.attempts_made += 1
            row.abandoned = 0
            row.reason = settlement.reason
        if settlement.rendered is not None:
            # The first one stays: each retry sends the same body.
            self._tables.rendered.setdefault(row.id, (now, settlement.rendered))
        self._move(row, settlement, now)
        return True

    def _move(self, row: QueueRow, settlement: Settlement, now: int) -> None:
        deleted = self._tables.lanes[row.endpoint_id].state is LaneState.DELETED
        match settlement.trigger:
            case Trigger.RETRY | Trigger.RELEASE if deleted:
                self._tables.finish(row, Trigger.CANCEL, now=now)
            case Trigger.RETRY | Trigger.RELEASE as trigger:
                due_at = now + span_us(settlement.delay_s)
                self._tables.queue.move(row, trigger, due_at=due_at)
                self._tables.wake(row.endpoint_id, due_at=due_at)
            case Trigger.GIVE_UP as trigger:
                if settlement.block_order and row.order_key is not None and not deleted:
                    self._tables.order_blocks[row.endpoint_id, row.order_key] = row.id
                self._tables.finish(row, trigger, now=now)
            case trigger:
                self._tables.finish(row, trigger, now=now)

    def _keep_evidence(self, settlement: Settlement) -> bool:
        """Return whether this settlement moved the delivery before; if not, keep its attempt."""
        if settlement.attempt is None:
            return False
        attempts = self._tables.attempts.get(settlement.delivery_id, {})
        recorded = attempts.get((settlement.fence, False))
        if settlement.trigger is Trigger.RELEASE and recorded is not None:
            return False
        if recorded is not None and recorded.reason is not Reason.ABANDONED:
            return True
        if (settlement.fence, True) not in attempts:
            self._record(self._unquoted(settlement.attempt), late=True)
        return False

    def _unquoted(self, attempt: Attempt) -> Attempt:
        """Return the attempt without what may quote an expunged event."""
        event = self._tables.events.get(event_id_of(attempt.delivery_id))
        if event is None or not event.expunged:
            return attempt
        return msgspec.structs.replace(
            attempt, answer_headers=(), answer_body=b"", answer_truncated=False
        )

    def _record(self, attempt: Attempt, *, late: bool) -> None:
        kept = msgspec.structs.replace(attempt, late=late)
        self._tables.attempts.setdefault(attempt.delivery_id, {})[attempt.fence, late] = kept

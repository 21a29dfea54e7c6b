"""Calling deliveries off, sending them again, and the jobs that do so with many."""

from collections.abc import Sequence
from typing import Final

import apsw

from payhooks.ids import (
    DeliveryId,
    EndpointId,
    EventId,
    MerchantId,
    ReplayId,
    event_id_of,
    last_delivery_id_of,
)
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import State, Trigger
from payhooks.model.replay import Replay, ReplayState
from payhooks.ports.controlling import Cancelled, LaneBacklog, Requeue, Window
from payhooks.storage import statements
from payhooks.storage.documents import decode, decode_readable, encode, printed
from payhooks.storage.sqlite.applying import log
from payhooks.storage.sqlite.connection import Row, delay_us, first, rows, run, run_many
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.parts import CODES, Part, Positions
from payhooks.storage.sqlite.settling import Undone, end
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "replaying.sql")


class SqliteReplay(Part):
    """See ControlStore; what configures is in controlling.py."""

    async def cancel(
        self, merchant_id: MerchantId, delivery_id: DeliveryId, audit: AuditEntry
    ) -> Cancelled:
        """See ControlStore."""

        def work(db: apsw.Connection) -> Cancelled:
            cancelled = _call_off(db, merchant_id, delivery_id, self._now_us())
            if cancelled in {Cancelled.CANCELLED, Cancelled.UNBLOCKED}:
                log(db, audit)
            return cancelled

        return await self._write(Kind.QUICK, work)

    async def requeue(self, items: Sequence[Requeue], *, audit: AuditEntry | None) -> int:
        """See ControlStore."""

        def work(db: apsw.Connection) -> int:
            now = self._now_us()
            count = put_again(db, items, self._positions, replay_id=None, bulk=False, now=now)
            if count and audit is not None:
                log(db, audit)
            return count

        return await self._write(Kind.SLOW, work)

    async def repair(self, items: Sequence[Requeue], *, audit: AuditEntry) -> int:
        """See ControlStore."""

        def work(db: apsw.Connection) -> int:
            now = self._now_us()
            count = put_again(db, items, self._positions, replay_id=None, bulk=True, now=now)
            count += sum([run(db, _SQL["write_off"], _lost(item, now)) for item in items])
            if count:
                log(db, audit)
            return count

        return await self._write(Kind.SLOW, work)

    async def expunge(self, merchant_id: MerchantId, event_id: bytes, audit: AuditEntry) -> bool:
        """See ControlStore."""

        def work(db: apsw.Connection) -> bool:
            if run(db, _SQL["expunge"], (merchant_id, event_id)) == 0:
                return False
            last = last_delivery_id_of(EventId(event_id))
            undone = rows(db, _SQL["undone_of"], (merchant_id, event_id, last))
            end(db, [Undone(*row) for row in undone], Trigger.CANCEL, now=self._now_us())
            run(db, _SQL["forget_answers"], (event_id, last))
            run(db, _SQL["forget_rendered"], (event_id, last))
            log(db, audit)
            return True

        return await self._write(Kind.ERASING, work)

    async def replay(self, merchant_id: MerchantId, replay_id: ReplayId) -> Replay | None:
        """See ControlStore."""
        bindings = (replay_id, merchant_id)
        found = await self._read(lambda db: first(db, _SQL["replay"], bindings))
        return None if found is None else decode(Replay, found[0])

    async def replays(self, merchant_id: MerchantId, window: Window) -> list[Replay]:
        """See ControlStore."""
        after = NEWEST if window.after is None else window.after
        bindings = (merchant_id, after, window.limit)
        found = await self._read(lambda db: rows(db, _SQL["replays"], bindings))
        return [decode(Replay, text) for (text,) in found]

    async def claim_replays(self, *, owner: int, limit: int, for_s: float) -> list[Replay]:
        """See ControlStore."""

        def work(db: apsw.Connection) -> list[Replay]:
            now = self._now_us()
            found = rows(db, _SQL["free_replays"], (now, limit))
            for id_, _ in found:
                run(db, _SQL["claim_replay"], (id_, owner, now + delay_us(for_s)))
            return decode_readable(Replay, [text for _, text in found])

        return await self._write(Kind.QUICK, work)

    async def advance_replay(
        self, replay: Replay, *, after: Replay, items: Sequence[Requeue], bulk: bool
    ) -> bool:
        """See ControlStore."""
        running = int(replay.state is ReplayState.RUNNING)
        stands = (printed(after.cursor), after.queued)
        bindings = (replay.id, running, encode(replay), *stands)

        def work(db: apsw.Connection) -> bool:
            if run(db, _SQL["advance_replay"], bindings) == 0:
                return False
            now = self._now_us()
            put_again(db, items, self._positions, replay_id=replay.id, bulk=bulk, now=now)
            return True

        return await self._write(Kind.SLOW, work)

    async def replay_backlog(self, replay_id: ReplayId) -> list[LaneBacklog]:
        """See ControlStore."""
        asked = (replay_id, self._now_us())
        found = await self._read(lambda db: rows(db, _SQL["replay_backlog"], asked))
        return [
            LaneBacklog(endpoint_id=EndpointId(endpoint_id), undone=undone, ahead=ahead)
            for endpoint_id, undone, ahead in found
        ]

    async def cancel_replay_backlog(
        self, merchant_id: MerchantId, replay_id: ReplayId, *, limit: int
    ) -> int:
        """See ControlStore."""

        def work(db: apsw.Connection) -> int:
            waiting = rows(db, _SQL["replay_waiting"], (replay_id, merchant_id, limit))
            if len(waiting) < limit:
                run(db, _SQL["stopped"], (replay_id, merchant_id))
            return _take_back(db, waiting, self._now_us())

        return await self._write(Kind.SLOW, work)


def _call_off(
    db: apsw.Connection, merchant_id: MerchantId, delivery_id: DeliveryId, now: int
) -> Cancelled:
    undone = first(db, _SQL["undone"], (merchant_id, delivery_id))
    if undone is not None:
        if undone[4] == CODES[State.LEASED]:
            return Cancelled.IN_FLIGHT
        end(db, [Undone(*undone[:4])], Trigger.CANCEL, now=now)
        return Cancelled.CANCELLED
    if first(db, _SQL["final"], (merchant_id, delivery_id)) is None:
        return Cancelled.UNKNOWN
    freed = rows(db, _SQL["unblock"], (delivery_id,))
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in freed])
    return Cancelled.UNBLOCKED if freed else Cancelled.FINAL


def put_again(  # noqa: PLR0913 - what every item shares
    db: apsw.Connection,
    items: Sequence[Requeue],
    positions: Positions,
    *,
    replay_id: ReplayId | None,
    bulk: bool,
    now: int,
) -> int:
    """Put deliveries (back) on their way inside a transaction; return how many."""
    count = 0
    wakes: dict[tuple[EndpointId, bytes | None], None] = {}
    for item in items:
        event_id = event_id_of(item.delivery_id)
        key = (item.merchant_id, item.delivery_id)
        standing = first(db, _SQL["standing"], (*key, item.endpoint_id, event_id))
        if standing is None:
            continue  # its event or endpoint is gone: there is nothing to send, or nobody
        state, final = standing[0], standing[1:]
        if state is None:
            freed = _put(db, item, final, positions, replay_id=replay_id, bulk=bulk, now=now)
            wakes.update(dict.fromkeys([(item.endpoint_id, item.order_key), *freed]))
        elif run(db, _SQL["hasten"], (*key, now)):
            wakes[item.endpoint_id, None] = None
        else:
            continue  # it is being sent, or waits for its turn
        count += 1
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in wakes])
    return count


def _lost(item: Requeue, now: int) -> Row:
    return (
        item.merchant_id,
        item.delivery_id,
        event_id_of(item.delivery_id),
        item.endpoint_id,
        item.event_type,
        now,
        item.dialect,
        item.dialect_version,
    )


def _put(  # noqa: PLR0913 - the row's new members, and what it was
    db: apsw.Connection,
    item: Requeue,
    final: tuple[int | None, int | None, str | None, int | None, int | None],
    positions: Positions,
    *,
    replay_id: ReplayId | None,
    bulk: bool,
    now: int,
) -> list[tuple[EndpointId, bytes | None]]:
    """Put a row into the queue; return which object it held up until now, if any."""
    fence, delivered_at, reason, old_position, held_position = final
    freed = []
    # What holds its object up goes before those it held up, at its old place; else a replay
    # counts as new, at a place that is never its old one.
    if held_position is None:
        [position] = positions.take(1, above=old_position or 0)
    else:
        position = held_position
        # Its object may be freed for good: the endpoint may not be ordered any more.
        freed = [(row[0], row[1]) for row in rows(db, _SQL["unblock"], (item.delivery_id,))]
    state = State.SCHEDULED if item.order_key is None else State.BLOCKED
    values = (
        item.merchant_id,
        item.delivery_id,
        item.endpoint_id,
        item.event_type,
        CODES[state],
        now,
        position,
        item.order_key,
        fence or 0,
        item.dialect,
        item.dialect_version,
        replay_id,
        int(bulk),
        delivered_at,
        reason,
    )
    run(db, _SQL["put"], values)
    pin = (item.merchant_id, item.delivery_id, item.dialect, item.dialect_version)
    run(db, _SQL["forget_of_another"], pin)
    if fence is None and run(db, _SQL["number_late"], (item.endpoint_id, item.delivery_id)):
        run(db, _SQL["numbered_late"], (item.endpoint_id,))
    return freed


def _take_back(db: apsw.Connection, waiting: Sequence[Row], now: int) -> int:
    new = [Undone(*row[:4]) for row in waiting if not row[5]]
    back = [row for row in waiting if row[5]]
    end(db, new, Trigger.CANCEL, now=now)
    # Their rows in history say how they ended before. But their leases were given since then, and
    # the next one has another number.
    run_many(db, _SQL["block_again"], [row[:2] for row in back])
    run_many(db, _SQL["keep_fences"], [row[:2] for row in back])
    # What is kept of those in another dialect is what the replay sent, and not theirs.
    run_many(db, _SQL["forget_sent"], [row[1:2] for row in back if row[6]])
    run_many(db, _SQL["drop"], [row[:2] for row in back])
    wakes = {(row[2], row[4]): None for row in back if row[4] is not None}
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in wakes])
    return len(waiting)

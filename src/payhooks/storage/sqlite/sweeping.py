"""Upkeep, a slice at a time; retention is in retiring.py."""

from collections.abc import Sequence
from typing import Final

import apsw

from payhooks.ids import DeliveryId, EndpointId, MerchantId
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
from payhooks.storage import statements
from payhooks.storage.documents import decode_readable
from payhooks.storage.sqlite import migrations
from payhooks.storage.sqlite.connection import blobs, delay_us, first, from_us, rows, run, run_many
from payhooks.storage.sqlite.parts import LaneState, Part
from payhooks.storage.sqlite.settling import Undone, end, record, stage
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "sweeping.sql")
_WORKER_FORGOTTEN_S: Final = 3_600.0
_US_PER_S: Final = 1_000_000


class SqliteSweep(Part):
    """See SweepStore."""

    async def expire(self, *, limit: int) -> list[Expired]:
        """See SweepStore."""

        def work(db: apsw.Connection) -> list[Expired]:
            now = self._now_us()
            return take_back(db, until=now, limit=limit, now=now)

        return await self._write(Kind.SLOW, work)

    async def mend_lanes(self, *, limit: int, after: EndpointId | None) -> Mended:
        """See SweepStore."""
        return await self._write(
            Kind.SLOW, lambda db: _mend(db, after=after or b"", limit=limit, now=self._now_us())
        )

    async def cancel_orphans(self, *, limit: int) -> int:
        """See SweepStore."""

        def work(db: apsw.Connection) -> int:
            undone = [Undone(*row) for row in rows(db, _SQL["orphans"], (limit,))]
            if not undone:
                run(db, _SQL["mark_swept"])
                return 0
            return end(db, undone, Trigger.CANCEL, now=self._now_us())

        return await self._write(Kind.SLOW, work)

    async def failing_lanes(self, *, for_s: float, limit: int) -> list[FailingLane]:
        """See SweepStore."""
        now = self._now_us()
        bindings = (now, now - delay_us(for_s), limit)
        found = await self._read(lambda db: rows(db, _SQL["failing"], bindings))
        return [
            FailingLane(
                merchant_id=MerchantId(merchant_id),
                endpoint_id=EndpointId(endpoint_id),
                failing_s=failing_us / _US_PER_S,
                warned=warned,
            )
            for merchant_id, endpoint_id, failing_us, warned in found
        ]

    async def warned(self, endpoint_id: EndpointId, *, warnings: int) -> None:
        """See SweepStore."""
        await self._write(Kind.QUICK, lambda db: run(db, _SQL["warned"], (endpoint_id, warnings)))

    async def silent_listeners(self, *, for_s: float) -> list[tuple[MerchantId, EndpointId]]:
        """See SweepStore."""
        bound = self._now_us() - delay_us(for_s)
        found = await self._read(lambda db: rows(db, _SQL["silent"], (bound,)))
        return [(MerchantId(merchant), EndpointId(endpoint)) for merchant, endpoint in found]

    async def announcements(self, *, limit: int, skip: int = 0) -> list[Announcement]:
        """See SweepStore."""
        found = await self._read(lambda db: rows(db, _SQL["announcements"], (limit, skip)))
        return decode_readable(Announcement, [text for (text,) in found])

    async def announced(self, ids: Sequence[bytes]) -> None:
        """See SweepStore."""
        await self._write(Kind.QUICK, lambda db: run(db, _SQL["announced"], (blobs(ids),)))

    async def heartbeat(self, *, owner: int, version: str) -> None:
        """See SweepStore."""

        def work(db: apsw.Connection) -> None:
            now = self._now_us()
            run(db, _SQL["beat"], (owner, now, version))
            run(db, _SQL["forget_workers"], (now - delay_us(_WORKER_FORGOTTEN_S),))

        await self._write(Kind.QUICK, work)

    async def health(self) -> Health:
        """See SweepStore."""
        now = self._now_us()

        def read(db: apsw.Connection) -> Health:
            broken = self._writer.broken
            return Health(
                writable=broken is None,
                durability="fsync" if broken is None else f"degraded: {broken}",
                clock_skew_s=0.0,  # the store's clock is ours
                schema_version=migrations.version(db),
                workers=tuple(
                    Worker(owner=owner, seen_s_ago=(now - seen) / _US_PER_S, version=version)
                    for owner, seen, version in rows(db, _SQL["workers"])
                ),
            )

        return await self._read(read)

    async def pending(self) -> Pending:
        """See SweepStore."""
        now = self._now_us()
        return await self._read(lambda db: _pending(db, now))


def take_back(db: apsw.Connection, *, until: int, limit: int, now: int) -> list[Expired]:
    """End leases that ran out before *until*; what was held may be sent again at once."""
    found = rows(db, _SQL["expired"], (until, limit))
    if not found:
        return []
    undone = [Undone(*row[:4]) for row in found]
    record(db, [_abandoned(one, now) for one in undone], now=now)
    poisoned = {row[1] for row in found if row[4] + 1 >= ABANDONED_IN_A_ROW_MAX}
    failed = [one for one in undone if one.id in poisoned]
    run_many(db, _SQL["block_poisoned"], [(one.merchant_id, one.id) for one in failed])
    end(db, failed, Trigger.GIVE_UP, now=now, reason=Reason.POISON)
    back = [one for one in undone if one.id not in poisoned]
    stage(db, back, Trigger.RETRY, now=now)
    run(db, _SQL["take_back"], (now,))
    lanes = {one.endpoint_id: None for one in back}
    run_many(db, _SQL["insert_wakes"], [(lane, None, now) for lane in lanes])
    return [
        Expired(
            delivery_id=one.id,
            merchant_id=one.merchant_id,
            endpoint_id=one.endpoint_id,
            poisoned=one.id in poisoned,
        )
        for one in undone
    ]


def _abandoned(undone: Undone, now: int) -> Attempt:
    return Attempt(
        delivery_id=DeliveryId(undone.id),
        fence=undone.fence,
        late=False,
        at=from_us(now),
        status=None,
        reason=Reason.ABANDONED,
        detail="",
        timing=Timing(),
        peer=None,
    )


def _mend(db: apsw.Connection, *, after: bytes, limit: int, now: int) -> Mended:
    ids = [id_ for (id_,) in rows(db, _SQL["lanes_from"], (after, limit))]
    freed = rows(db, _SQL["free_objects"], (blobs(ids),))
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in freed])
    drifted = rows(db, _SQL["drifted"], (blobs(ids), now))
    late = [
        (endpoint_id, due_at)
        for endpoint_id, look_at, target, *pace in drifted
        if look_at > (due_at := max(target, _paced(*pace, now=now)))
    ]
    forgotten = rows(db, _SQL["forgotten_objects"], (blobs(ids),))
    for endpoint_id, look_at in late:
        run(db, _SQL["set_look"], (endpoint_id, look_at))
    run_many(db, _SQL["insert_wakes"], [(*wake, now) for wake in forgotten])
    mended = {row[0] for row in late} | {row[0] for row in forgotten}
    last = EndpointId(ids[-1]) if len(ids) == limit else None
    return Mended(looked=len(ids), drifted=len(mended), last=last)


def _paced(tat: int, rate_per_s: float | None, *, now: int) -> int:
    """Return when the lane's rate lets the next go."""
    if rate_per_s is None:
        return now
    return throttle.next_at(tat, now, rate_per_s, throttle.burst_of(rate_per_s))


def _pending(db: apsw.Connection, now: int) -> Pending:
    counts = first(db, _SQL["queue_counts"])
    oldest = first(db, _SQL["oldest_due"])
    assert counts is not None
    assert oldest is not None
    states = (State.SCHEDULED, State.LEASED, State.BLOCKED)
    endpoints = {EndpointStatus.ACTIVE: 0, EndpointStatus.PAUSED: 0, EndpointStatus.DISABLED: 0}
    circuits_open = 0
    for state, count, circuits in rows(db, _SQL["lane_counts"]):
        endpoints[_status(LaneState(state))] += count
        circuits_open += circuits
    due_us = now if oldest[0] is None else oldest[0]
    return Pending(
        states=tuple((state.value, count) for state, count in zip(states, counts, strict=True)),
        oldest_s=max(now - due_us, 0) / _US_PER_S,
        endpoints=tuple((status.value, count) for status, count in endpoints.items()),
        circuits_open=circuits_open,
    )


def _status(state: LaneState) -> EndpointStatus:
    if state is LaneState.PAUSED:
        return EndpointStatus.PAUSED
    if state is LaneState.DISABLED:
        return EndpointStatus.DISABLED
    return EndpointStatus.ACTIVE

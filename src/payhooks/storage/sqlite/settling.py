"""The record of attempts: a batch is staged in memory, then moved by whole statements."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, event_id_of
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import Trigger
from payhooks.ports.settling import Settlement
from payhooks.storage import statements
from payhooks.storage.documents import encode
from payhooks.storage.sqlite.connection import (
    Row,
    delay_us,
    rows,
    rows_of_many,
    run,
    run_many,
    to_us,
)
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "settling.sql")
_SUCCEED, _RETRY, _GIVE_UP, _RELEASE, _CANCEL = range(5)
_HEADERS: Final = msgspec.json.Encoder()


class Undone(NamedTuple):
    """A row of the queue that is to leave it."""

    merchant_id: MerchantId
    id: DeliveryId
    endpoint_id: EndpointId
    fence: int


class _Foreign(NamedTuple):
    """What is said of a settlement whose lease is somebody else's by now."""

    held: bool  # it was written before
    is_evidence: bool  # what it brings explains what nothing else does


class SqliteSettle(Part):
    """See SettleStore."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """See SettleStore."""
        if not settlements:
            return []
        return await self._write(
            Kind.SETTLE, lambda db: _settle_in_turn(db, settlements, now=self._now_us())
        )


def record(db: apsw.Connection, attempts: Sequence[Attempt], *, now: int) -> None:
    """Write attempts and what was kept of their answers; those written before stay."""
    run_many(db, _SQL["insert_attempts"], [_attempt_row(attempt) for attempt in attempts])
    kept = [attempt for attempt in attempts if attempt.answer_headers or attempt.answer_body]
    run_many(db, _SQL["insert_bodies"], [_body_row(attempt, now) for attempt in kept])


def end(
    db: apsw.Connection,
    undone: Sequence[Undone],
    trigger: Trigger,
    *,
    now: int,
    reason: Reason | None = None,
) -> int:
    """Take undone deliveries out of the queue, failed or cancelled; return how many."""
    assert trigger in {Trigger.GIVE_UP, Trigger.CANCEL}
    stage(db, undone, trigger, now=now, reason=reason)
    run(db, _SQL["wake_followers"], (now,))
    run(db, _SQL["finish"], (now,))
    return run(db, _SQL["leave_queue"])


def stage(
    db: apsw.Connection,
    undone: Sequence[Undone],
    trigger: Trigger,
    *,
    now: int,
    reason: Reason | None = None,
) -> None:
    """Put rows of the queue into the table in memory that the next statement reads."""
    run(db, _SQL["clear_staging"])
    move = _move(trigger)
    staged = [(n, *one, move, 0, now, reason, 0, 1) for n, one in enumerate(undone)]
    run_many(db, _SQL["stage"], staged)


def prepare(db: apsw.Connection) -> None:
    """Make the table in memory that batches are staged in."""
    db.execute(_SQL["create_staging"])


def _settle_in_turn(
    db: apsw.Connection, settlements: Sequence[Settlement], *, now: int
) -> list[bool]:
    """Settle a batch, and what it says of one delivery a second time after the first."""
    if len({one.delivery_id for one in settlements}) == len(settlements):
        return _settle(db, settlements, now=now)
    # Whole statements would do both: reschedule it as the last one says, and count each.
    firsts: dict[DeliveryId, int] = {}
    for n, one in enumerate(settlements):
        firsts.setdefault(one.delivery_id, n)
    turn = list(firsts.values())
    later = sorted(set(range(len(settlements))).difference(turn))
    held = _settle(db, [settlements[n] for n in turn], now=now)
    held += _settle_in_turn(db, [settlements[n] for n in later], now=now)
    told = dict(zip(turn + later, held, strict=True))
    return [told[n] for n in range(len(settlements))]


def _settle(db: apsw.Connection, settlements: Sequence[Settlement], *, now: int) -> list[bool]:
    run(db, _SQL["clear_staging"])
    run_many(db, _SQL["stage"], [_staged(n, one, now) for n, one in enumerate(settlements)])
    moves = {settlement.trigger for settlement in settlements}
    held = run(db, _SQL["mark_holding"])
    foreign = _foreign(db, settlements) if held < len(settlements) else {}
    if not moves.isdisjoint({Trigger.RETRY, Trigger.RELEASE}):
        run(db, _SQL["cancel_deleted"])
    if any(settlement.block_order for settlement in settlements):
        run(db, _SQL["block_objects"])
    run(db, _SQL["wake_followers"], (now,))
    run(db, _SQL["finish"], (now,))
    run(db, _SQL["leave_queue"])
    if not moves.isdisjoint({Trigger.RETRY, Trigger.RELEASE}):
        run(db, _SQL["reschedule"])
        run(db, _SQL["wake_lanes"])
    record(db, _attempts(settlements, foreign, _expunged(db, settlements, foreign)), now=now)
    rendered = [
        (settlement.delivery_id, settlement.merchant_id, settlement.rendered)
        for n, settlement in enumerate(settlements)
        if settlement.rendered is not None and n not in foreign
    ]
    run_many(db, _SQL["insert_rendered"], rendered)
    return [n not in foreign or foreign[n].held for n in range(len(settlements))]


def _foreign(db: apsw.Connection, settlements: Sequence[Settlement]) -> dict[int, _Foreign]:
    """Return which hold no lease, and what that says of them."""
    foreign = {}
    for n, is_explained, is_abandoned in rows(db, _SQL["foreign_fences"]):
        if settlements[n].trigger is Trigger.RELEASE:
            foreign[n] = _Foreign(held=False, is_evidence=not is_explained)
        else:
            written = bool(is_explained and not is_abandoned)
            foreign[n] = _Foreign(held=written, is_evidence=not written)
    return foreign


def _expunged(
    db: apsw.Connection, settlements: Sequence[Settlement], foreign: dict[int, _Foreign]
) -> frozenset[EventId]:
    """Return of which events nothing that an answer may quote is kept any more.

    Their deliveries were called off, so only who lost the lease can bring something.
    """
    late = [settlements[n] for n in foreign]
    wanted = {(one.merchant_id, event_id_of(one.delivery_id)): None for one in late}
    return frozenset(id_ for (id_,) in rows_of_many(db, _SQL["expunged_events"], list(wanted)))


def _attempts(
    settlements: Sequence[Settlement], foreign: dict[int, _Foreign], expunged: frozenset[EventId]
) -> list[Attempt]:
    """Return the attempts to write: those of owners who lost the lease are late."""
    attempts = []
    for n, settlement in enumerate(settlements):
        attempt = settlement.attempt
        is_late = n in foreign
        if attempt is not None and (not is_late or foreign[n].is_evidence):
            if attempt.late != is_late:
                attempt = msgspec.structs.replace(attempt, late=is_late)
            if is_late and event_id_of(attempt.delivery_id) in expunged:
                attempt = msgspec.structs.replace(attempt, answer_headers=(), answer_body=b"")
            attempts.append(attempt)
    return attempts


def _staged(n: int, settlement: Settlement, now: int) -> Row:
    return (
        n,
        settlement.merchant_id,
        settlement.delivery_id,
        settlement.endpoint_id,
        settlement.fence,
        _move(settlement.trigger),
        int(settlement.trigger is not Trigger.RELEASE),
        now + delay_us(settlement.delay_s),
        settlement.reason,
        int(settlement.block_order),
        0,
    )


def _move(trigger: Trigger) -> int:
    match trigger:
        case Trigger.SUCCEED:
            return _SUCCEED
        case Trigger.RETRY:
            return _RETRY
        case Trigger.GIVE_UP:
            return _GIVE_UP
        case Trigger.RELEASE:
            return _RELEASE
        case Trigger.CANCEL:
            return _CANCEL
        case _:
            raise AssertionError(f"{trigger} ends no lease")


def _attempt_row(attempt: Attempt) -> Row:
    return (
        attempt.delivery_id,
        attempt.fence,
        int(attempt.late),
        to_us(attempt.at),
        attempt.status,
        attempt.reason,
        attempt.detail,
        encode(attempt.timing),
        attempt.peer,
    )


def _body_row(attempt: Attempt, now: int) -> Row:
    return (
        attempt.delivery_id,
        attempt.fence,
        int(attempt.late),
        now,
        int(attempt.answer_truncated),
        _HEADERS.encode(attempt.answer_headers),
        attempt.answer_body,
    )

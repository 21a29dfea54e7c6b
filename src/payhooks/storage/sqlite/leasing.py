"""The schedule: wakes folded into lanes, what is due leased, news of lanes written down."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, assert_never

import apsw
import msgspec

from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId, ReplayId, event_id_of
from payhooks.model.delivery import PROBATION_AFTER
from payhooks.model.event import Event
from payhooks.policy import throttle
from payhooks.ports.leasing import LaneNews, LaneReport, Lease, Leased, Trial
from payhooks.storage import statements
from payhooks.storage.sqlite.connection import (
    FOREVER_US,
    Row,
    blobs,
    delay_us,
    first,
    optional_time,
    rows,
    rows_of_many,
    run,
    run_many,
)
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind
from payhooks.storage.trials import BANDS, EVERY, FREE, Band

_SQL: Final = statements.load(__package__, "leasing.sql")
_WAKES_MAX: Final = 2_000  # folded in one look; the next look is at once where more wait
_US_PER_S: Final = 1_000_000


class _Lane(msgspec.Struct, frozen=True, array_like=True):
    """A lane that may give something."""

    endpoint_id: EndpointId
    merchant_id: MerchantId
    circuit_open: int
    rate_per_s: float | None
    tat: int
    lease_us: int
    rest_until: int
    probe_until: int
    failing: int


class _Due(msgspec.Struct, frozen=True, array_like=True):
    """A row that is due, as the one answer for all of a lane's rows spells it."""

    id: str
    event_type: str
    fence: int
    attempts_made: int
    order_key: str
    dialect: str
    dialect_version: int
    replay_id: str
    replay_bulk: int | None
    due_at: int
    position: int
    abandoned: int


class _Carried(msgspec.Struct, frozen=True, array_like=True):
    """An event, spelled the same way."""

    id: str
    merchant_id: str
    type: str
    family: str
    object_type: str | None
    object_id: str | None
    occurred_at: int | None
    ordering_key: str | None
    metadata: str
    metadata_missing: int
    data: str


_DUE: Final = msgspec.json.Decoder(list[_Due])
_CARRIED: Final = msgspec.json.Decoder(list[_Carried])


class SqliteLease(Part):
    """See LeaseStore."""

    async def lease(  # noqa: PLR0913 - whose look, and all that bounds what it brings
        self,
        *,
        owner: int,
        lanes_max: int,
        per_lane_max: int,
        skip: Sequence[EndpointId],
        only: EndpointId | None = None,
        trial: Trial = Trial.NONE,
    ) -> Lease:
        """See LeaseStore."""

        def work(db: apsw.Connection) -> Lease:
            now = self._now_us()
            fold(db, now=now)
            if only is None:
                bindings = (now, blobs(skip), lanes_max)
                found = rows(db, _SQL["due_lanes"], bindings)
            else:
                found = rows(db, _SQL["listening_lane"], (only, now))
            look = _Look(db, owner=owner, now=now, freely=EVERY if only else FREE)
            if trial is not Trial.NONE:
                look.permit(BANDS[trial])
            claimed = [
                (lane, look.claim(lane, at_most=per_lane_max))
                for lane in (_Lane(*row) for row in found)
            ]
            look_again_s = _look_again_s(db, skip, now=now)
            return Lease(leased=_leased(db, claimed), look_again_s=look_again_s)

        return await self._write(Kind.QUICK, work)

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore."""

        def work(db: apsw.Connection) -> None:
            now = self._now_us()
            for report in reports:
                _report(db, report, now)

        await self._write(Kind.QUICK, work)


def fold(db: apsw.Connection, *, now: int) -> None:
    """Write into the lanes what was left for them, and let the next of each object go."""
    wakes = rows(db, _SQL["waiting_wakes"], (_WAKES_MAX,))
    if not wakes:
        return
    run(db, _SQL["take_wakes"], (wakes[-1][0],))
    ordered = {(endpoint_id, key): None for _, endpoint_id, key in wakes if key is not None}
    run_many(db, _SQL["promote"], list(ordered), before=(now,))
    run(db, _SQL["lower_lanes"], (blobs({endpoint_id for _, endpoint_id, _ in wakes}),))


class _Look:
    """One look: what it may bring of lanes, and what of that is left."""

    def __init__(self, db: apsw.Connection, *, owner: int, now: int, freely: Band) -> None:
        self._db = db
        self._owner = owner
        self._now = now
        self._freely = freely
        self._tried = BANDS[Trial.NONE]
        self._tried_left = 0

    def permit(self, band: Band) -> None:
        """Bring deliveries on probation too, where there are any: mostly there are none."""
        found = first(self._db, _SQL["any_on_probation"])
        if found is not None and found[0]:
            self._tried, self._tried_left = band, band.together_max

    def claim(self, lane: _Lane, *, at_most: int) -> list[_Due]:
        """Lease what one lane may give, and write down when to look at it next."""
        now = self._now
        count = min(at_most, 1) if lane.circuit_open else at_most
        burst = 0
        if lane.rate_per_s is not None:
            burst = throttle.burst_of(lane.rate_per_s)
            count = min(count, throttle.allowance(lane.tat, now, lane.rate_per_s, burst))
        due = self._due(lane, count)
        if due:
            ids = blobs(bytes.fromhex(row.id) for row in due)
            bindings = (self._owner, now + lane.lease_us, lane.merchant_id, ids)
            taken = run(self._db, _SQL["take_rows"], bindings)
            assert taken == len(due)
        probe_until, tat = lane.probe_until, lane.tat
        if lane.circuit_open and due:
            # Not only a later look: a wake must not start a second probe.
            probe_until = now + lane.lease_us
        found = first(self._db, _SQL["next_due"], (lane.endpoint_id,))
        next_due = FOREVER_US if found is None or found[0] is None else found[0]
        # Not before now, or the lane with the oldest backlog would be taken every time.
        look_at = max(next_due, lane.rest_until, probe_until, now)
        if lane.rate_per_s is not None:
            tat = throttle.spend(tat, now, lane.rate_per_s, burst, count=len(due))
            look_at = max(look_at, throttle.next_at(tat, now, lane.rate_per_s, burst))
        run(self._db, _SQL["write_lane"], (lane.endpoint_id, look_at, probe_until, tat))
        return due

    def _due(self, lane: _Lane, count: int) -> list[_Due]:
        tried = self._rows("due_on_probation", lane, self._tried, min(count, self._tried_left))
        self._tried_left -= len(tried)
        due = tried + self._rows("due_rows", lane, self._freely, count - len(tried))
        return sorted(due, key=lambda row: (row.due_at, row.position))

    def _rows(self, name: str, lane: _Lane, band: Band, count: int) -> list[_Due]:
        if count == 0:
            return []
        bindings = (lane.endpoint_id, self._now, count, band.at_least, band.below)
        found = first(self._db, _SQL[name], bindings)
        assert found is not None
        return _DUE.decode(found[0])


def _leased(db: apsw.Connection, claimed: Sequence[tuple[_Lane, list[_Due]]]) -> tuple[Leased, ...]:
    ids = [DeliveryId(bytes.fromhex(row.id)) for _, due in claimed for row in due]
    if not ids:
        return ()
    lanes = chain.from_iterable([lane] * len(due) for lane, due in claimed)
    due_rows = chain.from_iterable(due for _, due in claimed)
    merchants = {lane.merchant_id for lane, _ in claimed}
    versions: dict[MerchantId, int] = dict(rows(db, _SQL["routing_versions"], (blobs(merchants),)))
    rendered: dict[DeliveryId, bytes] = dict(rows(db, _SQL["rendered"], (blobs(ids),)))
    events = _events(
        db,
        {
            (lane.merchant_id, event_id_of(DeliveryId(bytes.fromhex(row.id)))): None
            for lane, due in claimed
            for row in due
        },
    )
    return tuple(
        Leased(
            id=id_,
            endpoint_id=lane.endpoint_id,
            merchant_id=lane.merchant_id,
            event=events[event_id_of(id_)],
            fence=row.fence,
            attempts_made=row.attempts_made,
            lease_s=lane.lease_us / _US_PER_S,
            order_key=bytes.fromhex(row.order_key) or None,
            dialect=row.dialect,
            dialect_version=row.dialect_version,
            replay_id=ReplayId(bytes.fromhex(row.replay_id)) or None,
            replay_bulk=None if row.replay_bulk is None else bool(row.replay_bulk),
            rendered=rendered.get(id_),
            routing_version=versions[lane.merchant_id],
            lane_failing=bool(lane.failing),
            lane_probe=bool(lane.circuit_open),
            probation=row.abandoned >= PROBATION_AFTER,
        )
        for id_, lane, row in zip(ids, lanes, due_rows, strict=True)
        # Without its event it cannot be sent: its lease runs out, and in the end it is set
        # aside. Raised, the same look would be in vain for ever, for everybody.
        if event_id_of(id_) in events
    )


def _events(
    db: apsw.Connection, wanted: dict[tuple[MerchantId, EventId], None]
) -> dict[EventId, Event]:
    answers = rows_of_many(db, _SQL["events"], list(wanted))
    carried = chain.from_iterable(_CARRIED.decode(text) for (text,) in answers)
    return {event.id: event for event in map(_event, carried)}


def _event(carried: _Carried) -> Event:
    return Event(
        id=EventId(bytes.fromhex(carried.id)),
        merchant_id=MerchantId(bytes.fromhex(carried.merchant_id)),
        type=carried.type,
        family=carried.family,
        data=bytes.fromhex(carried.data),
        object_type=carried.object_type,
        object_id=carried.object_id,
        occurred_at=optional_time(carried.occurred_at),
        ordering_key=carried.ordering_key,
        metadata=None if carried.metadata_missing else bytes.fromhex(carried.metadata),
    )


def _look_again_s(db: apsw.Connection, skip: Sequence[EndpointId], *, now: int) -> float | None:
    left = first(db, _SQL["wakes_left"])
    if left is not None and left[0]:
        return 0.0
    found = first(db, _SQL["look_again"], (blobs(skip),))
    look_at: Any = None if found is None else found[0]
    if look_at is None or look_at >= FOREVER_US:
        return None
    return float(max(look_at - now, 0) / _US_PER_S)


def _report(db: apsw.Connection, report: LaneReport, now: int) -> None:
    rest_until = now + delay_us(report.rest_s)
    bindings: Row
    match report.news:
        case LaneNews.FAILING:
            name, bindings = "report_failing", (report.endpoint_id, now)
        case LaneNews.RECOVERED:
            name, bindings = "report_recovered", (report.endpoint_id, now)
        case LaneNews.RESTED:
            name, bindings = "report_rested", (report.endpoint_id, rest_until)
        case LaneNews.TRIPPED:
            name, bindings = "report_tripped", (report.endpoint_id, rest_until, now)
        case _:
            assert_never(report.news)
    run(db, _SQL[name], bindings)

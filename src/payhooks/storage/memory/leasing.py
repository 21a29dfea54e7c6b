"""The schedule: wakes folded into lanes, what is due leased, news of lanes written down."""

from collections.abc import Sequence
from itertools import chain, islice

from payhooks.ids import EndpointId, event_id_of
from payhooks.model.delivery import PROBATION_AFTER, Trigger
from payhooks.policy import throttle
from payhooks.ports.leasing import LaneNews, LaneReport, Lease, Leased, Trial
from payhooks.storage.memory.rows import NEVER, LaneRow, LaneState, QueueRow, span_s, span_us
from payhooks.storage.memory.tables import Tables
from payhooks.storage.trials import BANDS, EVERY, FREE, Band


class MemoryLease:
    """See LeaseStore."""

    _tables: Tables

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
        now = self._tables.now()
        self._fold(now)
        skipped = frozenset(skip)
        taken = self._listening(only, now) if only else self._due(skipped, now)
        freely, tried = EVERY if only else FREE, BANDS[trial]
        left = tried.together_max
        leased: list[list[Leased]] = []
        for lane in islice(taken, lanes_max):
            room = self._room(lane, per_lane_max, now)
            rows = self._take(lane, tried, at_most=min(left, room), owner=owner, now=now)
            left -= len(rows)
            rows += self._take(lane, freely, at_most=room - len(rows), owner=owner, now=now)
            rows.sort(key=lambda row: (row.due_at, row.position))
            self._write_claim(lane, len(rows), now)
            leased.append([self._leased(row, lane) for row in rows])
        self._tables.publish()
        return Lease(
            leased=tuple(chain.from_iterable(leased)), look_again_s=self._look_again(skipped, now)
        )

    async def report(self, reports: Sequence[LaneReport]) -> None:
        """See LeaseStore."""
        now = self._tables.now()
        for report in reports:
            lane = self._tables.lanes.get(report.endpoint_id)
            if lane is not None:
                _write_news(lane, report, now)

    def _fold(self, now: int) -> None:
        """Write into the lanes what was left for them, and let the next of each object go."""
        wakes, self._tables.wakes = self._tables.wakes, {}
        for endpoint_id, keys in wakes.items():
            for order_key in keys:
                if order_key is not None:
                    self._promote(endpoint_id, order_key, now)
            lane = self._tables.lanes[endpoint_id]
            first = self._tables.queue.first_due(endpoint_id)
            if first is not None:
                lane.look_at = max(min(lane.look_at, first.due_at), lane.still_until)

    def _promote(self, endpoint_id: EndpointId, order_key: bytes, now: int) -> None:
        if (endpoint_id, order_key) in self._tables.order_blocks:
            return
        head = self._tables.queue.head(endpoint_id, order_key)
        if head is not None:
            self._tables.queue.move(head, Trigger.PROMOTE, due_at=now)

    def _due(self, skipped: frozenset[EndpointId], now: int) -> list[LaneRow]:
        due = [
            lane
            for lane in self._tables.lanes.values()
            if lane.state is LaneState.OPEN
            and lane.look_at <= now
            and lane.endpoint_id not in skipped
        ]
        return sorted(due, key=lambda lane: (lane.look_at, lane.endpoint_id))

    def _listening(self, only: EndpointId, now: int) -> list[LaneRow]:
        lane = self._tables.lanes.get(only)
        if lane is None or lane.state is not LaneState.LISTENING:
            return []
        lane.listened_at = now
        return [lane]

    def _room(self, lane: LaneRow, per_lane_max: int, now: int) -> int:
        """Return how many deliveries the lane may give at this look."""
        room = min(per_lane_max, 1) if lane.circuit_open else per_lane_max
        if lane.rate_per_s is None:
            return room
        burst = throttle.burst_of(lane.rate_per_s)
        return min(room, throttle.allowance(lane.tat, now, lane.rate_per_s, burst))

    def _take(
        self, lane: LaneRow, band: Band, *, at_most: int, owner: int, now: int
    ) -> list[QueueRow]:
        """Lease what is due in one lane and in *band*, the longest due first."""
        queue = self._tables.queue
        taken: list[QueueRow] = []
        passed: list[QueueRow] = []
        while len(taken) < at_most:
            row = queue.first_due(lane.endpoint_id)
            if row is None or row.due_at > now:
                break
            if band.at_least <= row.abandoned < band.below:
                queue.move(row, Trigger.LEASE, owner=owner, lease_until=now + lane.lease_us)
                taken.append(row)
            else:
                queue.pass_over(row)
                passed.append(row)
        for row in passed:
            queue.hasten(row, due_at=row.due_at)
        return taken

    def _write_claim(self, lane: LaneRow, count: int, now: int) -> None:
        """Write down when to look next at a lane that gave so many."""
        if lane.circuit_open and count:
            # Not only a later look: a wake must not start a second probe.
            lane.probe_until = now + lane.lease_us
        first = self._tables.queue.first_due(lane.endpoint_id)
        # Not before now, or the lane with the oldest backlog would be taken every time.
        lane.look_at = max(NEVER if first is None else first.due_at, lane.still_until, now)
        if lane.rate_per_s is not None:
            burst = throttle.burst_of(lane.rate_per_s)
            lane.tat = throttle.spend(lane.tat, now, lane.rate_per_s, burst, count=count)
            next_at = throttle.next_at(lane.tat, now, lane.rate_per_s, burst)
            lane.look_at = max(lane.look_at, next_at)

    def _leased(self, row: QueueRow, lane: LaneRow) -> Leased:
        rendered = self._tables.rendered.get(row.id)
        return Leased(
            id=row.id,
            endpoint_id=row.endpoint_id,
            merchant_id=row.merchant_id,
            event=self._tables.events[event_id_of(row.id)].event,
            fence=row.fence,
            attempts_made=row.attempts_made,
            lease_s=span_s(lane.lease_us),
            order_key=row.order_key,
            dialect=row.dialect,
            dialect_version=row.dialect_version,
            replay_id=row.replay_id,
            replay_bulk=row.replay_bulk,
            rendered=None if rendered is None else rendered[1],
            routing_version=self._tables.routing[row.merchant_id],
            lane_failing=lane.failing_since is not None,
            lane_probe=lane.circuit_open,
            probation=row.abandoned >= PROBATION_AFTER,
        )

    def _look_again(self, skipped: frozenset[EndpointId], now: int) -> float | None:
        looks = [
            lane.look_at
            for lane in self._tables.lanes.values()
            if lane.state is LaneState.OPEN and lane.endpoint_id not in skipped
        ]
        least = min(looks, default=NEVER)
        return None if least == NEVER else span_s(max(least - now, 0))


def _write_news(lane: LaneRow, report: LaneReport, now: int) -> None:
    rest_until = max(lane.rest_until, now + span_us(report.rest_s))
    match report.news:
        case LaneNews.FAILING:
            lane.failing_since = lane.failing_since or now
        case LaneNews.RECOVERED:
            lane.failing_since, lane.warned = None, 0
            # A rest that the receiver asked for goes on; that of the circuit ends with it, and
            # what waited for the probe is due at once.
            if lane.circuit_open:
                lane.circuit_open, lane.rest_until, lane.probe_until = False, now, 0
                lane.look_at = min(lane.look_at, now)
        case LaneNews.RESTED:
            lane.rest_until = rest_until
            lane.look_at = max(lane.look_at, rest_until)
        case LaneNews.TRIPPED:
            lane.circuit_open, lane.probe_until = True, 0
            lane.rest_until = rest_until
            lane.look_at = rest_until  # sooner, perhaps, than a probe might have taken
            lane.failing_since = lane.failing_since or now

"""What the store does with deliveries: each move against what must hold."""

from typing import Final

from payhooks.ids import ReplayId
from payhooks.model.attempt import Answer, OurFault, Reason
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, FINAL_STATES, State, Trigger
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.replay import ReplayState
from payhooks.policy.throttle import burst_of
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.promises import Promise
from payhooks.simulator.record import Lease, Request, is_success
from payhooks.storage.memory import DeliveryMoved
from payhooks.storage.memory.rows import FinalRow, QueueRow

# Jitter adds a tenth of the wait at most; rounding to microseconds may take one off.
ROUNDING_S: Final = 0.001
# A process's clock may gain a ten-thousandth, and a request takes 45 s at most.
_OVER_EARLY_S_MAX: Final = 0.01
_SPENDS: Final = frozenset({Trigger.SUCCEED, Trigger.RETRY, Trigger.GIVE_UP})
_REPLAYED: Final = frozenset({Trigger.REPLAY, Trigger.REPLAY_IN_ORDER})
# What a process that advances a job may send at once when it takes it over, and one more.
_JOB_AT_ONCE: Final = 2


class Moves:
    """Looks at moves."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._record = auditor.record

    def moved(self, moved: DeliveryMoved) -> None:
        """Take note of one move."""
        auditor, name = self._auditor, moved.id.hex()
        auditor.note("moved", name, moved.old, moved.trigger, moved.new, moved.fence)
        self._count(moved)
        auditor.demand(
            Promise.FINAL,
            moved.old not in FINAL_STATES or moved.trigger in _REPLAYED,
            lambda: f"{name} left {moved.old} by {moved.trigger}",
        )
        last = self._record.fences.get(moved.id, 0)
        auditor.demand(
            Promise.EXPLAINED,
            moved.fence >= last,
            lambda: f"the fence of {name} went back from {last} to {moved.fence}",
        )
        self._record.fences[moved.id] = moved.fence
        row = auditor.tables.queue.rows.get(moved.id) or auditor.tables.deliveries[moved.id]
        if moved.trigger in _REPLAYED or (moved.old is None and row.replay_id is not None):
            self._sent_again(moved, row)
        if row.state is not moved.new or row.fence != moved.fence:
            return  # moved on in the same transaction
        if moved.new is State.LEASED:
            assert isinstance(row, QueueRow)
            self._leased(row, moved)
        self._by_trigger(moved, row)

    def _by_trigger(self, moved: DeliveryMoved, row: QueueRow | FinalRow) -> None:
        request = self._record.requests.get((moved.id, moved.fence))
        name = moved.id.hex()
        self._spend(moved, row)
        match moved.trigger:
            case Trigger.SUCCEED:
                self._auditor.demand(
                    Promise.STORED,
                    request is not None and request.accepted,
                    lambda: (
                        f"{name} is delivered under lease {moved.fence}, "
                        "whose request no receiver has accepted"
                    ),
                )
                self._record.expired.pop(moved.id, None)
                self._circuit(row, request)
            case Trigger.RETRY:
                self._failed_request(moved, request)
                self._record.expired.pop(moved.id, None)
                self._retried(moved, row, request)
            case Trigger.GIVE_UP:
                self._gave_up(moved, row, request)
            case Trigger.RELEASE:
                self._released(moved, row, request)
            case Trigger.EXPIRE:
                self._expired(moved, request)
            case Trigger.CANCEL:
                self._cancelled(moved, row)
            case _:
                pass

    def _spend(self, moved: DeliveryMoved, row: QueueRow | FinalRow) -> None:
        if moved.trigger in _SPENDS and row.reason is not Reason.POISON:
            self._record.spent[moved.id] += 1
        if moved.trigger in _REPLAYED or moved.trigger is Trigger.CANCEL:
            return
        spent = self._record.spent[moved.id]
        self._auditor.demand(
            Promise.SCHEDULE,
            row.attempts_made == spent,
            lambda: f"{moved.id.hex()} has {row.attempts_made} attempts, {spent} were spent",
        )

    def _count(self, moved: DeliveryMoved) -> None:
        states = self._record.states
        if moved.old is not None and moved.old not in FINAL_STATES:
            states[moved.old] -= 1
        if moved.new not in FINAL_STATES:
            states[moved.new] += 1

    def check_stopped(self, owners: tuple[int, ...]) -> None:
        """Check that a process that stopped in order left no lease that it did not use."""
        for row in self._auditor.tables.queue.rows.values():
            if row.owner in owners and (row.id, row.fence) not in self._record.requests:
                what = f"{row.id.hex()} waits for the lease of a process that has stopped"
                self._auditor.blame(Promise.LEASES, what)

    # --- leased -------------------------------------------------------------------------------

    def _leased(self, row: QueueRow, moved: DeliveryMoved) -> None:
        auditor, name = self._auditor, row.id.hex()
        self._record.leases[row.id, row.fence] = Lease(auditor.now_s, row.owner)
        if self._record.expired.get(row.id) and moved.trigger is Trigger.LEASE:
            auditor.mark("lease expired and taken over")
        now = auditor.tables.now()
        auditor.demand(
            Promise.SCHEDULE, row.due_at <= now, lambda: f"{name} was leased before it was due"
        )
        rest = self._record.rests.get(row.endpoint_id, 0.0)
        auditor.demand(
            Promise.SILENCE,
            rest <= auditor.now_s + ROUNDING_S,
            lambda: f"{name} was leased while its receiver wanted to rest",
        )
        status = auditor.tables.endpoints[row.endpoint_id].status
        auditor.demand(
            Promise.SILENCE,
            status is EndpointStatus.ACTIVE,
            lambda: f"{name} was leased while its endpoint was {status}",
        )
        if row.order_key is not None:
            holder = auditor.tables.order_blocks.get((row.endpoint_id, row.order_key))
            auditor.demand(
                Promise.ORDER,
                holder is None,
                lambda: f"{name} went although its object waits for a person",
            )
        if row.replay_id is not None:
            auditor.demand(
                Promise.REPLAYS,
                row.replay_id not in self._record.job_cancelled
                or row.id in self._record.job_leased[row.replay_id],
                lambda: f"{name} went although its job was called off",
            )
        self._spend_a_token(row)

    def _spend_a_token(self, row: QueueRow) -> None:
        auditor, endpoint_id = self._auditor, row.endpoint_id
        rate_per_s = auditor.tables.endpoints[endpoint_id].rate_limit_per_s
        if rate_per_s is None:
            return
        now_s, burst = auditor.now_s, burst_of(rate_per_s)
        left, at_s = self._record.tokens.get(endpoint_id, (burst, 0.0))
        left = min(burst, left + (now_s - at_s) * rate_per_s) - 1
        auditor.demand(
            Promise.CAPS,
            left >= -ROUNDING_S,
            lambda: f"more than {rate_per_s} a second of {endpoint_id.hex()} were leased",
        )
        self._record.tokens[endpoint_id] = (left, now_s)

    # --- ended, or to be tried again -----------------------------------------------------------

    def _circuit(self, row: QueueRow | FinalRow, request: Request | None) -> None:
        """Check that a success closed its circuit, unless it came when its news might get lost."""
        lane = self._auditor.tables.lanes[row.endpoint_id]
        if request is None or request.returned_at_s < self._auditor.calm_since_s:
            return
        if not lane.circuit_open:
            return
        tripped_at_s = self._record.tripped_at_s.get(row.endpoint_id, 0.0)
        self._auditor.demand(
            Promise.CAPS,
            self._auditor.leased_at_s(request.delivery_id, request.fence) <= tripped_at_s,
            lambda: f"the circuit of {row.endpoint_id.hex()} is open after a success",
        )

    def _expired(self, moved: DeliveryMoved, request: Request | None) -> None:
        self._auditor.mark("lease expired")
        record = self._record
        record.expired[moved.id] = record.expired.get(moved.id, 0) + 1
        told = (moved.fence, False) in self._auditor.tables.attempts.get(moved.id, {})
        self._auditor.demand(
            Promise.RECORD,
            told,
            lambda: f"no attempt says that a lease of {moved.id.hex()} ran out",
        )
        if request is not None and not request.over:
            life = request.life
            self._auditor.demand(
                Promise.LEASES,
                life.dead or life.pauses > request.pauses,
                lambda: f"the lease of {moved.id.hex()} ran out during its request",
            )

    def _released(
        self, moved: DeliveryMoved, row: QueueRow | FinalRow, request: Request | None
    ) -> None:
        if request is not None and request.broken_off:
            self._broken_off(row, request)
        self._auditor.demand(
            Promise.SCHEDULE,
            request is None or request.broken_off or isinstance(request.returned, OurFault),
            lambda: f"{moved.id.hex()} was given back as not attempted, but it was",
        )
        lease = self._record.leases.get((moved.id, moved.fence))
        if lease is not None and lease.owner is not None and lease.owner < 0:
            self._auditor.mark("handed-off delivery given back")

    def _broken_off(self, row: QueueRow | FinalRow, request: Request) -> None:
        assert isinstance(row, QueueRow)
        auditor, name = self._auditor, row.id.hex()
        auditor.mark("broken off by a stop and given back")
        auditor.demand(
            Promise.RECORD,
            (row.fence, False) in auditor.tables.attempts.get(row.id, {}),
            lambda: f"no attempt says that a request of {name} was broken off",
        )
        due_at_s = auditor.now_s + (row.due_at - auditor.tables.now()) / 1e6
        # Who slept since it was leased had begun before the request was on its way.
        slept = request.life.resumed_at_s > auditor.leased_at_s(row.id, row.fence)
        auditor.demand(
            Promise.SCHEDULE,
            slept or due_at_s >= request.sent_at_s + request.deadline_s - _OVER_EARLY_S_MAX,
            lambda: f"{name} is due at {due_at_s} s, before what was broken off would be over",
        )

    def _failed_request(self, moved: DeliveryMoved, request: Request | None) -> None:
        returned = None if request is None else request.returned
        failed = returned is not None and not is_success(returned)
        self._auditor.demand(
            Promise.SCHEDULE,
            failed and not isinstance(returned, OurFault),
            lambda: f"{moved.id.hex()} spent an attempt under lease {moved.fence} without one",
        )

    def _retried(
        self, moved: DeliveryMoved, row: QueueRow | FinalRow, request: Request | None
    ) -> None:
        assert isinstance(row, QueueRow)
        auditor = self._auditor
        since_s = auditor.leased_at_s(moved.id, moved.fence)
        made = row.attempts_made
        least_s = [
            policy.delays_s[made - 1]
            for policy in auditor.policies(row.endpoint_id, since_s)
            if made < policy.attempts_max
        ]
        auditor.demand(
            Promise.SCHEDULE, bool(least_s), lambda: f"{row.id.hex()} is tried too often: {made}"
        )
        wait_s = (row.due_at - auditor.tables.now()) / 1e6
        auditor.demand(
            Promise.SCHEDULE,
            not least_s or wait_s >= min(least_s) - ROUNDING_S,
            lambda: f"{row.id.hex()} is due after {wait_s} s, before its schedule says",
        )
        if request is not None:
            until_s = request.returned_at_s + _retry_after_s(request)
            auditor.demand(
                Promise.SCHEDULE,
                auditor.now_s + wait_s >= until_s - ROUNDING_S,
                lambda: f"{row.id.hex()} is due before its receiver wants to be asked",
            )

    def _gave_up(
        self, moved: DeliveryMoved, row: QueueRow | FinalRow, request: Request | None
    ) -> None:
        auditor = self._auditor
        since_s = auditor.leased_at_s(moved.id, moved.fence)
        if row.reason is Reason.POISON:
            auditor.mark("poison")
            leases = self._record.expired.get(moved.id, 0) + 1
            auditor.demand(
                Promise.SCHEDULE,
                leases == ABANDONED_IN_A_ROW_MAX,
                lambda: f"{row.id.hex()} is poison after {leases} leases",
            )
        else:
            self._failed_request(moved, request)
            most = min(p.attempts_max for p in auditor.policies(row.endpoint_id, since_s))
            auditor.demand(
                Promise.SCHEDULE,
                row.attempts_made >= most,
                lambda: f"{row.id.hex()} was given up after {row.attempts_made} attempts",
            )
        self._record.expired.pop(moved.id, None)
        self._held_up(row, since_s)

    def _held_up(self, row: QueueRow | FinalRow, since_s: float) -> None:
        """Check that the object of what failed waits, where its endpoint wants that."""
        if row.order_key is None:
            return
        endpoints = self._auditor.in_force(row.endpoint_id, since_s)
        if not all(each.blocks for each in endpoints):
            return
        if any(each.status is EndpointStatus.DELETED for each in endpoints):
            return
        self._auditor.demand(
            Promise.ORDER,
            (row.endpoint_id, row.order_key) in self._auditor.tables.order_blocks,
            lambda: f"{row.id.hex()} failed, and its object does not wait for a person",
        )
        self._auditor.mark("object waits for a person")

    def _cancelled(self, moved: DeliveryMoved, row: QueueRow | FinalRow) -> None:
        tables = self._auditor.tables
        if moved.old is State.LEASED:
            # Expunged meanwhile. If its process dies now, nobody is left to tell of the request.
            self._record.cut_short.add((moved.id, moved.fence))
        deleted = tables.endpoints[row.endpoint_id].status is EndpointStatus.DELETED
        if deleted:
            self._auditor.mark("cancelled with its endpoint")
        self._auditor.demand(
            Promise.FINAL,
            deleted
            or row.id in self._record.asked_to_cancel
            or self._called_off(self._record.replay_of.get(row.id)),
            lambda: f"{row.id.hex()} was cancelled, but nobody asked for it",
        )

    def _called_off(self, replay_id: ReplayId | None) -> bool:
        if replay_id is None:
            return False
        return self._auditor.tables.replays[replay_id].state is ReplayState.CANCELLED

    # --- sent again ---------------------------------------------------------------------------

    def _sent_again(self, moved: DeliveryMoved, row: QueueRow | FinalRow) -> None:
        record, auditor = self._record, self._auditor
        record.replayed.add(moved.id)
        record.spent.pop(moved.id, None)
        record.replay_of[moved.id] = row.replay_id
        record.expired.pop(moved.id, None)
        if row.replay_id is None:
            return
        job, name = auditor.tables.replays[row.replay_id], moved.id.hex()
        if moved.old is None:
            auditor.mark("missed event made up for by a job")
        auditor.demand(
            Promise.REPLAYS,
            job.state is not ReplayState.CANCELLED,
            lambda: f"{name} was sent again by a job that was called off",
        )
        item = (job.id, moved.id)
        auditor.demand(
            Promise.REPLAYS, item not in record.job_items, lambda: f"one job sent {name} twice"
        )
        record.job_items.add(item)
        sent = record.jobs[job.id] = record.jobs.get(job.id, 0) + 1
        age_s = (auditor.tables.clock.now() - job.created_at).total_seconds()
        # Its creator's clock may be off; each process that takes it over may begin with a few.
        rate_per_s = record.job_rates[job.id]
        most = _JOB_AT_ONCE * record.job_claims[job.id] + rate_per_s * (age_s + 2.0)
        auditor.demand(
            Promise.REPLAYS,
            sent <= most,
            lambda: f"a job of {rate_per_s} a second sent {sent} in {age_s:.1f} s",
        )


def _retry_after_s(request: Request) -> float:
    if not isinstance(request.returned, Answer):
        return 0.0
    return max(
        (float(v) for name, v in request.returned.headers if name == "retry-after"), default=0
    )

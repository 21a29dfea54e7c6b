"""What must hold, looked at with every change of the store and every request a receiver sees.

It keeps its own record of what publishers were told, what was sent under which lease, and what
receivers saw, and compares it with the store's. The first broken promise ends the run.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from payhooks import limits
from payhooks.dialects.registry import DIALECTS
from payhooks.flow.fan_out import order_key
from payhooks.ids import DELIVERY, DeliveryId, EndpointId, EventId, MerchantId, event_id_of, to_text
from payhooks.model.attempt import OurFault, Outcome, Reason
from payhooks.model.delivery import FINAL_STATES, State, Trigger
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.event import Event
from payhooks.policy.retry import RetryPolicy, policy_of
from payhooks.policy.throttle import burst_of
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import OutboundRequest
from payhooks.simulator.loop import Life, SimLoop
from payhooks.simulator.record import Record, Request, is_success
from payhooks.simulator.signatures import Secrets
from payhooks.storage.memory import DeliveryMoved, EventAccepted
from payhooks.storage.memory.rows import FinalRow, QueueRow, from_us
from payhooks.storage.memory.tables import Tables

MESSAGE_ID: Final = "webhook-id"
# Jitter adds a tenth of the wait at most; rounding to microseconds may take one off.
_ROUNDING_S: Final = 0.001
# Longer than a delivery waits in memory, shorter than the grace of any rotation.
_FRESH_S: Final = 10.0


class Auditor:
    """Looks at everything, moves nothing."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._trace = hashlib.blake2b(digest_size=16)
        self.timeline: list[str] = []
        self.record = Record()
        self.secrets = Secrets()
        self.violation: str | None = None
        self._tables: Tables | None = None

    @property
    def tables(self) -> Tables:
        """The store's tables; to look at, never to touch."""
        assert self._tables is not None
        return self._tables

    def watch(self, tables: Tables) -> None:
        """Take the tables of the store, which needs the auditor before it has any."""
        self._tables = tables

    @property
    def trace_hash(self) -> str:
        """What this run was, in 32 characters: equal for equal runs."""
        return self._trace.hexdigest()

    def note(self, *words: object) -> None:
        """Write one line into the trace."""
        line = f"{self._loop.time():.6f} " + " ".join(map(str, words))
        self._trace.update(line.encode())
        self.timeline.append(line)

    def mark(self, name: str) -> None:
        """Count that a rare state was reached."""
        self.record.marks[name] = self.record.marks.get(name, 0) + 1

    def blame(self, what: str) -> None:
        """Record a broken promise, the first only, and stop the run."""
        if self.violation is None:
            self.violation = f"at {self._loop.time():.3f} s: {what}"
            self.note("VIOLATION", what)
            self._loop.stop()

    def demand(self, holds: bool, what: Callable[[], str]) -> None:  # noqa: FBT001 - reads as a sentence
        """Record a broken promise unless it holds."""
        if not holds:
            self.blame(what())

    # --- what the store tells ----------------------------------------------------------------

    def observe(self, kind: str, fact: object) -> None:
        """Take note of one change of the store; an Observer."""
        match fact:
            case EventAccepted():
                self._event_accepted(fact)
            case DeliveryMoved():
                self._delivery_moved(fact)
            case _:
                raise AssertionError(kind)

    def _event_accepted(self, fact: EventAccepted) -> None:
        event = fact.event
        self.note("accepted", event.id.hex(), len(fact.deliveries), fact.owner)
        self.record.accepted_as[event.id] = len(self.record.accepted_as)
        if event.family == "payhooks":
            key = (event.merchant_id, event.data + (event.object_id or "").encode())
        else:
            key = (event.merchant_id, event.data)
            self.demand(
                key not in self.record.stored,
                lambda: f"one publication became two events: {event.data!r}",
            )
        self.record.stored[key] = event.id
        wanted = sorted(
            endpoint.id
            for endpoint in self.tables.endpoints.values()
            if endpoint.merchant_id == event.merchant_id
            and endpoint.status in {EndpointStatus.ACTIVE, EndpointStatus.PAUSED}
        )
        got = sorted(self._endpoint_of(event, id_) for id_ in fact.deliveries)
        self.demand(wanted == got, lambda: f"{event.id.hex()} missed a subscribed endpoint")

    def _endpoint_of(self, event: Event, id_: DeliveryId) -> EndpointId:
        row = self.tables.queue.rows.get(id_) or self.tables.deliveries[id_]
        self.demand(row.merchant_id == event.merchant_id, lambda: "an event changed its tenant")
        return row.endpoint_id

    def _delivery_moved(self, moved: DeliveryMoved) -> None:
        self.note("moved", moved.id.hex(), moved.old, moved.trigger, moved.new, moved.fence)
        name = moved.id.hex()
        self.demand(
            moved.old not in FINAL_STATES
            or moved.trigger in {Trigger.REPLAY, Trigger.REPLAY_IN_ORDER},
            lambda: f"{name} left {moved.old} by {moved.trigger}",
        )
        if moved.trigger in {Trigger.REPLAY, Trigger.REPLAY_IN_ORDER}:
            self.record.replayed.add(moved.id)
        row = self.tables.queue.rows.get(moved.id) or self.tables.deliveries[moved.id]
        if row.state is not moved.new or row.fence != moved.fence:
            return  # moved on in the same transaction
        request = self.record.requests.get((moved.id, moved.fence))
        if moved.new is State.LEASED:
            assert isinstance(row, QueueRow)
            self._leased(row)
        match moved.trigger:
            case Trigger.SUCCEED:
                self.demand(
                    request is not None and request.accepted,
                    lambda: (
                        f"{name} is delivered under lease {moved.fence}, "
                        "whose request no receiver has accepted"
                    ),
                )
            case Trigger.RETRY:
                self._failed_request(moved, request)
                self._retried(row)
            case Trigger.GIVE_UP:
                self._gave_up(moved, row, request)
            case Trigger.RELEASE:
                self.demand(
                    request is None or isinstance(request.returned, OurFault),
                    lambda: f"{name} was given back as not attempted, but it was",
                )
            case Trigger.EXPIRE:
                self._expired(moved, request)
            case _:
                pass

    def _leased(self, row: QueueRow) -> None:
        now = self.tables.now()
        self.record.leased_at[row.id] = self._loop.time()
        self.demand(row.due_at <= now, lambda: f"{row.id.hex()} was leased before it was due")
        rest = self.record.rests.get(row.endpoint_id, 0.0)
        self.demand(
            rest <= self._loop.time() + _ROUNDING_S,
            lambda: f"{row.id.hex()} was leased while its receiver wanted to rest",
        )
        held = self.tables.held(row.endpoint_id)
        self.demand(not held, lambda: f"{row.id.hex()} was leased while its endpoint was paused")

        if row.order_key is not None:
            holder = self.tables.order_blocks.get((row.endpoint_id, row.order_key))
            free = holder is None
            self.demand(free, lambda: f"{row.id.hex()} went although its object waits for a person")
        self._spend_a_token(row.endpoint_id)

    def _spend_a_token(self, endpoint_id: EndpointId) -> None:
        rate_per_s = self.tables.endpoints[endpoint_id].rate_limit_per_s
        if rate_per_s is None:
            return
        now_s, burst = self._loop.time(), burst_of(rate_per_s)
        left, at_s = self.record.tokens.get(endpoint_id, (burst, 0.0))
        left = min(burst, left + (now_s - at_s) * rate_per_s) - 1
        self.demand(left >= -_ROUNDING_S, lambda: f"more than {rate_per_s} a second were leased")
        self.record.tokens[endpoint_id] = (left, now_s)

    def _expired(self, moved: DeliveryMoved, request: Request | None) -> None:
        self.mark("lease expired")
        if request is not None and not request.over:
            life = request.life
            self.demand(
                life.dead or life.pauses > request.pauses,
                lambda: f"the lease of {moved.id.hex()} ran out during its request",
            )

    def _failed_request(self, moved: DeliveryMoved, request: Request | None) -> None:
        returned = None if request is None else request.returned
        failed = returned is not None and not is_success(returned)
        self.demand(
            failed and not isinstance(returned, OurFault),
            lambda: f"{moved.id.hex()} spent an attempt under lease {moved.fence} without one",
        )

    def _retried(self, row: QueueRow | FinalRow) -> None:
        assert isinstance(row, QueueRow)
        policy = self._policy(row)
        self.demand(
            row.attempts_made < policy.attempts_max,
            lambda: f"{row.id.hex()} is to be tried more often than {policy.attempts_max} times",
        )
        if row.attempts_made < policy.attempts_max:
            wait_s = (row.due_at - self.tables.now()) / 1e6
            least_s = policy.delays_s[row.attempts_made - 1]
            self.demand(
                wait_s >= least_s - _ROUNDING_S,
                lambda: f"{row.id.hex()} is due after {wait_s} s, before its schedule says",
            )

    def _gave_up(
        self, moved: DeliveryMoved, row: QueueRow | FinalRow, request: Request | None
    ) -> None:
        if row.reason is Reason.POISON:
            self.mark("poison")
            return
        self._failed_request(moved, request)
        policy = self._policy(row)
        self.demand(
            row.attempts_made == policy.attempts_max,
            lambda: f"{row.id.hex()} was given up after {row.attempts_made} attempts",
        )

    def _policy(self, row: QueueRow | FinalRow) -> RetryPolicy:
        endpoint = self.tables.endpoints[row.endpoint_id]
        return policy_of(endpoint, DIALECTS[endpoint.dialect].retry_policy)

    # --- what receivers see ------------------------------------------------------------------

    def request_sent(self, life: Life, leased: Leased, request: OutboundRequest) -> Request:
        """Take note that a process sends."""
        number = self.record.counts[leased.id] = self.record.counts.get(leased.id, 0) + 1
        message_id = next((v for name, v in request.headers if name == MESSAGE_ID), "")
        sent = Request(
            delivery_id=leased.id,
            endpoint_id=leased.endpoint_id,
            fence=leased.fence,
            life=life,
            number=number,
            message_id=message_id,
            body=request.body,
            pauses=life.pauses,
        )
        self.note("sent", leased.id.hex(), leased.fence, life.name)
        name = leased.id.hex()
        key = (leased.id, leased.fence)
        self.demand(key not in self.record.requests, lambda: f"{name} went twice under one lease")
        self.record.requests[key] = sent
        self.demand(
            message_id == to_text(DELIVERY, leased.id), lambda: f"{name} went as {message_id}"
        )
        body = self.record.bodies.setdefault(leased.id, request.body)
        self.demand(body == request.body, lambda: f"the body of {name} changed")
        endpoint = self.tables.endpoints[leased.endpoint_id]
        self.demand(request.url == endpoint.url, lambda: f"{name} went to {request.url}")
        fresh = self._loop.time() - self.record.leased_at.get(leased.id, 0.0) < _FRESH_S
        now = from_us(self.tables.now())
        complaint = self.secrets.complaint(endpoint, request, now, fresh=fresh)
        if complaint is not None:
            self.blame(f"{name} {complaint}")
        lane = (life.name, leased.endpoint_id)
        count = self.record.in_flight[lane] = self.record.in_flight.get(lane, 0) + 1
        self.demand(
            count <= limits.IN_FLIGHT_PER_LANE, lambda: f"{count} requests under way in one lane"
        )
        return sent

    def request_seen(self, request: Request) -> None:
        """Take note that a request arrived."""
        request.seen = True
        id_ = request.delivery_id
        self.note("seen", id_.hex(), request.fence)
        sights = self.record.sights.setdefault(id_, [])
        sights.append(request.fence)
        if len(sights) > 1:
            self.mark("seen again")
            return
        endpoint = self.tables.endpoints[request.endpoint_id]
        event = self.tables.events[event_id_of(id_)].event
        key = order_key(endpoint.ordering, event.order_of)
        # A replay counts as new, wherever its event stands.
        if key is None or id_ in self.record.replayed:
            return
        place = self.record.accepted_as[event.id]
        before = self.record.last_sight.get((endpoint.id, key), -1)
        # A process that was stopped between its last look at the lease and the request may
        # send what others have given up meanwhile; nothing short of the receiver can stop it.
        if self.tables.state_of(id_) in FINAL_STATES:
            self.mark("sent by a sleeper after its end")
            return
        self.demand(place > before, lambda: f"{id_.hex()} overtook one of its object")
        self.record.last_sight[endpoint.id, key] = place

    def request_answered(self, request: Request, outcome: Outcome) -> None:
        """Take note that a receiver's answer reached the process that asked."""
        request.accepted = is_success(outcome)
        self.note("answered", request.delivery_id.hex(), request.fence, request.accepted)

    def request_over(self, request: Request, outcome: Outcome | None) -> None:
        """Take note that the process knows, or has broken off."""
        request.over = True
        request.returned = outcome
        self.record.in_flight[request.life.name, request.endpoint_id] -= 1

    # --- what others tell --------------------------------------------------------------------

    def rested(self, endpoint_id: EndpointId, rest_s: float) -> None:
        """Take note that the store knows of a Retry-After."""
        until_s = self._loop.time() + rest_s
        self.record.rests[endpoint_id] = max(self.record.rests.get(endpoint_id, 0.0), until_s)

    def reopened(self, endpoint_id: EndpointId) -> None:
        """Take note that rests of before no longer count."""
        self.record.rests.pop(endpoint_id, None)

    def published(
        self, merchant_id: MerchantId, key: str, event_id: EventId, deliveries: int, after: int
    ) -> int:
        """Take note of a 202; return the event's place in the order of acceptance.

        *after* is the place of the last one of its object that was answered before it was sent.
        """
        self.note("told", key, event_id.hex())
        first = self.record.told.setdefault((merchant_id, key), event_id)
        self.demand(first == event_id, lambda: f"{key} was answered with two ids")
        row = self.tables.events.get(event_id)
        self.demand(row is not None, lambda: f"{key} was answered, but is not stored")
        if row is None:
            return after
        there = len(self.tables.deliveries_of_event(merchant_id, event_id))
        self.demand(
            there >= row.fan_out == deliveries,  # more where missed ones were made up for
            lambda: f"{key} has {there} deliveries, {deliveries} were promised",
        )
        place = self.record.accepted_as[event_id]
        self.demand(place > after, lambda: f"{key} was accepted before one answered before it")
        return place

    # --- at the end --------------------------------------------------------------------------

    def close(self) -> None:
        """Check what can only be checked when all is over."""
        for (_, key), event_id in self.record.told.items():
            if event_id not in self.tables.events:
                self.blame(f"{key} was answered, but is lost")
        for id_, sights in self.record.sights.items():
            attempts = self.tables.attempts.get(id_, {})
            for fence in sights:
                if (fence, False) not in attempts and (fence, True) not in attempts:
                    self.blame(
                        f"{id_.hex()} was seen under lease {fence}, of which no attempt tells"
                    )
        for (id_, fence), request in self.record.requests.items():
            self._check_outcome_is_kept(id_, fence, request)
        for id_, row in self.tables.deliveries.items():
            if row.state is State.DELIVERED and not self.record.sights.get(id_):
                self.blame(f"{id_.hex()} is delivered, but no receiver has seen it")

    def _check_outcome_is_kept(self, id_: DeliveryId, fence: int, request: Request) -> None:
        """Check that what a process learnt is written down, late or not, unless it died."""
        if request.life.dead or request.returned is None:
            return
        if isinstance(request.returned, OurFault):
            return
        attempts = self.tables.attempts.get(id_, {})
        kept = [attempts.get((fence, late)) for late in (False, True)]
        if not any(each is not None and each.reason is not Reason.ABANDONED for each in kept):
            self.blame(f"what came of {id_.hex()} under lease {fence} was forgotten")

    def check_stopped(self, owners: tuple[int, ...]) -> None:
        """Check that a process that stopped in order left no lease that it did not use."""
        for row in self.tables.queue.rows.values():
            if row.owner in owners and (row.id, row.fence) not in self.record.requests:
                self.blame(f"{row.id.hex()} waits for the lease of a process that has stopped")

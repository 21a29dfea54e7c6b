"""What receivers see, and what a process knows of its requests."""

from typing import Final

from payhooks.dialects.registry import DIALECTS
from payhooks.ids import DELIVERY, event_id_of, to_text
from payhooks.model.attempt import Outcome
from payhooks.model.delivery import FINAL_STATES
from payhooks.ports.leasing import Leased
from payhooks.ports.transport import OutboundRequest
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.loop import Life
from payhooks.simulator.promises import Promise
from payhooks.simulator.record import Request, is_success
from payhooks.storage.memory.rows import from_us

MESSAGE_ID: Final = "webhook-id"
# Five seconds of waiting in memory, and the time to load a routing table.
_SENT_WITHIN_S: Final = 10.0


class Sights:
    """Looks at requests."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._record = auditor.record

    def request_sent(self, life: Life, leased: Leased, request: OutboundRequest) -> Request:
        """Take note that a process sends."""
        record, auditor = self._record, self._auditor
        number = record.counts[leased.id] = record.counts.get(leased.id, 0) + 1
        sent = Request(
            delivery_id=leased.id,
            endpoint_id=leased.endpoint_id,
            fence=leased.fence,
            life=life,
            number=number,
            sent_at_s=auditor.now_s,
            deadline_s=request.deadline_s,
            pauses=life.pauses,
        )
        name, key = leased.id.hex(), (leased.id, leased.fence)
        auditor.note("sent", name, leased.fence)
        auditor.demand(
            Promise.EXPLAINED, key not in record.requests, lambda: f"{name} went twice in one lease"
        )
        record.requests[key] = sent
        self._same_message(leased, request)
        self._addressed(sent, request)
        self._signed(sent, request)
        lane = (life.name, leased.endpoint_id)
        count = record.in_flight[lane] = record.in_flight.get(lane, 0) + 1
        auditor.demand(
            Promise.CAPS,
            count <= DIALECTS[leased.dialect].in_flight_max,
            lambda: f"{count} requests under way in one lane",
        )
        return sent

    def request_seen(self, request: Request) -> None:
        """Take note that a request arrived."""
        request.seen = True
        auditor, id_ = self._auditor, request.delivery_id
        auditor.note("seen", id_.hex(), request.fence)
        sights = self._record.sights.setdefault(id_, [])
        sights.append(request.fence)
        if len(sights) > 1:
            auditor.mark("seen again")
            return
        row = auditor.tables.queue.rows.get(id_) or auditor.tables.deliveries[id_]
        # A replay counts as new, wherever its event stands.
        if row.order_key is None or id_ in self._record.replayed:
            return
        # A process that was stopped between its last look at the lease and the request may
        # send what others have given up meanwhile; nothing short of the receiver can stop it.
        if auditor.tables.state_of(id_) in FINAL_STATES:
            auditor.mark("sent by a sleeper after its end")
            return
        lane = (request.endpoint_id, row.order_key)
        place = self._record.accepted_as[event_id_of(id_)]
        before = self._record.last_sight.get(lane, -1)
        auditor.demand(
            Promise.ORDER, place > before, lambda: f"{id_.hex()} overtook one of its object"
        )
        self._record.last_sight[lane] = place

    def request_answered(self, request: Request, outcome: Outcome) -> None:
        """Take note that a receiver's answer reached the process that asked."""
        request.accepted = is_success(outcome)
        self._auditor.note("answered", request.delivery_id.hex(), request.fence, request.accepted)

    def request_over(self, request: Request, outcome: Outcome | None) -> None:
        """Take note that the process knows, or has broken off."""
        request.over = True
        request.returned, request.returned_at_s = outcome, self._auditor.now_s
        self._record.in_flight[request.life.name, request.endpoint_id] -= 1

    # --- one by one ---------------------------------------------------------------------------

    def _same_message(self, leased: Leased, request: OutboundRequest) -> None:
        message_id = next((v for name, v in request.headers if name == MESSAGE_ID), "")
        self._auditor.demand(
            Promise.SAME_MESSAGE,
            message_id == to_text(DELIVERY, leased.id),
            lambda: f"{leased.id.hex()} went as {message_id}",
        )
        body = self._record.bodies.setdefault(leased.id, request.body)
        self._auditor.demand(
            Promise.SAME_MESSAGE,
            body == request.body,
            lambda: f"the body of {leased.id.hex()} changed",
        )

    def _addressed(self, sent: Request, request: OutboundRequest) -> None:
        auditor, name = self._auditor, sent.delivery_id.hex()
        leased_at_s = auditor.leased_at_s(sent.delivery_id, sent.fence)
        endpoints = auditor.in_force(sent.endpoint_id, leased_at_s)
        headers = set(request.headers)
        auditor.demand(
            Promise.SILENCE,
            any(e.url == request.url and headers.issuperset(e.headers) for e in endpoints),
            lambda: f"{name} went to {request.url}, or without its headers",
        )
        auditor.demand(
            Promise.TENANT,
            auditor.tables.events[event_id_of(sent.delivery_id)].event.merchant_id
            == endpoints[0].merchant_id,
            lambda: f"{name} went to another merchant",
        )
        waited_s = sent.sent_at_s - leased_at_s
        auditor.demand(
            Promise.SILENCE,
            waited_s <= _SENT_WITHIN_S or sent.life.resumed_at_s > leased_at_s,
            lambda: f"{name} went {waited_s:.1f} s after it was leased",
        )

    def _signed(self, sent: Request, request: OutboundRequest) -> None:
        endpoint = self._auditor.tables.endpoints[sent.endpoint_id]
        complaint, signatures = self._auditor.secrets.complaint(
            endpoint,
            request,
            from_us(self._auditor.tables.now()),
            leased_at_s=self._auditor.leased_at_s(sent.delivery_id, sent.fence),
        )
        if complaint is not None:
            self._auditor.blame(Promise.SIGNED, f"{sent.delivery_id.hex()} {complaint}")
        if signatures > 1:
            self._auditor.mark("two secrets signing")

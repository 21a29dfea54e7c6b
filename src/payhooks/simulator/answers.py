"""What publishers are told, against what is stored."""

from payhooks.catalogue.registry import TEST_TYPE
from payhooks.ids import DeliveryId, EndpointId, EventId, MerchantId
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.event import Event
from payhooks.policy.match import matches
from payhooks.ports.accepting import Acceptance, Accepted, Arrival
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.promises import Promise
from payhooks.storage.memory import EventAccepted

_RECEIVES = frozenset({EndpointStatus.ACTIVE, EndpointStatus.PAUSED})


class Answers:
    """Looks at what is accepted, and at what is answered."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor
        self._record = auditor.record

    def event_accepted(self, fact: EventAccepted) -> None:
        """Take note that an event is stored."""
        event, auditor = fact.event, self._auditor
        auditor.note("accepted", event.id.hex(), len(fact.deliveries))
        self._record.accepted_as[event.id] = len(self._record.accepted_as)
        if event.family == "simulated":
            key = (event.merchant_id, event.data)
            auditor.demand(
                Promise.KEYS,
                key not in self._record.stored,
                lambda: f"one publication became two events: {event.data!r}",
            )
            self._record.stored[key] = event.id
        got = sorted(self._endpoint_of(event, id_) for id_ in fact.deliveries)
        if event.type == TEST_TYPE:
            return  # addressed to one endpoint, whatever others select
        wanted, missed = [], False
        for endpoint in auditor.tables.endpoints.values():
            if endpoint.merchant_id != event.merchant_id:
                continue
            if not any(matches(pattern, event.type) for pattern in endpoint.events):
                continue
            missed |= endpoint.status is EndpointStatus.DISABLED
            if endpoint.status in _RECEIVES:
                wanted.append(endpoint.id)
        if missed:
            auditor.mark("missed while disabled")
        auditor.demand(
            Promise.STORED,
            sorted(wanted) == got,
            lambda: f"{event.id.hex()} has {len(got)} deliveries, {len(wanted)} were subscribed",
        )

    def batch_accepted(self, arrivals: list[Arrival], acceptances: list[Acceptance]) -> None:
        """Take note of what became of a batch: announcements too have keys."""
        for arrival, acceptance in zip(arrivals, acceptances, strict=True):
            key, event = arrival.idempotency, arrival.event
            if not isinstance(acceptance, Accepted) or key is None or event.family == "simulated":
                continue
            first = self._record.announced.setdefault(key, event.id)
            self._auditor.demand(
                Promise.KEYS, first == event.id, lambda: "an announcement was published twice"
            )

    def _endpoint_of(self, event: Event, id_: DeliveryId) -> EndpointId:
        tables = self._auditor.tables
        row = tables.queue.rows.get(id_) or tables.deliveries[id_]
        owner = tables.endpoints[row.endpoint_id].merchant_id
        self._auditor.demand(
            Promise.TENANT,
            row.merchant_id == event.merchant_id == owner,
            lambda: f"{id_.hex()} goes to an endpoint of another merchant",
        )
        return row.endpoint_id

    def published(  # noqa: PLR0913 - every part of an answer is named at the call site
        self,
        merchant_id: MerchantId,
        key: str,
        event_id: EventId,
        deliveries: int,
        *,
        data: bytes,
        after: int,
    ) -> int:
        """Take note of a 202; return the event's place in the order of acceptance.

        *after* is the place of the last one of its object that was answered before it was sent.
        """
        auditor = self._auditor
        auditor.note("told", key, event_id.hex())
        first = self._record.told.setdefault((merchant_id, key), event_id)
        auditor.demand(Promise.KEYS, first == event_id, lambda: f"{key} was answered with two ids")
        row = auditor.tables.events.get(event_id)
        auditor.demand(
            Promise.STORED, row is not None, lambda: f"{key} was answered, but is not stored"
        )
        if row is None:
            return after
        auditor.demand(
            Promise.TENANT,
            row.event.merchant_id == merchant_id,
            lambda: f"{key} was answered with an event of another merchant",
        )
        auditor.demand(
            Promise.KEYS,
            row.expunged or row.event.data == data,
            lambda: f"{key} was answered with what somebody else said",
        )
        there = len(auditor.tables.deliveries_of_event(merchant_id, event_id))
        auditor.demand(
            Promise.STORED,
            there >= row.fan_out == deliveries,  # more where missed ones were made up for
            lambda: f"{key} has {there} deliveries, {deliveries} were promised",
        )
        place = self._record.accepted_as[event_id]
        auditor.demand(
            Promise.ORDER,
            place > after,
            lambda: f"{key} was accepted before one answered before it",
        )
        return place

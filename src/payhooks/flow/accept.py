"""Step 1: make an event durable, with its idempotency record and deliveries, then say 202.

All of it is one transaction, group-committed. Nothing is accepted into memory: if the store
does not answer, neither do we.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import compress, islice
from typing import Final

import msgspec

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import InProgressError, OutcomeUnknownError, PayhooksError, UnavailableError
from payhooks.flow.card_guard import CardAlarm
from payhooks.flow.fan_out import handed_off, plan
from payhooks.flow.group_commit import Bounds, GroupCommit
from payhooks.flow.publication import Publication, Published, content_hash, key_hash
from payhooks.flow.routing import Directory, RoutingTable
from payhooks.flow.slot import Outcome, Slot, error_of, refusal
from payhooks.flow.tally import Tallier
from payhooks.ids import IdSource, MerchantId
from payhooks.model.event import Event
from payhooks.ports.accepting import (
    Acceptance,
    Accepted,
    AcceptStore,
    Arrival,
    KeyBusy,
    Refused,
    Repeated,
    StaleHistory,
    StaleRouting,
)
from payhooks.ports.handoff import Handoff
from payhooks.ports.telemetry import Telemetry

# How long a second request waits for the first with its key before it is told 409.
FOLLOWER_WAIT_S: Final = 5.0
# A parcel of one request is never split, so that its list order cannot be.
PARCEL_EVENTS_MAX: Final = 100
# A merchant whose configuration changes faster than plans can be made is told to come back.
PLANS_MAX: Final = 20
REPLAN_AFTER_S: Final = 0.005
REPLAN_AFTER_S_MAX: Final = 0.05
RESEND_AFTER_S: Final = 0.1
ALARM_EVERY_S: Final = 1.0

BOUNDS: Final = Bounds(
    batch_weight_max=limits.ACCEPT_BATCH_EVENTS_MAX,
    batch_bytes_max=limits.ACCEPT_BATCH_BYTES_MAX,
    waiting_weight_max=limits.ACCEPT_WAITING_MAX,
    waiting_bytes_max=limits.ACCEPT_WAITING_BYTES_MAX,
    linger_s=limits.ACCEPT_LINGER_S,
    linger_always=False,
    patience_s=limits.STATEMENT_TIMEOUT_S,
)


class _Parcel(msgspec.Struct):
    arrivals: list[Arrival]
    give_up_at_s: float


class Acceptor:
    """Takes publications. One per process."""

    def __init__(  # noqa: PLR0913 - every collaborator is named at the call site
        self,
        *,
        store: AcceptStore,
        directory: Directory,
        handoff: Handoff,
        clock: Clock,
        ids: IdSource,
        telemetry: Telemetry,
        tallier: Tallier,
        owner: int,
    ) -> None:
        """Take the collaborators; *owner* is the number of this process."""
        self._store = store
        self._directory = directory
        self._handoff = handoff
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._tallier = tallier
        # Hand-offs have a number of their own. Under the lease loop's, a batch that is sent
        # again after a lost reply would take what the loop has leased meanwhile for handed
        # off, and it would be sent twice under one lease.
        self._owner = -1 - owner
        self._leaders: dict[bytes, Slot] = {}
        self._storing: set[asyncio.Future[None]] = set()
        self._quiet_until_s = 0.0
        self._card_alarm = CardAlarm(clock=clock, telemetry=telemetry)
        self.refuses: str | None = None  # why nothing is taken now, in words
        self.group = GroupCommit(self._commit, bounds=BOUNDS)

    async def publish(
        self,
        merchant_ref: str,
        publications: Sequence[Publication],
        *,
        authorise: Callable[[RoutingTable], None],
    ) -> list[Published | PayhooksError]:
        """Accept what one request brought; one result per publication, in order.

        *authorise* is called with every routing table that a plan is made from, so a key
        that was revoked meanwhile does not get through; it raises where nothing is stored yet.

        Raises:
            NotFoundError: No such merchant.
            OverloadedError: As much waits as may wait; nothing was stored.

        """
        results: list[Published | PayhooksError] = []
        for start in range(0, len(publications), PARCEL_EVENTS_MAX):
            parcel = publications[start : start + PARCEL_EVENTS_MAX]
            try:
                results += await self._publish_parcel(merchant_ref, parcel, authorise)
            except PayhooksError as error:
                if not any(isinstance(result, Published) for result in results):
                    raise
                # What is stored must be said: refused as a whole, all of it would come again.
                return results + [error] * (len(publications) - start)
        return results

    async def drain(self) -> None:
        """Return when everything that was taken has its answer."""
        await self.group.drain()
        if self._storing:
            await asyncio.wait(self._storing)

    def begin(
        self,
        table: RoutingTable,
        publication: Publication,
        *,
        authorise: Callable[[RoutingTable], None],
        tell: Callable[[Published | Exception], None],
    ) -> bool:
        """Begin to accept one publication, if there is no more to it than the next batch.

        So it is for nearly every request, and no task need wait for it: *tell* is called, from
        the loop, with what became of it. False means that nothing was begun, and ``publish``
        is to be asked: it waits for the leader of a key, and says what is wrong.
        """
        slot = self._slot(table.merchant.id, publication)
        if slot.leader is not None:
            return False
        event = self._event(table.merchant.id, publication)
        try:
            arrivals = self._arrivals(table, [slot], [event])
            give_up_at_s = self._clock.monotonic_s() + limits.ACCEPT_GIVE_UP_S
            stored = self._submit(table, arrivals, give_up_at_s)
        except PayhooksError:
            self._release(slot)
            return False
        except BaseException:
            self._release(slot)
            raise

        def on_stored(stored: "asyncio.Future[list[Acceptance]]") -> None:
            if (error := error_of(stored)) is None:
                self._settle_all([slot], arrivals, stored.result())
            if error is not None or slot.outcome is not None:
                self._end(slot, error, tell)
                return
            again = asyncio.ensure_future(self._begin_again(table, slot, event, authorise))
            again.add_done_callback(lambda done: self._end(slot, error_of(done), tell))

        stored.add_done_callback(on_stored)
        return True

    async def _begin_again(
        self,
        table: RoutingTable,
        slot: Slot,
        event: Event,
        authorise: Callable[[RoutingTable], None],
    ) -> None:
        table = await self._directory.reload(table.merchant.id)
        authorise(table)
        await self._store_parcel(table, [slot], [event], authorise)

    def _end(
        self, slot: Slot, error: Exception | None, tell: Callable[[Published | Exception], None]
    ) -> None:
        if error is not None:
            slot.decide(error)
        self._release(slot)
        tell(slot.told())

    async def _publish_parcel(
        self,
        merchant_ref: str,
        publications: Sequence[Publication],
        authorise: Callable[[RoutingTable], None],
    ) -> list[Published | PayhooksError]:
        table = await self._directory.find(merchant_ref)
        authorise(table)
        slots = [self._slot(table.merchant.id, publication) for publication in publications]
        leading = [slot for slot in slots if slot.leader is None]
        if leading:
            # Whoever asks may go away meanwhile. What is on its way goes on, and leads its keys
            # for so long: the same key twice in one batch is more than a store takes.
            storing = asyncio.ensure_future(self._lead(table, leading, authorise))
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)
            await asyncio.shield(storing)
        return [await self._answer(slot) for slot in slots]

    async def _lead(
        self, table: RoutingTable, slots: list[Slot], authorise: Callable[[RoutingTable], None]
    ) -> None:
        try:
            # Ids are made once: a parcel that is planned again is still the same events.
            events = [self._event(table.merchant.id, slot.publication) for slot in slots]
            await self._store_parcel(table, slots, events, authorise)
        except BaseException as error:
            # Who follows a request that was broken off has not been broken off himself.
            told = error if isinstance(error, Exception) else UnavailableError("broken off")
            for slot in slots:
                slot.decide(told)
            # What is stored must be said, beside what is not.
            if not (isinstance(error, PayhooksError) and any(slot.stored for slot in slots)):
                raise
        finally:
            for slot in slots:
                self._release(slot)

    def _slot(self, merchant_id: MerchantId, publication: Publication) -> Slot:
        content = content_hash(publication)
        key = leader = None
        if publication.idempotency_key is not None:
            key = key_hash(merchant_id, publication.idempotency_key)
            leader = self._leaders.get(key)
        slot = Slot(publication, key, content, leader)
        if key is not None and leader is None:
            self._leaders[key] = slot
        return slot

    def _release(self, slot: Slot) -> None:
        if slot.key is not None:
            self._leaders.pop(slot.key, None)

    async def _store_parcel(
        self,
        table: RoutingTable,
        slots: list[Slot],
        events: list[Event],
        authorise: Callable[[RoutingTable], None],
    ) -> None:
        give_up_at_s = self._clock.monotonic_s() + limits.ACCEPT_GIVE_UP_S
        for plans_made in range(PLANS_MAX):
            arrivals = self._arrivals(table, slots, events)
            acceptances = await self._submit(table, arrivals, give_up_at_s)
            self._settle_all(slots, arrivals, acceptances)
            # A store may take a batch in parts, and a change come between them. What it took is
            # on its way to its endpoints already: asked for again, it would be so twice.
            left = [slot.outcome is None for slot in slots]
            slots, events = list(compress(slots, left)), list(compress(events, left))
            if not slots:
                return
            # The change is perhaps still on its way to the disk: later looks come later.
            await asyncio.sleep(min(REPLAN_AFTER_S * plans_made, REPLAN_AFTER_S_MAX))
            table = await self._directory.reload(table.merchant.id)
            authorise(table)
        raise UnavailableError("the merchant's configuration is changing all the time")

    def _arrivals(
        self, table: RoutingTable, slots: list[Slot], events: list[Event]
    ) -> list[Arrival]:
        has_room = self._handoff.has_room
        return [
            Arrival(
                event=event,
                routing_version=table.version,
                idempotency=slot.key,
                content=slot.content,
                deliveries=plan(event, table, has_room=has_room),
                findings=slot.publication.findings,
                conclusion=slot.publication.conclusion,
            )
            for event, slot in zip(events, slots, strict=True)
        ]

    def _submit(
        self, table: RoutingTable, arrivals: list[Arrival], give_up_at_s: float
    ) -> "asyncio.Future[list[Acceptance]]":
        if self.refuses is not None:
            raise UnavailableError(self.refuses)
        queue_rows = sum([len(arrival.deliveries) for arrival in arrivals])
        return self.group.submit(
            _Parcel(arrivals, give_up_at_s),
            turn=table.merchant.id,
            weight=max(len(arrivals), queue_rows // _ROWS_PER_EVENT),
            bytes_=sum([len(arrival.event.data) for arrival in arrivals]),
        )

    def _event(self, merchant_id: MerchantId, said: Publication) -> Event:
        return Event(
            id=self._ids.new_event(),
            merchant_id=merchant_id,
            type=said.type,
            family=said.family,
            data=said.data,
            object_type=said.object_type,
            object_id=said.object_id,
            occurred_at=said.occurred_at,
            ordering_key=said.ordering_key,
            metadata=said.metadata,
        )

    def _settle_all(
        self, slots: list[Slot], arrivals: list[Arrival], acceptances: list[Acceptance]
    ) -> None:
        """Decide every slot but those whose plan was stale."""
        for slot, arrival, acceptance in zip(slots, arrivals, acceptances, strict=True):
            self._settle(slot, arrival, acceptance)

    def _settle(self, slot: Slot, arrival: Arrival, acceptance: Acceptance) -> None:
        match acceptance:
            case Accepted():
                event, made = arrival.event, len(arrival.deliveries)
                self._telemetry.event_accepted(event, deliveries=made, repeated=False)
                self._tallier.accepted(event.merchant_id)
                if arrival.findings:
                    self._card_alarm.found(event, arrival.findings)
                slot.decide(Outcome(event.id, event.type, made, slot.content))
            case Repeated(event_id=event_id, event_type=type_, content=content, deliveries=count):
                self._telemetry.event_accepted(arrival.event, deliveries=0, repeated=True)
                slot.repeated = True
                slot.decide(Outcome(event_id, type_, count, content))
            case KeyBusy() | StaleHistory() | Refused():
                slot.decide(refusal(acceptance))
            case StaleRouting():
                pass  # to be planned again

    async def _answer(self, slot: Slot) -> Published | PayhooksError:
        leader = slot.leader or slot
        if leader.outcome is None:
            try:
                await asyncio.wait_for(leader.followed(), FOLLOWER_WAIT_S)
            except TimeoutError:
                return InProgressError("the first request with this idempotency key is under way")
        told = slot.told()
        if isinstance(told, Exception) and not isinstance(told, PayhooksError):
            raise told
        return told

    async def _commit(self, parcels: list[_Parcel]) -> list[list[Acceptance]]:
        now_s = self._clock.monotonic_s()
        arrivals = [arrival for parcel in parcels for arrival in parcel.arrivals]
        give_up_at_s = min(parcel.give_up_at_s for parcel in parcels)
        try:
            acceptances = await self._commit_until(arrivals, give_up_at_s)
        except UnavailableError as error:
            if now_s >= self._quiet_until_s:  # while it lasts, every batch fails
                self._quiet_until_s = now_s + ALARM_EVERY_S
                self._telemetry.alarmed("accept_refused", str(error))
            raise
        self._hand_off(arrivals, acceptances, taken_at_s=now_s)
        self._telemetry.batch_committed(
            "accept", rows=len(arrivals), took_s=self._clock.monotonic_s() - now_s
        )
        remaining = iter(acceptances)
        return [list(islice(remaining, len(parcel.arrivals))) for parcel in parcels]

    async def _commit_until(self, arrivals: list[Arrival], give_up_at_s: float) -> list[Acceptance]:
        """Send the batch again, as it was, while it is unknown whether it was stored."""
        while True:
            try:
                return await self._store.accept(arrivals, owner=self._owner)
            except OutcomeUnknownError:
                if self._clock.monotonic_s() > give_up_at_s:
                    raise
                await asyncio.sleep(RESEND_AFTER_S)

    def _hand_off(
        self, arrivals: list[Arrival], acceptances: list[Acceptance], *, taken_at_s: float
    ) -> None:
        left_in_store = False
        for arrival, acceptance in zip(arrivals, acceptances, strict=True):
            if not isinstance(acceptance, Accepted):
                continue
            left_in_store |= len(acceptance.leased) < len(arrival.deliveries)
            if acceptance.leased:
                planned = {delivery.id: delivery for delivery in arrival.deliveries}
                for id_ in acceptance.leased:
                    leased = handed_off(planned[id_], arrival)
                    self._handoff.offer(leased, taken_at_s=taken_at_s)
        if left_in_store:
            self._handoff.hint()


# A batch may hold 256 events or 2,000 queue rows; one weight covers both.
_ROWS_PER_EVENT: Final = limits.ACCEPT_BATCH_DELIVERIES_MAX // limits.ACCEPT_BATCH_EVENTS_MAX

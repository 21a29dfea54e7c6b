"""A small world around one store: merchants, endpoints and events made in one line each."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from random import Random

import msgspec
from tests.support.changes import written
from tests.support.stores import OpenedStore

from payhooks.ids import (
    DeliveryId,
    EndpointId,
    EventId,
    KeyId,
    MerchantId,
    ReplayId,
    TimeOrderedIds,
    delivery_id,
)
from payhooks.model.attempt import Attempt, Reason, Timing
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import Delivery, Trigger
from payhooks.model.endpoint import Endpoint, EndpointStatus, Signature, SignatureType
from payhooks.model.event import Event
from payhooks.model.key import ApiKey, Scope
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.model.replay import Include, Replay, ReplayFilter, ReplayState
from payhooks.model.secret import SealedSecret, SecretPurpose
from payhooks.ports.accepting import Acceptance, Accepted, Arrival, PlannedDelivery
from payhooks.ports.controlling import Change, Requeue
from payhooks.ports.leasing import LaneNews, LaneReport, Lease, Leased, Trial
from payhooks.ports.reading import ReadStore
from payhooks.ports.settling import Settlement

OWNER = 101  # the process of the test, where it does not matter which
LEASE_S = 30.0  # of an endpoint with the default timeout: 5 waiting, 15 sending, 10 margin


class World:
    """One store, and everything that a test needs to talk with it."""

    def __init__(self, opened: OpenedStore) -> None:
        self.store = opened.store
        self.clock = opened.clock
        self.ids = TimeOrderedIds(opened.clock, Random(1))
        self._opened = opened

    async def advance(self, seconds: float) -> None:
        """Let time pass for the store."""
        self._opened.advance(seconds)

    def now(self) -> datetime:
        """Return the time that the store believes, give or take a second."""
        return self.clock.now()

    # --- configuration

    def audit(self, merchant_id: MerchantId | None, action: str = "test.changed") -> AuditEntry:
        """Return an audit entry that says as little as it may."""
        return AuditEntry(
            merchant_id=merchant_id,
            at=self.now(),
            actor="operator",
            action=action,
            target="",
            changes=b"{}",
            request_id=None,
            ip=None,
        )

    def new_merchant(self, **members: object) -> Merchant:
        """Return a merchant that is not stored."""
        merchant = Merchant(
            id=MerchantId(self.ids.new()),
            name="Bakery",
            mode=Mode.SANDBOX,
            reference=None,
            families=(),
            provider_ids=(),
            card_numbers=CardNumbers.REPORT,
            type_check=TypeCheck.WARN,
            account_id=None,
            version=1,
            created_at=self.now(),
            updated_at=self.now(),
        )
        return msgspec.structs.replace(merchant, **members)

    async def merchant(self, **members: object) -> Merchant:
        """Return a merchant that is stored."""
        merchant = self.new_merchant(**members)
        await self.store.apply(Change(audit=self.audit(merchant.id), merchant=merchant))
        return merchant

    async def endpoint(self, merchant: Merchant, **members: object) -> Endpoint:
        """Return an endpoint that is stored."""
        endpoint = Endpoint(
            id=EndpointId(self.ids.new()),
            merchant_id=merchant.id,
            number=await self.store.next_number(merchant.id),
            label="Shop",
            url="https://shop.example/hooks",
            events=("*",),
            status=EndpointStatus.ACTIVE,
            disabled_reason=None,
            version=1,
            created_at=self.now(),
            updated_at=self.now(),
            # There is no secret either, and unsigned by mistake nothing is sent.
            signature=Signature(type=SignatureType.NONE),
        )
        endpoint = msgspec.structs.replace(endpoint, **members)
        await self.store.apply(written(endpoint, self.audit(merchant.id)))
        return endpoint

    async def edit(self, endpoint: Endpoint, **members: object) -> Endpoint:
        """Return the next version of an endpoint, stored."""
        edited = msgspec.structs.replace(endpoint, version=endpoint.version + 1, **members)
        audit = self.audit(endpoint.merchant_id)
        await self.store.apply(written(edited, audit, before=endpoint))
        return edited

    def secret(self, merchant: Merchant, owner_id: bytes, **members: object) -> SealedSecret:
        """Return a sealed secret that is not stored."""
        secret = SealedSecret(
            id=self.ids.new(),
            merchant_id=merchant.id,
            owner_id=owner_id,
            purpose=SecretPurpose.ENDPOINT,
            sealed=b"ring-one" + bytes(40),
            created_at=self.now(),
            expires_at=None,
        )
        return msgspec.structs.replace(secret, **members)

    def key(self, merchant_id: MerchantId | None, **members: object) -> ApiKey:
        """Return an API key that is not stored."""
        id_ = KeyId(self.ids.new())
        key = ApiKey(
            id=id_,
            merchant_id=merchant_id,
            label="Till",
            digest=hashlib.sha256(id_).digest(),
            scopes=(Scope.EVENTS_WRITE,),
            signing=False,
            created_at=self.now(),
            expires_at=None,
            revoked_at=None,
            hint="wxyz",
        )
        return msgspec.structs.replace(key, **members)

    def job(self, merchant: Merchant, **members: object) -> Replay:
        """Return a replay that is not stored."""
        replay = Replay(
            id=ReplayId(self.ids.new()),
            merchant_id=merchant.id,
            filter=ReplayFilter(),
            include=(Include.FAILED,),
            rate_per_s=10.0,
            state=ReplayState.RUNNING,
            matched=0,
            queued=0,
            cursor=None,
            created_at=self.now(),
            finished_at=None,
        )
        return msgspec.structs.replace(replay, **members)

    # --- the way of the data

    def event(self, merchant: Merchant, **members: object) -> Event:
        """Return an event that is not stored."""
        event = Event(
            id=self.ids.new_event(),
            merchant_id=merchant.id,
            type="payment.succeeded",
            family="shop",
            data=b'{"amount": 1.10}',
        )
        return msgspec.structs.replace(event, **members)

    async def arrival(
        self,
        event: Event,
        *endpoints: Endpoint,
        key: bytes | None = None,
        content: bytes = bytes(16),
        hand_off: bool = False,
        order_key: bytes | None = None,
    ) -> Arrival:
        """Return an event at the door, planned at the merchant's present routing version."""
        [routing] = await self.store.routing([event.merchant_id])
        planned = tuple(
            PlannedDelivery(
                id=delivery_id(event.id, endpoint.number),
                endpoint_id=endpoint.id,
                order_key=order_key,
                dialect="standard",
                dialect_version=1,
                lease_s=LEASE_S if hand_off else None,
            )
            for endpoint in endpoints
        )
        return Arrival(
            event=event,
            routing_version=routing.version,
            idempotency=key,
            content=content,
            deliveries=planned,
        )

    async def accept(self, *arrivals: Arrival, owner: int = OWNER) -> list[Acceptance]:
        """Offer a batch."""
        return await self.store.accept(arrivals, owner=owner)

    async def publish(
        self,
        merchant: Merchant,
        *endpoints: Endpoint,
        hand_off: bool = False,
        order_key: bytes | None = None,
        owner: int = OWNER,
        **members: object,
    ) -> Event:
        """Return an event that is stored, with a delivery to each of the endpoints."""
        event = self.event(merchant, **members)
        arrival = await self.arrival(event, *endpoints, hand_off=hand_off, order_key=order_key)
        [accepted] = await self.accept(arrival, owner=owner)
        assert isinstance(accepted, Accepted)
        return event

    async def look(  # noqa: PLR0913 - as the store is asked
        self,
        *,
        owner: int = OWNER,
        lanes_max: int = 100,
        per_lane_max: int = 100,
        skip: Sequence[EndpointId] = (),
        only: EndpointId | None = None,
        trial: Trial = Trial.NONE,
    ) -> Lease:
        """Return what one look at the schedule brings."""
        return await self.store.lease(
            owner=owner,
            lanes_max=lanes_max,
            per_lane_max=per_lane_max,
            skip=skip,
            only=only,
            trial=trial,
        )

    async def lease(self, *, owner: int = OWNER, per_lane_max: int = 100) -> list[Leased]:
        """Return all deliveries that are due, leased."""
        return list((await self.look(owner=owner, per_lane_max=per_lane_max)).leased)

    async def lease_one(self, *, owner: int = OWNER) -> Leased:
        """Return the one delivery that is due, leased."""
        [leased] = await self.lease(owner=owner)
        return leased

    def attempt(
        self, leased: Leased, *, status: int | None = 200, reason: Reason | None = None
    ) -> Attempt:
        """Return an attempt of a leased delivery."""
        return Attempt(
            delivery_id=leased.id,
            fence=leased.fence,
            late=False,
            at=self.now(),
            status=status,
            reason=reason,
            detail="" if reason is None else "Your server was not in the mood.",
            timing=Timing(dns_s=0.001, total_s=0.25),
            peer="192.0.2.1:443",
            answer_headers=(("content-type", "text/plain"), ("x-twice", "1"), ("x-twice", "2")),
            answer_body=b"caf\xe9 \x00",
        )

    def succeeded(self, leased: Leased) -> Settlement:
        """Return the settlement of an attempt that was answered 200."""
        return self._settlement(leased, Trigger.SUCCEED, attempt=self.attempt(leased))

    def failed(
        self,
        leased: Leased,
        *,
        delay_s: float = 60.0,
        rendered: bytes | None = None,
        reason: Reason = Reason.HTTP_5XX,
    ) -> Settlement:
        """Return the settlement of an attempt that was answered 503 and will be repeated."""
        return self._settlement(
            leased,
            Trigger.RETRY,
            attempt=self.attempt(leased, status=503, reason=reason),
            reason=reason,
            delay_s=delay_s,
            rendered=rendered,
        )

    def given_up(self, leased: Leased, *, block_order: bool = False) -> Settlement:
        """Return the settlement of the last attempt there is."""
        return self._settlement(
            leased,
            Trigger.GIVE_UP,
            attempt=self.attempt(leased, status=400, reason=Reason.HTTP_4XX),
            reason=Reason.HTTP_4XX,
            block_order=block_order,
        )

    def released(self, leased: Leased, *, delay_s: float = 0.0) -> Settlement:
        """Return the settlement of a lease that was given back unattempted."""
        return self._settlement(leased, Trigger.RELEASE, delay_s=delay_s)

    async def settle(self, *settlements: Settlement) -> list[bool]:
        """Write down a batch of outcomes."""
        return await self.store.settle(settlements)

    async def deliver(self, *leased: Leased) -> None:
        """Let deliveries succeed."""
        assert all(await self.settle(*(self.succeeded(one) for one in leased)))

    async def fail(self, *leased: Leased) -> None:
        """Let deliveries fail for good."""
        assert all(await self.settle(*(self.given_up(one) for one in leased)))

    async def report(self, endpoint: Endpoint, news: LaneNews, *, rest_s: float = 0.0) -> None:
        """Tell the store how a lane fares."""
        report = LaneReport(
            merchant_id=endpoint.merchant_id, endpoint_id=endpoint.id, news=news, rest_s=rest_s
        )
        await self.store.report([report])

    async def delivery(self, event: Event, endpoint: Endpoint) -> Delivery:
        """Return how the delivery of an event to an endpoint stands."""
        id_ = delivery_id(event.id, endpoint.number)
        delivery = await self.store.delivery(event.merchant_id, id_)
        assert delivery is not None
        return delivery

    def again(self, event: Event, endpoint: Endpoint, order_key: bytes | None = None) -> Requeue:
        """Return the wish to send an event to an endpoint again."""
        return Requeue(
            delivery_id=delivery_id(event.id, endpoint.number),
            merchant_id=event.merchant_id,
            endpoint_id=endpoint.id,
            event_type=event.type,
            order_key=order_key,
            dialect="standard",
            dialect_version=1,
        )

    def _settlement(  # noqa: PLR0913 - the members of a settlement, most with a default
        self,
        leased: Leased,
        trigger: Trigger,
        *,
        attempt: Attempt | None = None,
        reason: Reason | None = None,
        delay_s: float = 0.0,
        rendered: bytes | None = None,
        block_order: bool = False,
    ) -> Settlement:
        return Settlement(
            delivery_id=leased.id,
            merchant_id=leased.merchant_id,
            endpoint_id=leased.endpoint_id,
            fence=leased.fence,
            trigger=trigger,
            delay_s=delay_s,
            reason=reason,
            attempt=attempt,
            rendered=rendered,
            block_order=block_order,
        )

    async def requeue(self, *items: Requeue) -> int:
        """Send deliveries again, as a person would."""
        return await self.store.requeue(items, audit=None)


def ids_of(leased: Sequence[Leased]) -> list[DeliveryId]:
    """Return the ids of leased deliveries."""
    return [one.id for one in leased]


def events_of(leased: Sequence[Leased]) -> list[EventId]:
    """Return the ids of the events that leased deliveries carry."""
    return [one.event.id for one in leased]


async def attempts_of(
    store: ReadStore, merchant_id: MerchantId, delivery_id: DeliveryId
) -> list[Attempt]:
    """Return a delivery's attempts, oldest first; none where the merchant has no such one."""
    found = await store.delivery_with_attempts(merchant_id, delivery_id)
    return [] if found is None else found[1]

"""Everything at once, on every store: what was accepted ends, in order, and every send is told of.

Rounds of calls that run beside each other, and between them time that passes. Workers forget
leases, oversleep them and come late; people pause, cancel and send again. The auditor compares
what the test did with what the store says in the end.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Final, TypeVar

from tests.support.world import World, attempts_of

from payhooks.errors import UnavailableError
from payhooks.ids import DeliveryId, EndpointId
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import Delivery, State
from payhooks.model.endpoint import Endpoint, EndpointStatus, OnFailed, Ordering
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import Accepted, Arrival
from payhooks.ports.controlling import Cancelled, Requeue, Window
from payhooks.ports.leasing import LaneNews, Leased, Trial
from payhooks.ports.reading import DeliveryFilter
from payhooks.ports.settling import Settlement

ROUNDS: Final = 80
ROUNDS_TO_DRAIN_MAX: Final = 600
OWNERS: Final = (1, 2, 3)
KEYS: Final = (b"a" * 16, b"b" * 16, b"c" * 16)
TRIES_MAX: Final = 20
ALL: Final = Window(limit=100_000)

_Result = TypeVar("_Result")


class Storm:
    """What is let loose on a store, and what was seen of it."""

    def __init__(self, world: World, merchant: Merchant, random: Random) -> None:
        self.world = world
        self.merchant = merchant
        self.random = random
        self.draining = False
        self.free: list[Endpoint] = []
        self.skipping: list[Endpoint] = []  # ordered; after a failure the next goes
        self.blocking: list[Endpoint] = []  # ordered; after a failure a person decides
        self.accepted: dict[DeliveryId, Requeue] = {}
        self.place: dict[DeliveryId, int] = {}  # in the order of acceptance
        self.in_hand: dict[int, list[tuple[float, Settlement]]] = {one: [] for one in OWNERS}
        self.blockers: list[DeliveryId] = []
        self.called_off: set[DeliveryId] = set()
        self.ended: dict[tuple[EndpointId, bytes], list[int]] = defaultdict(list)
        self.sent: set[tuple[DeliveryId, int]] = set()
        self.released: set[tuple[DeliveryId, int]] = set()
        self.replays: Counter[DeliveryId] = Counter()
        self.drifted = 0
        self.facts: Counter[str] = Counter()

    async def open_lanes(self) -> None:
        """Make the endpoints."""
        for lanes, count in ((self.free, 4), (self.skipping, 2)):
            for _ in range(count):
                lanes.append(await self.world.endpoint(self.merchant))
        blocks = {"ordering": Ordering.OBJECT, "on_failed": OnFailed.BLOCK}
        self.blocking += [await self.world.endpoint(self.merchant, **blocks) for _ in range(2)]
        self.free.append(await self.world.endpoint(self.merchant, rate_limit_per_s=5.0))

    async def round(self) -> None:
        """Let everybody act once, beside each other; then let time pass."""
        self.now_s = self.world.now().timestamp()
        work = [self._expire(), self._mend()]
        work += [self._work(owner) for owner in OWNERS]
        if self.draining:
            # One that gave up before the calm, and overslept, may block its object only now.
            work += [self._decide() for _ in self.blockers]
        else:
            work += [self._publish(), self._publish_in_order(), self._meddle()]
        await asyncio.gather(*work)
        await self.world.advance(20.0 if self.draining else self.random.random() * 3)

    async def calm(self) -> None:
        """End every disturbance, so that what is left can end."""
        self.draining = True
        for lane in (self.free, self.skipping, self.blocking):
            for at, endpoint in enumerate(lane):
                lane[at] = await self.world.edit(endpoint, status=EndpointStatus.ACTIVE)
                await self.world.report(endpoint, LaneNews.RECOVERED)

    # --- workers

    async def _work(self, owner: int) -> None:
        """Settle what was taken in earlier rounds, and take more."""
        due = [one for at, one in self.in_hand[owner] if at <= self.now_s]
        self.in_hand[owner] = [held for held in self.in_hand[owner] if held[0] > self.now_s]
        held = await _patiently(lambda: self.world.settle(*due))
        for settlement, moved in zip(due, held, strict=True):
            self._note(settlement, moved=moved)
        trial = self.random.choice(list(Trial))
        look = await _patiently(
            lambda: self.world.look(owner=owner, lanes_max=5, per_lane_max=6, trial=trial)
        )
        self._take(owner, look.leased)

    def _take(self, owner: int, leased: tuple[Leased, ...]) -> None:
        for one in leased:
            fate = 1.0 if self.draining else self.random.random()
            if fate < 0.03:
                self.facts["forgotten"] += 1
                continue
            # Longer than any lease lasts: somebody else has it when this one wakes up.
            slept_s = 40.0 if fate < 0.08 else 0.0
            self.in_hand[owner].append((self.now_s + slept_s, self._outcome(one)))

    def _outcome(self, leased: Leased) -> Settlement:
        luck = 1.0 if self.draining else self.random.random()
        if luck < 0.03:
            return self.world.released(leased)
        if luck < 0.15:
            return self.world.failed(leased, delay_s=self.random.random() * 10, rendered=b"{}")
        if luck < 0.22:
            block = leased.endpoint_id in {one.id for one in self.blocking}
            return self.world.given_up(leased, block_order=block)
        return self.world.succeeded(leased)

    def _note(self, settlement: Settlement, *, moved: bool) -> None:
        lease = (settlement.delivery_id, settlement.fence)
        self.facts[f"{settlement.trigger} {'held' if moved else 'late'}"] += 1
        if settlement.attempt is not None:
            self.sent.add(lease)
        elif moved:
            self.released.add(lease)
        order_key = self.accepted[settlement.delivery_id].order_key
        if moved and settlement.trigger in {"succeed", "give_up"} and order_key is not None:
            place = self.place[settlement.delivery_id]
            self.ended[settlement.endpoint_id, order_key].append(place)
        if moved and settlement.block_order:
            self.blockers.append(settlement.delivery_id)

    async def _expire(self) -> None:
        for expired in await _patiently(lambda: self.world.store.expire(limit=50)):
            self.facts["poisoned" if expired.poisoned else "abandoned"] += 1

    async def _mend(self) -> None:
        mended = await _patiently(lambda: self.world.store.mend_lanes(limit=100, after=None))
        self.drifted += mended.drifted

    # --- publishers

    async def _publish(self) -> None:
        arrivals = []
        for _ in range(self.random.randint(1, 6)):
            endpoints = self.random.sample(self.free, self.random.randint(1, 3))
            event = self.world.event(self.merchant)
            hand_off = self.random.random() < 0.3
            arrivals.append(await self.world.arrival(event, *endpoints, hand_off=hand_off))
        await self._accept(arrivals)

    async def _publish_in_order(self) -> None:
        arrivals = []
        for _ in range(self.random.randint(1, 6)):
            endpoint = self.random.choice(self.skipping + self.blocking)
            key = self.random.choice(KEYS)
            event = self.world.event(self.merchant)
            arrivals.append(await self.world.arrival(event, endpoint, order_key=key))
        await self._accept(arrivals)

    async def _accept(self, arrivals: list[Arrival]) -> None:
        owner = self.random.choice(OWNERS)
        answers = await _patiently(lambda: self.world.accept(*arrivals, owner=owner))
        for arrival, answer in zip(arrivals, answers, strict=True):
            self.facts[type(answer).__name__] += 1
            if isinstance(answer, Accepted):
                self._keep(arrival)
                self.facts["handed off"] += len(answer.leased)
                # Those who took them died at once: the hardest case for a hand-off.

    def _keep(self, arrival: Arrival) -> None:
        for planned in arrival.deliveries:
            self.place[planned.id] = len(self.place)
            self.accepted[planned.id] = Requeue(
                delivery_id=planned.id,
                merchant_id=self.merchant.id,
                endpoint_id=planned.endpoint_id,
                event_type=arrival.event.type,
                order_key=planned.order_key,
                dialect=planned.dialect,
                dialect_version=planned.dialect_version,
            )

    # --- people

    async def _meddle(self) -> None:
        deeds = (self._pause_or_resume, self._news, self._cancel, self._send_again, self._decide)
        await self.random.choice(deeds)()

    async def _pause_or_resume(self) -> None:
        lanes = self.random.choice((self.free, self.skipping, self.blocking))
        at = self.random.randrange(len(lanes))
        active = lanes[at].status is EndpointStatus.ACTIVE and self.random.random() < 0.4
        status = EndpointStatus.PAUSED if active else EndpointStatus.ACTIVE
        lanes[at] = await self.world.edit(lanes[at], status=status)

    async def _news(self) -> None:
        endpoint = self.random.choice(self.free + self.skipping + self.blocking)
        news = self.random.choice(list(LaneNews))
        await self.world.report(endpoint, news, rest_s=self.random.random() * 4)

    async def _cancel(self) -> None:
        if self.accepted:
            id_ = self.random.choice(list(self.accepted)[-30:])
            cancelled = await self._call_off(id_)
            self.facts[f"cancel {cancelled}"] += 1

    async def _send_again(self) -> None:
        free = [id_ for id_, one in self.accepted.items() if one.order_key is None]
        if free:
            await self._again(self.random.choice(free))

    async def _decide(self) -> None:
        if self.blockers:
            blocker = self.blockers.pop()
            if blocker in self.called_off:
                # Its object went on. Sent again it would count as new, and have another place.
                return
            await (self._again(blocker) if self.random.random() < 0.5 else self._call_off(blocker))

    async def _again(self, id_: DeliveryId) -> None:
        self.replays[id_] += await self.world.requeue(self.accepted[id_])

    async def _call_off(self, id_: DeliveryId) -> Cancelled:
        audit = self.world.audit(self.merchant.id)
        cancelled = await self.world.store.cancel(self.merchant.id, id_, audit)
        if cancelled is Cancelled.UNBLOCKED:
            self.called_off.add(id_)
        return cancelled

    # --- the auditor

    async def undone(self) -> int:
        """Return how many deliveries are not over."""
        undone = DeliveryFilter(states=(State.SCHEDULED, State.LEASED, State.BLOCKED))
        return await self.world.store.count_deliveries(self.merchant.id, undone, at_most=10_000)

    async def audit(self) -> None:
        """Compare what was done with what is stored."""
        found = await self.world.store.deliveries(self.merchant.id, DeliveryFilter(), ALL)
        assert {one.id for one in found} == set(self.accepted), "made and lost nothing"
        for key, places in self.ended.items():
            assert places == sorted(places), f"out of order: {key}"
        for delivery in found:
            attempts = await attempts_of(self.world.store, self.merchant.id, delivery.id)
            self._explain(delivery, attempts)
        assert self.drifted == 0

    def _explain(self, delivery: Delivery, attempts: list[Attempt]) -> None:
        kept = {(one.fence, one.late): one for one in attempts}
        told = {one.fence for one in attempts if one.reason is not Reason.ABANDONED}
        sent = {fence for id_, fence in self.sent if id_ == delivery.id}
        assert sent == told, "each send is told of, late ones too"
        for fence in range(1, delivery.fence + 1):
            given_back = (delivery.id, fence) in self.released
            assert given_back or (fence, False) in kept, "no lease without its end"
        wins = [one for one in attempts if one.reason is None and not one.late]
        assert len(wins) <= 1 + self.replays[delivery.id], "sent again for no reason"
        if delivery.state is State.DELIVERED:
            assert wins
            assert delivery.delivered_at is not None


async def test_after_a_storm_everything_accepted_has_ended_as_told(world: World) -> None:
    """The promises hold together, not only one by one."""
    storm = Storm(world, await world.merchant(), Random(2))
    await storm.open_lanes()
    for _ in range(ROUNDS):
        await storm.round()
    await storm.calm()
    for _ in range(ROUNDS_TO_DRAIN_MAX):
        await storm.round()
        if not await storm.undone():
            break
    assert await storm.undone() == 0
    # What overslept until now comes late.
    await world.advance(timedelta(minutes=1).total_seconds())
    await storm.round()
    await storm.audit()
    rare = ("forgotten", "abandoned", "succeed late", "give_up held", "handed off")
    assert all(storm.facts[fact] for fact in rare), storm.facts


async def _patiently(call: Callable[[], Awaitable[_Result]]) -> _Result:
    """Return what *call* returns, made again while the store is too busy."""
    for _ in range(TRIES_MAX):
        try:
            return await call()
        except UnavailableError:
            continue
    return await call()

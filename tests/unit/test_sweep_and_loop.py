"""Upkeep, and the loop that looks: what falls is picked up, and nothing stops the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.support.flow import Flow, payment
from tests.support.inbound import Inbound
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.errors import UnavailableError
from payhooks.flow.sweep import DISABLE_AFTER_S, FAMILY, Sweep
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.delivery import State
from payhooks.model.endpoint import (
    DisabledReason,
    EndpointStatus,
    Ordering,
    Signature,
    SignatureType,
)
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.policy.retry import POLICIES
from payhooks.ports.controlling import Change, Window
from payhooks.ports.leasing import LaneNews, Lease, Trial
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.ports.sweeping import Announcement
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock
from payhooks.worker.loop import Worker
from payhooks.worker.probation import PROBATION_FROM_S

ALL = Window(limit=100)
NO_SIGNATURE = Signature(type=SignatureType.NONE)


class Upkeep:
    """A flow with its sweep, and what the sweep asked of the control plane."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.flow = Flow(world)
        self.disabled: list[tuple[EndpointId, DisabledReason]] = []
        self.forgotten: list[EndpointId] = []
        self.sweep = Sweep(
            store=world.store,
            acceptor=self.flow.acceptor,
            clock=world.clock,
            telemetry=self.flow.telemetry,
            tallier=self.flow.tallier,
            disable=self._disable,
            forget_listener=self._forget,
            dialect_policy=lambda _dialect: "standard",
            retention=timedelta(days=30),
        )

    async def _disable(
        self, _merchant_id: MerchantId, endpoint_id: EndpointId, reason: DisabledReason
    ) -> None:
        self.disabled.append((endpoint_id, reason))

    async def _forget(self, _merchant_id: MerchantId, endpoint_id: EndpointId) -> None:
        self.forgotten.append(endpoint_id)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


async def test_counts_go_when_no_chart_shows_them_any_more(world: World) -> None:
    """Two days by the minute, a month by the hour; the charts of a day and a month stay whole."""
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    now = world.now()
    for step_s, ages in ((MINUTE_S, (1, 3)), (HOUR_S, (3, 31, 33))):
        for days in ages:
            at = now - timedelta(days=days)
            tally = Tally(merchant_id=merchant.id, endpoint_id=None, step_s=step_s, at=at)
            await world.store.add_tallies([tally])
    assert [await upkeep.sweep.forget_tallies() for _ in range(2)] == [2, 0]
    since = now - timedelta(days=40)
    for step_s, left in ((MINUTE_S, 1), (HOUR_S, 2)):
        found = await world.store.merchant_tallies(
            merchant.id, step_s=step_s, since=since, until=now
        )
        assert len(found) == left


async def test_a_lease_that_ran_out_goes_out_again_and_the_kill_costs_no_attempt(
    world: World,
) -> None:
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    event = await world.publish(merchant, endpoint)
    await world.lease_one(owner=666)  # a process that is killed now
    await world.advance(31)
    assert await upkeep.sweep.expire() == 1
    assert await upkeep.flow.lease_and_send() == 1
    delivery = await world.delivery(event, endpoint)
    assert delivery.state is State.DELIVERED
    assert delivery.attempts_made == 1
    assert upkeep.flow.quiet.swept_counts == {"lease_expired": 1}
    await upkeep.flow.tallier.hand_over()
    long_ago = world.now() - timedelta(days=1)
    [counted] = await world.store.endpoint_tallies(merchant.id, [endpoint.id], since=long_ago)
    assert (counted.attempts, counted.attempts_failed, counted.delivered) == (2, 1, 1)


@pytest.mark.shows("F70")
async def test_what_kills_three_workers_alone_is_set_aside_and_alarmed(world: World) -> None:
    """One poisoned delivery must not stop everybody's."""
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    none, together, alone = Trial.NONE, Trial.TOGETHER, Trial.ALONE
    for trial in (none, none, together, alone, alone, alone):
        assert len((await world.look(trial=trial)).leased) == 1
        await world.advance(31)
        await upkeep.sweep.expire()
    assert (await world.delivery(event, endpoint)).state is State.FAILED
    assert "poison" in {kind for kind, _ in upkeep.flow.quiet.alarms}


async def test_an_announcement_is_published_once_and_forgotten(world: World) -> None:
    """Twice announced is a lie, and lost is worse: its id is the idempotency key."""
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    announcement = Announcement(
        id=world.ids.new(),
        merchant_id=merchant.id,
        type="webhook.updated",
        object_type="webhook",
        object_id="ep_1",
        data=b'{"label":"Shop"}',
    )
    await world.store.apply(Change(audit=world.audit(merchant.id), announcements=(announcement,)))
    assert await upkeep.sweep.publish_announcements() == 1
    assert await upkeep.sweep.publish_announcements() == 0
    # A crash between publishing and forgetting: it is found again.
    await world.store.apply(Change(audit=world.audit(merchant.id), announcements=(announcement,)))
    await upkeep.sweep.publish_announcements()
    [stored] = await world.store.events(merchant.id, EventFilter(), ALL)
    assert (stored.event.type, stored.event.family) == ("webhook.updated", FAMILY)


async def failing(world: World, merchant: Merchant) -> EndpointId:
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    await world.report(endpoint, LaneNews.FAILING)
    return endpoint.id


async def test_nothing_but_failure_is_warned_about_and_then_disabled(world: World) -> None:
    upkeep = Upkeep(world)
    endpoint_id = await failing(world, await world.merchant())
    limit_s = max(DISABLE_AFTER_S, POLICIES["standard"].total_s)
    for share in (0.2, 0.3, 0.55, 0.8):
        await world.advance(limit_s * share - sum_so_far(world))
        await upkeep.sweep.tend_failing()
        await upkeep.sweep.tend_failing()  # a second look warns of nothing new
    assert len(upkeep.flow.quiet.alarms) == 3
    assert upkeep.disabled == []
    await world.advance(limit_s * 0.21)
    await upkeep.sweep.tend_failing()
    assert upkeep.disabled == [(endpoint_id, DisabledReason.FAILING)]


def sum_so_far(world: World) -> float:
    return (world.now() - ManualClock().now()).total_seconds()


async def test_a_long_policy_is_waited_for(world: World) -> None:
    """Thirty days of retries were promised; five days of failure do not end them."""
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, retry_policy="adyen-like")
    await world.report(endpoint, LaneNews.FAILING)
    await world.advance(DISABLE_AFTER_S + 1)
    await upkeep.sweep.tend_failing()
    assert upkeep.disabled == []


async def test_a_success_that_nobody_told_of_saves_the_endpoint(world: World) -> None:
    """The process that saw it died; five days of good deliveries are in the record."""
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    await world.report(endpoint, LaneNews.FAILING)
    await world.advance(DISABLE_AFTER_S + 1)
    await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    await upkeep.sweep.tend_failing()
    assert upkeep.disabled == []
    await world.advance(DISABLE_AFTER_S)
    await upkeep.sweep.tend_failing()
    assert upkeep.disabled == []


async def test_a_stream_without_a_sign_of_life_is_ended(world: World) -> None:
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, listening=True)
    await world.store.lease(owner=1, lanes_max=1, per_lane_max=1, skip=[], only=endpoint.id)
    await world.advance(59)
    await upkeep.sweep.forget_silent_listeners()
    assert upkeep.forgotten == []
    await world.advance(10)
    await upkeep.sweep.forget_silent_listeners()
    assert upkeep.forgotten == [endpoint.id]


@pytest.mark.shows("F57")
async def test_what_waited_for_a_deleted_endpoint_is_cancelled(world: World) -> None:
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint)
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await upkeep.sweep.cancel_orphans() == 1
    assert (await world.delivery(event, endpoint)).state is State.CANCELLED


async def test_what_is_older_than_the_retention_goes(world: World) -> None:
    upkeep = Upkeep(world)
    merchant = await world.merchant()
    await world.publish(merchant)
    await world.advance(32 * 86_400)
    while await upkeep.sweep.retire():
        pass
    assert await world.store.events(merchant.id, EventFilter(), ALL) == []


async def test_what_was_told_is_known_for_longer_than_the_receipts_of_it(world: World) -> None:
    """A dispute comes after as long as 540 days, and providers tell the old with the new."""
    upkeep, inbound = Upkeep(world), Inbound(world)
    connector = await inbound.connector(await world.merchant())
    await inbound.heard(connector, "t-1", "paid 1 EUR")
    for days, ancient in ((31, ("paid 1 EUR",)), (768, ("paid 1 EUR",)), (2, ())):
        await world.advance(days * 86_400)
        while await upkeep.sweep.retire():
            pass
        remembered = await inbound.remembered(connector, "t-1")
        assert (remembered.heard, remembered.ancient) == ((), ancient)


class Machine:
    """A worker over a store that a test may take away."""

    def __init__(self, world: World) -> None:
        self.upkeep = Upkeep(world)
        self.down = False
        self.out_after_looks: list[int] = []  # deliveries, after looks that brought a trial
        store = world.store

        class Flaky:
            def __getattr__(_, name: str) -> object:  # noqa: N805 - ``self`` is the machine here
                if self.down and name in {"lease", "expire", "heartbeat"}:
                    return self._fail
                return self._lease if name == "lease" else getattr(store, name)

        flow = self.upkeep.flow

        async def no_replays() -> int:
            return 0

        flaky: Any = Flaky()
        self.worker = Worker(
            lease_store=flaky,
            sweep_store=flaky,
            dispatcher=flow.dispatcher,
            settler=flow.settler,
            sweep=self.upkeep.sweep,
            advance_replays=no_replays,
            clock=world.clock,
            telemetry=flow.telemetry,
            owner=7,
        )

    async def _lease(self, **named: Any) -> Lease:  # noqa: ANN401 - whatever the port asks
        store = self.upkeep.world.store
        lease = await store.lease(**named)
        if any(one.probation for one in lease.leased):
            states = dict((await store.pending()).states)
            self.out_after_looks.append(states[State.LEASED])
        return lease

    async def _fail(self, **_: object) -> None:
        raise UnavailableError("down")


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await done():  # noqa: ASYNC110 - the store has no event to wait for
            await asyncio.sleep(0.005)


async def test_the_loop_sends_what_is_left_in_the_store(world: World) -> None:
    machine = Machine(world)
    merchant = await world.merchant()
    await world.endpoint(merchant, signature=NO_SIGNATURE, ordering=Ordering.OBJECT)
    machine.worker.start()
    await machine.upkeep.flow.publish(merchant, *[payment(number % 3) for number in range(9)])

    async def all_delivered() -> bool:
        filter_ = DeliveryFilter(states=(State.DELIVERED,))
        return len(await world.store.deliveries(merchant.id, filter_, ALL)) == 9

    await until(all_delivered)
    await machine.worker.drain(grace_s=1)
    assert machine.upkeep.flow.quiet.bugs == []


async def _died_with(world: World, merchant: Merchant, count: int) -> list[Event]:
    """Return events with whose deliveries two processes in a row died."""
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    events = [await world.publish(merchant, endpoint) for _ in range(count)]
    for _ in range(2):
        assert len(await world.lease()) == count
        await world.advance(31)
        await world.store.expire(limit=count)
    return events


@pytest.mark.shows("F70")
async def test_a_process_tries_what_others_died_with_when_it_has_lived_for_a_while(
    world: World,
) -> None:
    """A loop of crashes that has nothing to do with them must not be held against them."""
    machine = Machine(world)
    merchant = await world.merchant()
    await _died_with(world, merchant, 2)
    fresh = await machine.upkeep.flow.publish(merchant, payment())
    machine.worker.start()
    sent = machine.upkeep.flow.transport.sent

    async def sent_are(count: int) -> bool:
        return len(sent) == count

    await until(lambda: sent_are(1))
    await world.advance(PROBATION_FROM_S - 0.1)
    assert [len(fresh), len(sent)] == [1, 1]
    await world.advance(0.2)
    await until(lambda: sent_are(3))
    await machine.worker.drain(grace_s=1)
    assert machine.upkeep.flow.quiet.bugs == []


@pytest.mark.shows("F70")
async def test_the_next_goes_alone_when_the_last_is_on_the_disk(world: World) -> None:
    """One that is answered but not written down would be blamed for what the next one does."""
    machine = Machine(world)
    merchant = await world.merchant()
    await _died_with(world, merchant, 6)
    assert len((await world.look(trial=Trial.TOGETHER)).leased) == 6
    await world.advance(31)
    await world.store.expire(limit=6)
    machine.worker.start()
    await world.advance(PROBATION_FROM_S)
    sent = machine.upkeep.flow.transport.sent

    async def all_sent() -> bool:
        return len(sent) == 6

    await until(all_sent)
    await machine.worker.drain(grace_s=1)
    assert machine.out_after_looks == [1] * 6
    assert machine.upkeep.flow.quiet.bugs == []


async def test_the_loop_outlives_an_outage_of_the_store(world: World) -> None:
    machine = Machine(world)
    merchant = await world.merchant()
    await world.endpoint(merchant, signature=NO_SIGNATURE, rate_limit_per_s=100.0)
    machine.down = True
    machine.worker.start()
    [published] = await machine.upkeep.flow.publish(merchant, payment())
    alarms = machine.upkeep.flow.quiet.alarms

    async def alarmed() -> bool:
        return any(kind == "store_unavailable" for kind, _ in alarms)

    await until(alarmed)
    machine.down = False

    async def delivered() -> bool:
        return len(machine.upkeep.flow.transport.sent) == 1

    await until(delivered)
    await machine.worker.drain(grace_s=1)
    assert machine.upkeep.flow.quiet.bugs == []
    assert msgspec.structs.asdict(published)["deliveries"] == 1  # type: ignore[arg-type]  # it was accepted

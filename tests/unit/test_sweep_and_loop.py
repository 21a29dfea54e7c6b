"""Upkeep, and the loop that looks: what falls is picked up, and nothing stops the loop."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.flow import payment
from tests.support.stores import OpenedStore
from tests.support.upkeep import Machine, Upkeep, until
from tests.support.world import World, attempts_of

from payhooks.errors import DamagedError, OverloadedError, UnavailableError
from payhooks.flow.sweep import DISABLE_AFTER_S
from payhooks.ids import EndpointId
from payhooks.model.delivery import State
from payhooks.model.endpoint import (
    DisabledReason,
    Endpoint,
    EndpointStatus,
    Ordering,
    Signature,
    SignatureType,
)
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.policy.retry import POLICIES
from payhooks.ports.controlling import Window
from payhooks.ports.leasing import LaneNews, Trial
from payhooks.ports.reading import DeliveryFilter
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock
from payhooks.worker.loop import EXPIRE_AFTER_OUTAGE_S
from payhooks.worker.probation import PROBATION_FROM_S

ALL = Window(limit=100)
NO_SIGNATURE = Signature(type=SignatureType.NONE)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


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
    machine.failing = frozenset({"lease", "expire", "heartbeat"})
    machine.worker.start()
    [published] = await machine.upkeep.flow.publish(merchant, payment())
    alarms = machine.upkeep.flow.quiet.alarms

    async def alarmed() -> bool:
        return any(kind == "store_unavailable" for kind, _ in alarms)

    await until(alarmed)
    machine.failing = frozenset()

    async def delivered() -> bool:
        return len(machine.upkeep.flow.transport.sent) == 1

    await until(delivered)
    await machine.worker.drain(grace_s=1)
    assert machine.upkeep.flow.quiet.bugs == []
    assert msgspec.structs.asdict(published)["deliveries"] == 1  # type: ignore[arg-type]  # it was accepted


async def _is_delivered(world: World, event: Event, endpoint: Endpoint) -> None:
    async def delivered() -> bool:
        return (await world.delivery(event, endpoint)).state is State.DELIVERED

    await until(delivered)


async def test_a_replay_that_always_fails_keeps_no_lease_from_being_taken_back(
    world: World,
) -> None:
    """One merchant's slice that takes too long is no outage: the others wait for a kill's end."""
    machine = Machine(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    event = await world.publish(merchant, endpoint)
    await world.lease_one(owner=666)  # a process that is killed now
    machine.replay_fails = True
    machine.worker.start()
    alarms = machine.upkeep.flow.quiet.alarms

    async def failed() -> bool:
        return ("store_unavailable", "down") in alarms

    await until(failed)
    await world.advance(31)
    await _is_delivered(world, event, endpoint)
    await machine.worker.drain(grace_s=1)


@pytest.mark.parametrize("asked", ["lease", "heartbeat"])
async def test_leases_that_ran_out_in_an_outage_are_taken_back_some_time_after_it(
    world: World, asked: str
) -> None:
    """Others, too, have outcomes in memory, and have them written first once the store is back."""
    machine = Machine(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    event = await world.publish(merchant, endpoint)
    await world.lease_one(owner=666)
    await world.advance(31)
    machine.failing = frozenset({asked})
    machine.worker.start()
    alarms = machine.upkeep.flow.quiet.alarms

    async def failed() -> bool:
        return ("store_unavailable", "down") in alarms

    # All upkeep has had its first turn then.
    await until(failed)
    assert (await world.delivery(event, endpoint)).state is State.LEASED
    machine.failing = frozenset()
    await world.advance(EXPIRE_AFTER_OUTAGE_S)
    await _is_delivered(world, event, endpoint)
    await machine.worker.drain(grace_s=1)


async def test_an_outcome_that_the_store_does_not_take_is_no_death(world: World) -> None:
    """Its lease runs out meanwhile: taken back before it is written, it would be sent again."""
    machine = Machine(world)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one(owner=7)
    await world.advance(31)
    machine.failing = frozenset({"settle"})
    flow = machine.upkeep.flow
    flow.dispatcher.offer(leased, taken_at_s=world.clock.monotonic_s())

    async def waits() -> bool:
        return ("settle_waits", "down") in flow.quiet.alarms

    await until(waits)
    machine.worker.start()
    await flow.publish(merchant, payment())

    async def both_sent() -> bool:
        return len(flow.transport.sent) == 2

    await until(both_sent)
    machine.failing = frozenset()
    await _is_delivered(world, event, endpoint)
    await machine.worker.drain(grace_s=1)
    told = await attempts_of(world.store, merchant.id, leased.id)
    assert [(each.fence, each.reason) for each in told] == [(1, None)]


@pytest.mark.parametrize(
    "error", [OverloadedError("too much waits"), DamagedError("it cannot be read")]
)
async def test_what_is_one_merchants_trouble_is_no_outage(
    world: World, error: UnavailableError
) -> None:
    """Where a look meets it for ever, leases are taken back all the same."""
    machine = Machine(world)
    machine.error = error
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=NO_SIGNATURE)
    event = await world.publish(merchant, endpoint)
    await world.lease_one(owner=666)
    await world.advance(31)
    machine.failing = frozenset({"lease"})
    machine.worker.start()

    async def taken_back() -> bool:
        return (await world.delivery(event, endpoint)).state is State.SCHEDULED

    await until(taken_back)
    await machine.worker.drain(grace_s=1)

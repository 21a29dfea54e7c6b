"""What a process died with goes out apart: a death is held against nothing that was not alone."""

import pytest
from tests.support.world import LEASE_S, World, events_of

from payhooks import limits
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.leasing import LaneNews, Leased, Trial

OBJECT = b"o" * 16


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def _look(world: World, trial: Trial, *, per_lane_max: int = 100) -> list[Leased]:
    return list((await world.look(trial=trial, per_lane_max=per_lane_max)).leased)


async def _die(world: World) -> int:
    """Let every lease run out, as after a kill; return how many there were."""
    await world.advance(LEASE_S + 1)
    expired = await world.store.expire(limit=1_000)
    assert not any(one.poisoned for one in expired)
    return len(expired)


async def _died_with(world: World, count: int, *endpoints: Endpoint, times: int) -> list[Event]:
    """Return events with whose deliveries so many processes in a row died."""
    merchant = await world.store.merchant(endpoints[0].merchant_id)
    assert merchant is not None
    events = [await world.publish(merchant, *endpoints) for _ in range(count)]
    for trial in (Trial.NONE, Trial.NONE, Trial.TOGETHER)[:times]:
        assert len(await _look(world, trial)) == count * len(endpoints)
        await _die(world)
    return events


@pytest.mark.shows("F70")
async def test_what_two_processes_died_with_waits_for_a_trial_while_others_pass(
    world: World,
) -> None:
    """One of them may kill the next process too; who is new must not die with it."""
    merchant, endpoint = await _lane(world)
    suspects = await _died_with(world, 3, endpoint, times=2)
    fresh = await world.publish(merchant, endpoint)
    assert events_of(await _look(world, Trial.NONE)) == [fresh.id]
    assert await _look(world, Trial.ALONE) == []
    tried = await _look(world, Trial.TOGETHER)
    assert events_of(tried) == [one.id for one in suspects]
    assert all(one.probation for one in tried)


async def test_one_death_puts_nothing_on_probation(world: World) -> None:
    """Machines are lost and processes killed every day; that costs no more than a lease."""
    _, endpoint = await _lane(world)
    events = await _died_with(world, 3, endpoint, times=1)
    leased = await _look(world, Trial.NONE)
    assert events_of(leased) == [one.id for one in events]
    assert not any(one.probation for one in leased)


async def test_no_more_are_tried_together_than_may_be(world: World) -> None:
    """In all, not for each lane: the smaller the company, the sooner it is known who kills."""
    merchant, endpoint = await _lane(world)
    other = await world.endpoint(merchant)
    await _died_with(world, limits.PROBATION_TOGETHER_MAX * 3 // 4, endpoint, other, times=2)
    tried = await _look(world, Trial.TOGETHER)
    assert len(tried) == limits.PROBATION_TOGETHER_MAX
    assert len(await _look(world, Trial.TOGETHER)) == limits.PROBATION_TOGETHER_MAX // 2


@pytest.mark.shows("F70")
async def test_after_a_death_in_company_each_goes_out_alone(world: World) -> None:
    """Whatever kills the process then, it was the only one that it can be held against."""
    merchant, endpoint = await _lane(world)
    other = await world.endpoint(merchant)
    await _died_with(world, 2, endpoint, other, times=3)
    assert await _look(world, Trial.TOGETHER) == []
    seen = set()
    for _ in range(4):
        [leased] = await _look(world, Trial.ALONE)
        assert leased.probation
        seen.add(leased.id)
    assert len(seen) == 4
    assert await _look(world, Trial.ALONE) == []


async def test_who_was_out_at_the_last_death_is_not_the_next_to_go(world: World) -> None:
    """Else a supervisor's kills would all be held against the same one."""
    _, endpoint = await _lane(world)
    await _died_with(world, 3, endpoint, times=3)
    alone = []
    for _ in range(6):
        [leased] = await _look(world, Trial.ALONE)
        alone.append(leased.id)
        await _die(world)
    assert sorted(alone[:3]) == sorted(set(alone))
    assert sorted(alone[3:]) == sorted(set(alone))


async def test_a_trial_and_others_share_what_the_lane_may_give(world: World) -> None:
    """A cap is a cap, whoever it is that goes."""
    merchant, endpoint = await _lane(world)
    suspects = await _died_with(world, 2, endpoint, times=2)
    fresh = [await world.publish(merchant, endpoint) for _ in range(4)]
    leased = await _look(world, Trial.TOGETHER, per_lane_max=4)
    assert events_of(leased) == [one.id for one in (*suspects, *fresh[:2])]


async def test_a_half_open_circuit_is_probed_once_in_a_trial_too(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await _died_with(world, 2, endpoint, times=2)
    await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=1)
    await world.advance(2)
    assert len(await _look(world, Trial.TOGETHER)) == 1
    assert await _look(world, Trial.TOGETHER) == []


async def test_a_suspect_holds_up_no_object_but_its_own(world: World) -> None:
    """Order is kept: what is behind it waits, as behind any other."""
    merchant, endpoint = await _lane(world)
    first = await world.publish(merchant, endpoint, order_key=OBJECT)
    for trial in (Trial.NONE, Trial.NONE):
        assert events_of(await _look(world, trial)) == [first.id]
        await _die(world)
    behind = await world.publish(merchant, endpoint, order_key=OBJECT)
    aside = await world.publish(merchant, endpoint, order_key=b"p" * 16)
    assert events_of(await _look(world, Trial.NONE)) == [aside.id]
    [suspect] = await _look(world, Trial.TOGETHER)
    await world.deliver(suspect)
    assert events_of(await _look(world, Trial.NONE)) == [behind.id]


async def test_an_answer_ends_the_probation(world: World) -> None:
    """It went through a whole process and back: whatever kills, it is not this."""
    _, endpoint = await _lane(world)
    await _died_with(world, 1, endpoint, times=3)
    [leased] = await _look(world, Trial.ALONE)
    await world.settle(world.failed(leased, delay_s=0))
    [again] = await _look(world, Trial.NONE)
    assert not again.probation


async def test_what_is_given_back_stays_on_probation(world: World) -> None:
    """It was not sent, so nothing is known of it that was not known before."""
    _, endpoint = await _lane(world)
    await _died_with(world, 1, endpoint, times=2)
    [leased] = await _look(world, Trial.TOGETHER)
    await world.settle(world.released(leased))
    assert await _look(world, Trial.NONE) == []
    assert len(await _look(world, Trial.TOGETHER)) == 1


async def test_a_replay_begins_without_suspicion(world: World) -> None:
    """A person has looked at it, and asks for it to be sent like any other."""
    _, endpoint = await _lane(world)
    [event] = await _died_with(world, 1, endpoint, times=3)
    for _ in range(3):
        await _look(world, Trial.ALONE)
        await world.advance(LEASE_S + 1)
        await world.store.expire(limit=10)
    assert (await world.delivery(event, endpoint)).state is State.FAILED
    await world.requeue(world.again(event, endpoint))
    assert [one.probation for one in await _look(world, Trial.NONE)] == [False]


async def test_a_listener_gets_what_others_died_with(world: World) -> None:
    """A stream sends nothing itself, so nothing that it passes on can kill it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, listening=True)
    await world.publish(merchant, endpoint)
    for _ in range(5):
        assert len((await world.look(only=endpoint.id)).leased) == 1
        await _die(world)
    assert len((await world.look(only=endpoint.id)).leased) == 1


async def test_lanes_with_suspects_alone_have_not_drifted(world: World) -> None:
    """They are looked at in vain for a while, but never too late."""
    _, endpoint = await _lane(world)
    await _died_with(world, 2, endpoint, times=2)
    assert await _look(world, Trial.NONE) == []
    assert (await world.look()).look_again_s == 0
    assert (await world.store.mend_lanes(limit=10, after=None)).drifted == 0

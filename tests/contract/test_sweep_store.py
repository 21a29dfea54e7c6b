"""What SweepStore promises: nothing is forgotten, nothing is kept for ever."""

import msgspec
import pytest
from tests.support.world import LEASE_S, World, attempts_of, events_of

from payhooks.ids import MerchantId, delivery_id
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, EndpointStatus, OnFailed, Ordering
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import StaleRouting
from payhooks.ports.controlling import Cancelled, Change
from payhooks.ports.leasing import LaneNews, Lease, Trial
from payhooks.ports.sweeping import Announcement, Expired, FailingLane

OBJECT = b"o" * 16
NOTHING = Lease(leased=(), look_again_s=None)


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def test_a_lease_that_ran_out_is_taken_back_and_recorded(world: World) -> None:
    """The process that held it was killed; the delivery is not lost with it."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.advance(LEASE_S + 1)
    expected = Expired(
        delivery_id=leased.id, merchant_id=merchant.id, endpoint_id=endpoint.id, poisoned=False
    )
    assert await world.store.expire(limit=10) == [expected]
    delivery = await world.delivery(event, endpoint)
    [attempt] = await attempts_of(world.store, merchant.id, leased.id)
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 0)
    assert (attempt.fence, attempt.late, attempt.reason) == (1, False, Reason.ABANDONED)
    assert (await world.lease_one(owner=2)).fence == 2


async def test_a_lease_does_not_expire_early(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    await world.lease_one()
    await world.advance(LEASE_S - 3)
    assert await world.store.expire(limit=10) == []


async def test_expiry_takes_no_more_than_asked(world: World) -> None:
    """A slice stays small, so that publishers do not wait behind it."""
    merchant, endpoint = await _lane(world)
    for _ in range(5):
        await world.publish(merchant, endpoint)
    await world.lease()
    await world.advance(LEASE_S + 1)
    taken = [len(await world.store.expire(limit=3)) for _ in range(3)]
    assert taken == [3, 2, 0]


# How the same delivery comes out each time, until it is set aside.
TRIALS = (Trial.NONE, Trial.NONE, Trial.TOGETHER, Trial.ALONE, Trial.ALONE, Trial.ALONE)
POISONED = [False, False, False, False, False, True]


async def _abandon(world: World, trial: Trial = Trial.NONE) -> Expired:
    [_] = (await world.look(trial=trial)).leased
    await world.advance(LEASE_S + 1)
    [expired] = await world.store.expire(limit=10)
    return expired


@pytest.mark.shows("F70")
async def test_a_delivery_that_three_died_with_while_it_was_alone_is_set_aside(
    world: World,
) -> None:
    """It probably kills whoever sends it."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    assert [(await _abandon(world, trial)).poisoned for trial in TRIALS] == POISONED
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.reason) == (State.FAILED, Reason.POISON)
    assert delivery.attempts_made == 0
    attempts = await attempts_of(world.store, merchant.id, delivery.id)
    assert [one.reason for one in attempts] == [Reason.ABANDONED] * len(TRIALS)
    assert [await world.look(trial=trial) for trial in Trial] == [NOTHING] * len(Trial)


async def test_an_answer_in_between_starts_the_count_anew(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    for trial in TRIALS[:5]:
        await _abandon(world, trial)
    [leased] = (await world.look(trial=Trial.ALONE)).leased
    await world.settle(world.failed(leased, delay_s=0))
    assert [(await _abandon(world, trial)).poisoned for trial in TRIALS] == POISONED


async def test_an_ordered_delivery_that_was_abandoned_stays_first_of_its_object(
    world: World,
) -> None:
    merchant, endpoint = await _lane(world)
    first = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    await _abandon(world)
    assert events_of(await world.lease()) == [first.id]


async def test_a_poisoned_head_lets_the_next_of_its_object_go(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    second = await world.publish(merchant, endpoint, order_key=OBJECT)
    for trial in TRIALS:
        await _abandon(world, trial)
    assert events_of(await world.lease()) == [second.id]


async def test_the_object_of_a_poisoned_head_waits_where_its_endpoint_wants_that(
    world: World,
) -> None:
    """``block`` says that nothing of an object goes after one that failed, for whatever reason."""
    merchant, _ = await _lane(world)
    endpoint = await world.endpoint(merchant, ordering=Ordering.OBJECT, on_failed=OnFailed.BLOCK)
    first = await world.publish(merchant, endpoint, order_key=OBJECT)
    second = await world.publish(merchant, endpoint, order_key=OBJECT)
    for trial in TRIALS:
        await _abandon(world, trial)
    assert await world.lease() == []
    held_up = delivery_id(first.id, endpoint.number)
    audit = world.audit(merchant.id)
    assert await world.store.cancel(merchant.id, held_up, audit) is Cancelled.UNBLOCKED
    assert events_of(await world.lease()) == [second.id]


async def test_a_poisoned_head_blocks_nothing_where_the_order_was_switched_off(
    world: World,
) -> None:
    """What was accepted in order goes on in order, and skips what fails."""
    merchant, _ = await _lane(world)
    ordered = await world.endpoint(merchant, ordering=Ordering.OBJECT, on_failed=OnFailed.BLOCK)
    endpoint = await world.edit(ordered, ordering=Ordering.NONE)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    second = await world.publish(merchant, endpoint, order_key=OBJECT)
    for trial in TRIALS:
        await _abandon(world, trial)
    assert events_of(await world.lease()) == [second.id]


async def test_lanes_that_were_kept_right_have_not_drifted(world: World) -> None:
    """The count is an alarm, so it must not cry wolf: rest, rate, order, probe, pause."""
    merchant, plain = await _lane(world)
    resting, probing, paused = [await world.endpoint(merchant) for _ in range(3)]
    limited = await world.endpoint(merchant, rate_limit_per_s=0.5)
    everyone = [plain, resting, probing, paused, limited]
    for _ in range(4):
        await world.publish(merchant, *everyone)
    await world.publish(merchant, plain, order_key=OBJECT)
    await world.publish(merchant, plain, order_key=OBJECT)
    await world.report(resting, LaneNews.RESTED, rest_s=600)
    await world.report(probing, LaneNews.TRIPPED, rest_s=1)
    await world.edit(paused, status=EndpointStatus.PAUSED)
    await world.advance(2)
    leased = (await world.look(per_lane_max=2)).leased
    await world.settle(*(world.failed(one, delay_s=30) for one in leased[1:]))
    for _ in range(2):
        mended = await world.store.mend_lanes(limit=100, after=None)
        assert (mended.looked, mended.drifted, mended.last) == (5, 0, None)
        await world.lease()


async def test_mending_goes_through_all_lanes_in_slices(world: World) -> None:
    merchant = await world.merchant()
    for _ in range(5):
        await world.endpoint(merchant)
    looked, after = [], None
    for _ in range(4):
        mended = await world.store.mend_lanes(limit=2, after=after)
        looked.append(mended.looked)
        after = mended.last
        if after is None:
            break
    assert (looked, after) == ([2, 2, 1], None)


async def test_what_waited_for_a_deleted_endpoint_is_cancelled_in_slices(world: World) -> None:
    """Deleting is one row, whatever waits; the sweep does the rest."""
    merchant, endpoint = await _lane(world)
    other = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint, other) for _ in range(5)]
    events.append(await world.publish(merchant, endpoint, other, order_key=OBJECT))
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert [await world.store.cancel_orphans(limit=4) for _ in range(3)] == [4, 2, 0]
    states = {(await world.delivery(event, endpoint)).state for event in events}
    assert states == {State.CANCELLED}
    assert {one.endpoint_id for one in await world.lease()} == {other.id}


async def test_what_is_being_sent_is_not_cancelled_under_the_sender(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.store.cancel_orphans(limit=10) == 0
    await world.deliver(leased)


async def test_what_comes_back_to_a_deleted_endpoint_is_cancelled_though_nothing_was_there_before(
    world: World,
) -> None:
    """Its sender was killed. Of a lane that was found empty the store may look no more."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    await world.lease_one()
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.store.cancel_orphans(limit=10) == 0
    await world.advance(LEASE_S + 1)
    await world.store.expire(limit=10)
    assert [await world.store.cancel_orphans(limit=10) for _ in range(2)] == [1, 0]
    assert (await world.delivery(event, endpoint)).state is State.CANCELLED


async def test_nothing_comes_to_a_deleted_endpoint_that_was_found_empty(world: World) -> None:
    """Neither from a publisher who planned by what was, nor from a replay: nobody would see it."""
    merchant, endpoint = await _lane(world)
    ended = await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    planned = await world.arrival(world.event(merchant), endpoint)
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.store.cancel_orphans(limit=10) == 0
    assert await world.accept(planned) == [StaleRouting()]
    assert await world.requeue(world.again(ended, endpoint)) == 0
    assert sum(count for _, count in (await world.store.pending()).states) == 0


async def test_a_lane_with_nothing_but_failure_is_found_when_it_lasts(world: World) -> None:
    merchant, endpoint = await _lane(world)
    healthy = await world.endpoint(merchant)
    await world.report(endpoint, LaneNews.FAILING)
    await world.report(healthy, LaneNews.FAILING)
    await world.report(healthy, LaneNews.RECOVERED)
    assert await world.store.failing_lanes(for_s=3_600, limit=10) == []
    await world.advance(3_600)
    await world.report(endpoint, LaneNews.FAILING)  # not a new spell
    [found] = await world.store.failing_lanes(for_s=3_600, limit=10)
    assert 3_600 <= found.failing_s < 3_610
    assert msgspec.structs.replace(found, failing_s=0) == FailingLane(
        merchant_id=merchant.id, endpoint_id=endpoint.id, failing_s=0, warned=0
    )


async def test_warnings_are_counted_per_spell_of_failure(world: World) -> None:
    merchant, endpoint = await _lane(world)
    await world.report(endpoint, LaneNews.FAILING)
    await world.store.warned(endpoint.id, warnings=2)
    [found] = await world.store.failing_lanes(for_s=0, limit=10)
    assert found.warned == 2
    await world.report(endpoint, LaneNews.RECOVERED)
    await world.report(endpoint, LaneNews.FAILING)
    [found] = await world.store.failing_lanes(for_s=0, limit=10)
    assert found.warned == 0
    assert found.merchant_id == merchant.id


async def test_a_disabled_lane_is_not_failing_any_more(world: World) -> None:
    _, endpoint = await _lane(world)
    await world.report(endpoint, LaneNews.FAILING)
    await world.edit(endpoint, status=EndpointStatus.PAUSED)
    assert await world.store.failing_lanes(for_s=0, limit=10) == []


async def test_a_listener_without_a_sign_of_life_is_found(world: World) -> None:
    """Its terminal was closed; what it would have got must not pile up."""
    merchant = await world.merchant()
    silent = await world.endpoint(merchant, listening=True)
    alive = await world.endpoint(merchant, listening=True)
    await world.advance(90)
    await world.look(only=alive.id)
    assert await world.store.silent_listeners(for_s=60) == [(merchant.id, silent.id)]
    assert await world.store.silent_listeners(for_s=600) == []


def _announcement(world: World, merchant_id: MerchantId) -> Announcement:
    return Announcement(
        id=world.ids.new(),
        merchant_id=merchant_id,
        type="webhook.created",
        object_type="webhook",
        object_id="ep_1",
        data=b'{"a": 1}',
    )


async def test_announcements_wait_until_they_are_published(world: World) -> None:
    """They are written with the change, so a kill between the two loses none."""
    merchant = await world.merchant()
    told = [_announcement(world, merchant.id) for _ in range(3)]
    audit = world.audit(merchant.id)
    await world.store.apply(Change(audit=audit, announcements=tuple(told[:2])))
    await world.store.apply(Change(audit=audit, announcements=(told[2],)))
    assert await world.store.announcements(limit=10) == told
    assert await world.store.announcements(limit=2) == told[:2]
    assert await world.store.announcements(limit=2, skip=1) == told[1:]
    await world.store.announced([told[0].id, told[2].id])
    assert await world.store.announcements(limit=10) == [told[1]]


async def test_health_names_the_workers_seen_lately(world: World) -> None:
    await world.store.heartbeat(owner=1, version="0.1.0")
    await world.advance(30)
    await world.store.heartbeat(owner=2, version="0.2.0")
    await world.store.heartbeat(owner=2, version="0.2.0")
    health = await world.store.health()
    told = sorted((one.owner, round(one.seen_s_ago), one.version) for one in health.workers)
    assert told == [(1, 30, "0.1.0"), (2, 0, "0.2.0")]
    assert health.durability
    assert abs(health.clock_skew_s) < 2


async def test_workers_unseen_for_an_hour_are_forgotten(world: World) -> None:
    await world.store.heartbeat(owner=1, version="0.1.0")
    await world.advance(3_700)
    await world.store.heartbeat(owner=2, version="0.1.0")
    assert [one.owner for one in (await world.store.health()).workers] == [2]


async def test_pending_counts_what_waits(world: World) -> None:
    merchant, endpoint = await _lane(world)
    paused = await world.endpoint(merchant)
    paused = await world.edit(paused, status=EndpointStatus.PAUSED)
    await world.publish(merchant, paused)
    await world.advance(100)
    await world.publish(merchant, endpoint)
    await world.lease_one()
    await world.publish(merchant, endpoint)
    await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.report(paused, LaneNews.TRIPPED, rest_s=1)
    await world.advance(10)
    pending = await world.store.pending()
    states = {state: count for state, count in pending.states if count}
    statuses = {status: count for status, count in pending.endpoints if count}
    assert states == {"scheduled": 2, "leased": 1, "blocked": 1}
    assert statuses == {"active": 1, "paused": 1}
    assert pending.circuits_open == 1
    # What is paused waits for its merchant, not for us.
    assert 10 <= pending.oldest_s < 20


async def test_the_circuit_of_a_deleted_endpoint_is_not_pending(world: World) -> None:
    """Nobody can close it any more: it would be on the operator's chart for ever."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=30)
    assert (await world.store.pending()).circuits_open == 1
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert (await world.store.pending()).circuits_open == 0


async def test_nothing_pending_is_zero(world: World) -> None:
    pending = await world.store.pending()
    assert sum(count for _, count in pending.states) == 0
    assert (pending.oldest_s, pending.circuits_open) == (0, 0)

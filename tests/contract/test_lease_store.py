"""What LeaseStore promises: what is due, fairly, once, and nothing that should rest."""

import pytest
from tests.support.world import LEASE_S, OWNER, World, events_of, ids_of

from payhooks.ids import EndpointId, delivery_id
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus
from payhooks.ports.leasing import LaneNews, LaneReport


async def test_a_lease_brings_all_that_an_attempt_needs(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, metadata=b'{"a":1}', data=b'{"n": 1.0}')
    leased = await world.lease_one()
    [routing] = await world.store.routing([merchant.id])
    assert leased.id == delivery_id(event.id, endpoint.number)
    assert (leased.merchant_id, leased.endpoint_id) == (merchant.id, endpoint.id)
    assert leased.event == event
    assert (leased.fence, leased.attempts_made) == (1, 0)
    assert leased.lease_s == LEASE_S
    assert (leased.dialect, leased.dialect_version) == ("standard", 1)
    assert (leased.order_key, leased.rendered) == (None, None)
    assert (leased.replay_id, leased.replay_bulk) == (None, None)
    assert leased.routing_version == routing.version
    assert not leased.lane_failing
    assert not leased.lane_probe


async def test_a_lease_lasts_as_long_as_waiting_and_sending_may_take(world: World) -> None:
    """It is never renewed: 5 s of waiting, the endpoint's own timeout, 10 s to settle."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, timeout_s=45.0)
    await world.publish(merchant, endpoint)
    assert (await world.lease_one()).lease_s == 60.0
    await world.advance(55)
    assert await world.store.expire(limit=10) == []


@pytest.mark.parametrize(
    ("dialect", "expected_s"),
    [("standard", 30.0), ("treezor", 25.0), ("owngateway", 45.0), ("merchant-console", 60.0)],
)
async def test_a_lease_outlives_what_the_dialect_allows(
    world: World, dialect: str, expected_s: float
) -> None:
    """Else a receiver that takes its time is sent the event again beside itself."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, dialect="standard")
    await world.edit(endpoint, dialect=dialect)
    await world.publish(merchant, endpoint)
    assert (await world.lease_one()).lease_s == expected_s


async def test_an_order_holds_while_a_slow_receiver_is_within_its_time(world: World) -> None:
    """It answers 200 after 44 s of the 45 that it has: asked once, and the next comes after it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, dialect="merchant-console")
    events = [await world.publish(merchant, endpoint, order_key=b"o" * 16) for _ in range(2)]
    first = await world.lease_one()
    await world.advance(44)
    assert await world.store.expire(limit=10) == []
    assert await world.lease(owner=OWNER + 1) == []
    await world.deliver(first)
    assert (await world.delivery(events[0], endpoint)).state is State.DELIVERED
    assert events_of(await world.lease()) == [events[1].id]


async def test_nothing_is_leased_twice(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(3):
        await world.publish(merchant, endpoint)
    first = await world.lease(owner=1, per_lane_max=2)
    second = await world.lease(owner=2)
    assert len(first) == 2
    assert len(second) == 1
    assert not set(ids_of(first)) & set(ids_of(second))


async def test_a_lane_gives_the_longest_due_first(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    retried = await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=10))
    await world.advance(15)
    fresh = [await world.publish(merchant, endpoint) for _ in range(2)]
    expected = [retried.id, fresh[0].id, fresh[1].id]
    assert events_of(await world.lease()) == expected


async def test_nothing_is_leased_before_it_is_due(world: World) -> None:
    """The retry schedule is a promise to merchants."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=300))
    await world.advance(295)
    assert await world.lease() == []
    await world.advance(5.1)
    assert len(await world.lease()) == 1


async def test_a_lane_gives_what_is_due_and_keeps_what_is_not(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=300))
    fresh = await world.publish(merchant, endpoint)
    assert events_of(await world.lease()) == [fresh.id]


async def test_a_look_takes_no_more_lanes_than_asked(world: World) -> None:
    merchant = await world.merchant()
    for _ in range(5):
        await world.publish(merchant, await world.endpoint(merchant))
    found = await world.look(lanes_max=3)
    assert len({one.endpoint_id for one in found.leased}) == 3
    assert found.look_again_s == 0
    assert len((await world.look(lanes_max=3)).leased) == 2


async def test_a_look_takes_no_more_of_a_lane_than_asked(world: World) -> None:
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(2)]
    for _ in range(5):
        await world.publish(merchant, *endpoints)
    found = await world.look(per_lane_max=2)
    assert [len([one for one in found.leased if one.endpoint_id == e.id]) for e in endpoints] == [
        2,
        2,
    ]


async def test_lanes_without_room_here_are_left_to_others(world: World) -> None:
    merchant = await world.merchant()
    full = await world.endpoint(merchant)
    free = await world.endpoint(merchant)
    await world.publish(merchant, full, free)
    found = await world.look(skip=[full.id])
    assert [one.endpoint_id for one in found.leased] == [free.id]
    # It is due, but nothing that this process could take: no reason to look at once.
    assert found.look_again_s is None
    assert [one.endpoint_id for one in await world.lease(owner=2)] == [full.id]


@pytest.mark.shows("F74")
@pytest.mark.shows("F56")
async def test_a_fresh_lane_is_served_soon_beside_many_with_a_backlog(world: World) -> None:
    """Isolation: the oldest backlog must not win every look."""
    merchant = await world.merchant()
    backlogged = [await world.endpoint(merchant) for _ in range(200)]
    for _ in range(10):
        await world.accept(*[await world.arrival(world.event(merchant), *backlogged)])
    await world.advance(60)
    await world.look(lanes_max=20, per_lane_max=1)
    fresh = await world.endpoint(merchant)
    await world.publish(merchant, fresh)
    # 200 lanes at 20 a look are ten looks, and one or two for the fresh lane itself.
    for _ in range(12):
        found = await world.look(lanes_max=20, per_lane_max=1)
        if fresh.id in {one.endpoint_id for one in found.leased}:
            return
        await world.advance(0.01)
    raise AssertionError("the fresh lane was not served")


async def test_a_look_says_when_the_next_is_worth_it(world: World) -> None:
    """Workers sleep by it: too early is a wasted look, too late is a late delivery."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    assert (await world.look()).look_again_s is None
    await world.publish(merchant, endpoint)
    await world.settle(world.failed(await world.lease_one(), delay_s=300))
    look_again_s = (await world.look()).look_again_s
    assert look_again_s is not None
    assert 290 < look_again_s <= 300


async def test_a_look_that_left_something_due_says_look_again_at_once(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(2):
        await world.publish(merchant, endpoint)
    assert (await world.look(per_lane_max=1)).look_again_s == 0


async def test_paused_lanes_are_no_reason_to_look_again(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.edit(endpoint, status=EndpointStatus.PAUSED)
    assert (await world.look()).look_again_s is None


@pytest.mark.shows("F50")
async def test_a_resting_lane_gives_nothing_until_its_rest_is_over(world: World) -> None:
    """The receiver said Retry-After; a backlog of others must not knock meanwhile."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.RESTED, rest_s=120)
    found = await world.look()
    assert found.leased == ()
    assert found.look_again_s is not None
    assert 110 < found.look_again_s <= 120
    await world.publish(merchant, endpoint)
    await world.advance(115)
    assert await world.lease() == []
    await world.advance(6)
    assert len(await world.lease()) == 2


async def test_a_rest_stops_a_backlog_that_is_being_worked_off(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(2):
        await world.publish(merchant, endpoint)
    await world.lease(per_lane_max=1)
    await world.report(endpoint, LaneNews.RESTED, rest_s=120)
    assert await world.lease() == []


async def test_a_rest_only_ever_lengthens(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.RESTED, rest_s=120)
    await world.report(endpoint, LaneNews.RESTED, rest_s=10)
    await world.advance(60)
    assert await world.lease() == []


async def test_a_success_does_not_end_a_rest_that_the_receiver_asked_for(world: World) -> None:
    """Answers cross: a 200 that was under way says nothing about the 429 after it."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.RESTED, rest_s=120)
    await world.report(endpoint, LaneNews.RECOVERED)
    assert await world.lease() == []


async def test_a_rate_limit_is_kept_over_time(world: World) -> None:
    """At most a second's worth at once, and no more than the rate in the long run."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=10.0)
    for _ in range(100):
        await world.publish(merchant, endpoint)
    start = world.now()
    first = sent = len(await world.lease())
    assert 1 <= first <= 10
    for _ in range(40):
        await world.advance(0.1)
        sent += len(await world.lease())
    # Asked of the clock, because PostgreSQL's own time runs on while the test does.
    elapsed_s = (world.now() - start).total_seconds()
    assert 40 <= sent <= 10 * elapsed_s + 10


async def test_a_rate_limit_below_one_a_second_lets_single_ones_go(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=0.01)
    for _ in range(3):
        await world.publish(merchant, endpoint)
    assert len(await world.lease()) == 1
    await world.advance(60)
    assert await world.lease() == []
    await world.advance(41)
    assert len(await world.lease()) == 1


async def test_a_rate_limited_lane_says_when_it_may_go_on(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=0.01)
    for _ in range(2):
        await world.publish(merchant, endpoint)
    look_again_s = (await world.look()).look_again_s
    assert look_again_s is not None
    assert 90 < look_again_s <= 100


async def test_a_failing_lane_says_so_until_it_recovers(world: World) -> None:
    """So that the worker reports the first success, and only that one."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.FAILING)
    assert (await world.lease_one()).lane_failing
    await world.report(endpoint, LaneNews.RECOVERED)
    await world.publish(merchant, endpoint)
    assert not (await world.lease_one()).lane_failing


async def test_news_of_many_lanes_and_of_unknown_ones_is_no_trouble(world: World) -> None:
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(3)]
    nobody = EndpointId(world.ids.new())
    unknown = LaneReport(merchant_id=merchant.id, endpoint_id=nobody, news=LaneNews.FAILING)
    news = [
        LaneReport(merchant_id=merchant.id, endpoint_id=one.id, news=LaneNews.FAILING)
        for one in (*endpoints, endpoints[0])
    ]
    await world.store.report([unknown, *news])
    assert len(await world.store.failing_lanes(for_s=0, limit=10)) == 3


async def test_pausing_stops_a_backlog_at_once_and_resuming_lets_it_go(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    waiting = [await world.publish(merchant, endpoint) for _ in range(3)]
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    assert await world.lease() == []
    waiting.append(await world.publish(merchant, endpoint))
    await world.edit(endpoint, status=EndpointStatus.ACTIVE)
    assert events_of(await world.lease()) == [event.id for event in waiting]


async def test_resuming_starts_afresh(world: World) -> None:
    """A person who resumes believes that it works now: no rest, no open circuit is left."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(3):
        await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=3_600)
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    await world.edit(endpoint, status=EndpointStatus.ACTIVE)
    leased = await world.lease()
    assert len(leased) == 3
    assert not leased[0].lane_probe
    assert await world.store.failing_lanes(for_s=0, limit=10) == []


async def test_another_url_starts_afresh(world: World) -> None:
    """Who has mended the address wants to see it work, not to wait for the old one's rest."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(3):
        await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=3_600)
    assert await world.lease() == []
    await world.edit(endpoint, url="https://shop.example.com/mended")
    leased = await world.lease()
    assert len(leased) == 3
    assert not leased[0].lane_probe
    assert await world.store.failing_lanes(for_s=0, limit=10) == []


async def test_another_url_does_not_open_what_is_paused(world: World) -> None:
    """Whoever paused it says when it goes on."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    endpoint = await world.edit(endpoint, status=EndpointStatus.PAUSED)
    await world.edit(endpoint, url="https://shop.example.com/mended")
    assert await world.lease() == []


async def test_an_edit_of_an_active_endpoint_does_not_end_its_rest(world: World) -> None:
    """A new label is no reason to call a receiver that asked for quiet."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.look(skip=[endpoint.id])
    await world.report(endpoint, LaneNews.RESTED, rest_s=600)
    await world.edit(endpoint, label="Counter")
    assert await world.lease() == []


async def test_a_listening_lane_gives_only_to_who_asks_for_it_by_name(world: World) -> None:
    """Its deliveries go into a stream, which one process holds."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, listening=True)
    event = await world.publish(merchant, endpoint)
    assert await world.lease() == []
    found = await world.look(only=endpoint.id)
    assert events_of(found.leased) == [event.id]


async def test_asking_for_one_lane_gives_nothing_of_the_others(world: World) -> None:
    merchant = await world.merchant()
    listening = await world.endpoint(merchant, listening=True)
    other = await world.endpoint(merchant)
    await world.publish(merchant, other)
    assert (await world.look(only=listening.id)).leased == ()
    # Nor does a lane that workers serve become a stream by being asked for.
    assert (await world.look(only=other.id)).leased == ()
    assert len(await world.lease()) == 1

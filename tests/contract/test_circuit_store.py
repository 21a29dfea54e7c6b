"""What LeaseStore promises of a lane whose circuit is open: one question at a time."""

import pytest
from tests.support.world import LEASE_S, World

from payhooks.ports.leasing import LaneNews


@pytest.mark.shows("F55")
async def test_an_open_circuit_rests_and_then_sends_one_probe(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    oldest = await world.publish(merchant, endpoint)
    for _ in range(4):
        await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=30)
    assert await world.lease() == []
    await world.advance(31)
    probe = await world.lease_one()
    assert probe.event.id == oldest.id
    assert probe.lane_probe
    assert probe.lane_failing


@pytest.mark.shows("F55")
async def test_no_second_probe_starts_while_the_first_is_under_way(world: World) -> None:
    """Whatever comes in meanwhile: a dead receiver is asked one question at a time."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=30)
    await world.advance(31)
    await world.lease_one()
    await world.publish(merchant, endpoint)
    assert await world.lease(owner=2) == []
    await world.edit(endpoint, label="Shop, with another name")
    assert await world.lease(owner=2) == []
    await world.advance(LEASE_S - 2)
    assert await world.lease(owner=2) == []


@pytest.mark.shows("F55")
async def test_a_probe_that_succeeds_lets_the_backlog_go(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(4):
        await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=30)
    await world.advance(31)
    await world.deliver(await world.lease_one())
    await world.report(endpoint, LaneNews.RECOVERED)
    others = await world.lease()
    assert len(others) == 3
    assert not any(one.lane_probe or one.lane_failing for one in others)


@pytest.mark.shows("F53")
async def test_a_probe_that_fails_burns_no_attempt_of_the_others(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint) for _ in range(3)]
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=30)
    await world.advance(31)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=60)
    assert await world.lease() == []
    made = [(await world.delivery(event, endpoint)).attempts_made for event in events]
    assert made == [1, 0, 0]


async def test_a_probe_that_fails_rests_as_long_as_it_says(world: World) -> None:
    """What a probe was given time for is over when it is: the breaker alone counts from there."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(2):
        await world.publish(merchant, endpoint)
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=5)
    await world.advance(6)
    await world.settle(world.failed(await world.lease_one(), delay_s=3_600))
    await world.report(endpoint, LaneNews.TRIPPED, rest_s=10)
    await world.advance(8)
    assert await world.lease() == []
    await world.advance(3)
    assert (await world.lease_one()).lane_probe
    mended = await world.store.mend_lanes(limit=10, after=None)
    assert mended.drifted == 0

"""What must not interrupt the short way from accept to the receiver, and what is told on it."""

from tests.support.world import World

from payhooks.ports.accepting import Accepted
from payhooks.ports.leasing import LaneNews


async def test_news_of_a_success_leaves_an_idle_lane_ready_for_hand_off(world: World) -> None:
    """Every lane's first success is told; that must not cost its next event a look."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.report(endpoint, LaneNews.FAILING)
    await world.report(endpoint, LaneNews.RECOVERED)
    await world.advance(1)
    arrival = await world.arrival(world.event(merchant), endpoint, hand_off=True)
    [accepted] = await world.accept(arrival)
    assert accepted == Accepted(leased=(arrival.deliveries[0].id,))


async def test_a_first_delivery_is_no_replay_and_a_replay_says_of_which_kind(world: World) -> None:
    """The receiver is told by a header: by hand, by a job, or not at all."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = world.event(merchant)
    await world.accept(await world.arrival(event, endpoint))
    first = await world.lease_one()
    assert first.replay_bulk is None
    await world.deliver(first)
    item = world.again(event, endpoint)
    for bulk in (False, True):
        if bulk:
            await world.store.repair([item], audit=world.audit(merchant.id))
        else:
            await world.requeue(item)
        again = await world.lease_one()
        assert again.replay_bulk is bulk
        await world.deliver(again)

"""What a rate limit owes: never more than a burst, whatever the clock or the limit was before."""

from datetime import timedelta

from tests.support.stores import ShiftedClock
from tests.support.world import World, events_of

from payhooks.testing import ManualClock

_DAY_S = 86_400.0


async def test_a_clock_that_was_ahead_silences_no_lane(world: World) -> None:
    """One request while it was wrong, and nothing would go for as long as it was ahead."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=10.0)
    await world.advance(_DAY_S)
    await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    _set_back(world)
    events = [await world.publish(merchant, endpoint) for _ in range(2)]
    sent = events_of(await world.lease())
    for _ in range(3):
        await world.advance(0.2)
        sent += events_of(await world.lease())
    assert sent == [event.id for event in events]


async def test_a_backlog_goes_on_when_the_clock_is_right_again(world: World) -> None:
    """Nothing wakes its lane: upkeep has to find that it sleeps for a day too long."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=10.0)
    events = [await world.publish(merchant, endpoint) for _ in range(2)]
    await world.advance(_DAY_S)
    [first] = await world.lease()
    await world.deliver(first)
    _set_back(world)
    assert await world.lease() == []
    assert (await world.store.mend_lanes(limit=10, after=None)).drifted == 1
    for _ in range(2):
        await world.advance(0.2)
        left = await world.lease()
        if left:
            break
    assert events_of(left) == [events[1].id]


async def test_a_limit_that_is_raised_holds_at_once(world: World) -> None:
    """The old one asked for a hundred seconds between two."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, rate_limit_per_s=0.01)
    await world.publish(merchant, endpoint)
    await world.deliver(await world.lease_one())
    await world.edit(endpoint, rate_limit_per_s=100.0)
    event = await world.publish(merchant, endpoint)
    sent = events_of(await world.lease())
    await world.advance(0.2)
    sent += events_of(await world.lease())
    assert sent == [event.id]


def _set_back(world: World) -> None:
    """Show the time that it would be, had the clock never been ahead by a day."""
    match world.clock:
        case ManualClock():
            world.clock.set_back(timedelta(seconds=_DAY_S))
        case ShiftedClock():
            world.clock.ahead_s -= _DAY_S
        case _:
            raise AssertionError(world.clock)

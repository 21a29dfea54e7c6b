"""What is too old goes, all of it, and the loop goes on until it has."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.inbound import Inbound
from tests.support.stores import OpenedStore
from tests.support.upkeep import Machine, Upkeep, until
from tests.support.world import World

from payhooks import limits
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock

ALL = Window(limit=100)

_MANY = 25 * limits.SLICE_ROWS_MAX  # more than upkeep of other kinds does in a turn


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


async def _publish_many(world: World, merchant: Merchant) -> None:
    arrival = await world.arrival(world.event(merchant))
    await world.accept(
        *(msgspec.structs.replace(arrival, event=world.event(merchant)) for _ in range(_MANY))
    )


async def test_retention_goes_on_until_nothing_is_left(world: World) -> None:
    """A whole day falls due at once; a part of each in every turn would be kept for ever."""
    machine = Machine(world)
    merchant, now = await world.merchant(), world.now()
    await _publish_many(world, merchant)
    await world.store.add_tallies(
        [
            Tally(merchant_id=merchant.id, endpoint_id=None, step_s=MINUTE_S, at=at)
            for at in (now - timedelta(minutes=number) for number in range(_MANY))
        ]
    )
    await world.advance(32 * 86_400)
    machine.worker.start()

    async def nothing_is_left() -> bool:
        events = await world.store.events(merchant.id, EventFilter(), ALL)
        since = now - timedelta(minutes=_MANY)
        tallies = await world.store.merchant_tallies(
            merchant.id, step_s=MINUTE_S, since=since, until=world.now()
        )
        return not events and not tallies

    await until(nothing_is_left)
    await machine.worker.drain(grace_s=1)
    assert machine.upkeep.flow.quiet.bugs == []


async def test_a_drain_does_not_wait_for_all_of_retention(world: World) -> None:
    machine = Machine(world)
    merchant = await world.merchant()
    await _publish_many(world, merchant)
    await world.advance(32 * 86_400)
    machine.worker.start()

    async def begun() -> bool:
        return "retired" in machine.upkeep.flow.quiet.swept_counts

    await until(begun)
    await machine.worker.drain(grace_s=1)
    assert await world.store.events(merchant.id, EventFilter(), ALL) != []
    assert machine.upkeep.flow.quiet.bugs == []

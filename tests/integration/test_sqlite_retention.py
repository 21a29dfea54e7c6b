"""Retention in a file: what is old is found wherever it stands, and goes in small slices."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from tests.support.stores import OpenedStore
from tests.support.world import World, attempts_of

from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter
from payhooks.storage.sqlite import SqliteStore
from payhooks.testing import ManualClock

_DAY_S = 86_400.0
_AHEAD = timedelta(days=365)
_SLICE = 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the file of this test is."""
    return tmp_path / "payhooks.sqlite"


@pytest.fixture
async def world(path: Path) -> AsyncIterator[World]:
    """Yield a world whose file holds a slice from a time when the clock was a year ahead."""
    before = await _open(path, ManualClock(ManualClock().now() + _AHEAD))
    await _fail_some(before, *await _lane(before))
    await before.store.close()
    world = await _open(path, ManualClock())
    yield world
    await world.store.close()


async def _open(path: Path, clock: ManualClock) -> World:
    store = await SqliteStore.open(path, clock=clock, random=Random(1))
    return World(OpenedStore(store, clock))


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def _fail_some(world: World, merchant: Merchant, endpoint: Endpoint) -> list[bytes]:
    """Return the events of as many failed deliveries as a slice takes."""
    events = [await world.publish(merchant, endpoint) for _ in range(_SLICE)]
    await world.fail(*await world.lease())
    return [event.id for event in events]


async def _retire(world: World, *, days: int) -> None:
    before = world.now() - timedelta(days=days)
    for _ in range(50):
        if not await world.store.retire(before=before, limit=_SLICE):
            return
    raise AssertionError("retiring does not end")


async def test_events_of_a_time_when_the_clock_was_ahead_do_not_keep_others(world: World) -> None:
    """They stand before all others, and would keep what comes behind until their time comes."""
    merchant, endpoint = await _lane(world)
    await _fail_some(world, merchant, endpoint)
    await world.advance(40 * _DAY_S)

    await _retire(world, days=30)

    assert await world.store.events(merchant.id, EventFilter(), Window(limit=10)) == []


async def test_answers_of_a_time_when_the_clock_was_ahead_do_not_keep_others(world: World) -> None:
    """A stranger's words go after a week, and not after a year."""
    merchant, endpoint = await _lane(world)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.fail(leased)
    await world.advance(9 * _DAY_S)

    await _retire(world, days=30)

    [attempt] = await attempts_of(world.store, merchant.id, leased.id)
    assert (attempt.status, attempt.answer_body) == (400, b"")


async def test_a_slice_counts_deliveries_with_their_events(world: World) -> None:
    """500 events that went to 10,000 endpoints each would be one transaction of the one writer."""
    merchant, first = await _lane(world)
    second, third = await world.endpoint(merchant), await world.endpoint(merchant)
    few = [await world.publish(merchant, first) for _ in range(2)]
    many = [await world.publish(merchant, first, second, third) for _ in range(2)]
    await world.fail(*await world.lease())
    await world.advance(40 * _DAY_S)

    left = []
    for _ in range(5):
        await world.store.retire(before=world.now() - timedelta(days=30), limit=_SLICE)
        stored = await world.store.events(merchant.id, EventFilter(), Window(limit=10))
        left.append([one.event.id for one in reversed(stored)])

    order = [event.id for event in few + many]
    assert left == [order[1:], order[2:], order[3:], [], []]

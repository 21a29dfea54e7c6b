"""What control changes announced is published once, in order, and nobody waits for anybody."""

from collections.abc import Sequence

import pytest
from tests.support.stores import OpenedStore
from tests.support.upkeep import Upkeep
from tests.support.world import World

from payhooks import limits
from payhooks.errors import OverloadedError, UnavailableError
from payhooks.flow.sweep import FAMILY
from payhooks.ids import MerchantId
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import Acceptance, Arrival
from payhooks.ports.controlling import Change, Window
from payhooks.ports.reading import EventFilter
from payhooks.ports.sweeping import Announcement
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock

ALL = Window(limit=100)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


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


async def _announce(world: World, merchant: Merchant, count: int) -> None:
    announcements = tuple(
        Announcement(
            id=world.ids.new(),
            merchant_id=merchant.id,
            type="webhook.updated",
            object_type="webhook",
            object_id=f"ep_{number}",
            data=b"{}",
        )
        for number in range(count)
    )
    change = Change(audit=world.audit(merchant.id), announcements=announcements)
    await world.store.apply(change)


async def _told(world: World, merchant: Merchant) -> list[str | None]:
    stored = await world.store.events(merchant.id, EventFilter(), ALL)
    return [one.event.object_id for one in reversed(stored)]


async def test_announcements_that_cannot_be_published_keep_nobody_elses(world: World) -> None:
    """Some merchants have more endpoints than one event may go to, and edit all of them."""
    upkeep = Upkeep(world)
    big, small = await world.merchant(), await world.merchant()
    for _ in range(limits.ENDPOINTS_PER_EVENT_MAX + 1):
        await world.endpoint(big)
    await _announce(world, small, 1)
    await _announce(world, big, limits.SLICE_ROWS_MAX)
    await _announce(world, small, 3)

    assert [await upkeep.sweep.publish_announcements() for _ in range(4)] == [1, 3, 0, 0]

    assert await _told(world, small) == ["ep_0", "ep_0", "ep_1", "ep_2"]
    assert await _told(world, big) == []
    left = await world.store.announcements(limit=1_000)
    assert {one.merchant_id for one in left} == {big.id}
    # Told once a round, not once for each: the first says it, and order keeps the rest behind it.
    assert [kind for kind, _ in upkeep.flow.quiet.alarms] == ["announcement_waits"] * 2


async def test_what_was_published_before_an_outage_is_not_published_after_it(world: World) -> None:
    """Their keys would repeat nothing, but they would take the place of those behind them."""

    class Once(MemoryStore):
        async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
            if self._tables.events:
                raise UnavailableError("the disk is full")
            return await super().accept(arrivals, owner=owner)

    upkeep = Upkeep(World(OpenedStore(store=Once(clock=world.clock), clock=world.clock)))
    merchant = await upkeep.world.merchant()
    await _announce(upkeep.world, merchant, 3)

    with pytest.raises(UnavailableError):
        await upkeep.sweep.publish_announcements()

    left = await upkeep.world.store.announcements(limit=10)
    assert [one.object_id for one in left] == ["ep_1", "ep_2"]


class Flooded(MemoryStore):
    """A store that takes nothing of one merchant, of whom too much waits."""

    flooding: MerchantId | None = None
    unreadable: bytes | None = None  # the id of an announcement

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        if any(arrival.event.merchant_id == self.flooding for arrival in arrivals):
            raise OverloadedError("too much of one merchant is waiting to be stored")
        return await super().accept(arrivals, owner=owner)

    async def announcements(self, *, limit: int, skip: int = 0) -> list[Announcement]:
        found = await super().announcements(limit=limit, skip=skip)
        return [one for one in found if one.id != self.unreadable]


@pytest.mark.parametrize("unreadable", [None, 0, limits.SLICE_ROWS_MAX - 1])
async def test_a_merchant_who_floods_keeps_nobody_elses_announcements_waiting(
    world: World, unreadable: int | None
) -> None:
    """Nor where one of so many cannot be read: a slice that is short for it is not the last."""
    store = Flooded(clock=world.clock)
    world = World(OpenedStore(store=store, clock=world.clock))
    upkeep = Upkeep(world)
    noisy, quiet = await world.merchant(), await world.merchant()
    await _announce(world, noisy, limits.SLICE_ROWS_MAX + 100)
    await _announce(world, quiet, 2)
    if unreadable is not None:
        store.unreadable = (await store.announcements(limit=1, skip=unreadable))[0].id
    store.flooding = noisy.id

    for _ in range(2):
        await upkeep.sweep.publish_announcements()
    assert await _told(world, quiet) == ["ep_0", "ep_1"]
    assert await _told(world, noisy) == []

    store.flooding = None
    # What waits is tried again though there is something new at each turn.
    for _ in range(6):
        await _announce(world, quiet, 1)
        await upkeep.sweep.publish_announcements()
    assert await store.announcements(limit=1_000) == []

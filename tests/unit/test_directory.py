"""The routing tables of a process: whoever knows of a change never goes by what was before it."""

import asyncio
from collections.abc import Sequence

from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.flow.routing import Directory
from payhooks.ids import MerchantId
from payhooks.ports.accepting import Routing
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock


class _SlowStore(MemoryStore):
    """Answers what it read as late as a test wants."""

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.has_read = asyncio.Event()
        self.answers = asyncio.Event()

    async def routing(self, merchant_ids: Sequence[MerchantId]) -> list[Routing]:
        found = await super().routing(merchant_ids)
        self.has_read.set()
        await self.answers.wait()
        return found


async def test_a_load_that_began_before_a_change_does_not_answer_for_it() -> None:
    """A secret that was revoked would sign once more, and the new one not yet."""
    clock = ManualClock()
    store = _SlowStore(clock=clock)
    world = World(OpenedStore(store=store, clock=clock))
    directory = Directory(store, lambda _secret: "", clock)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    before = asyncio.ensure_future(directory.reload(merchant.id))
    await store.has_read.wait()

    await world.edit(endpoint, label="Changed")
    version = await store.routing_version(merchant.id)
    assert version is not None
    asking = asyncio.ensure_future(directory.at_least(merchant.id, version))
    await asyncio.sleep(0)  # now it waits for the same load
    store.answers.set()

    assert (await before).version < version
    assert (await asking).version == version
    assert directory.cached(merchant.id) is await asking

"""The routing tables of a process: whoever knows of a change never goes by what was before it."""

import asyncio
from collections.abc import Sequence

from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.flow.routing import Directory
from payhooks.ids import MERCHANT, MerchantId, to_text
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


class _AskedStore(MemoryStore):
    """Says which version there is as late as a test wants."""

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.asked = 0
        self.answers = asyncio.Event()

    async def routing_version(self, merchant_id: MerchantId) -> int | None:
        self.asked += 1
        await self.answers.wait()
        return await super().routing_version(merchant_id)


async def test_all_who_come_while_a_table_is_confirmed_get_the_confirmed_one() -> None:
    """Of many receipts at once, only the first would be read by what another process has edited."""
    clock = ManualClock()
    store = _AskedStore(clock=clock)
    world = World(OpenedStore(store=store, clock=clock))
    directory = Directory(store, lambda _secret: "", clock)
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    before = await directory.reload(merchant.id)
    await world.edit(endpoint, label="Changed")

    printed = to_text(MERCHANT, merchant.id)
    asking = [asyncio.ensure_future(directory.confirmed(printed)) for _ in range(5)]
    await asyncio.sleep(0)
    store.answers.set()

    found = await asyncio.gather(*asking)
    assert [table.version for table in found] == [before.version + 1] * 5
    assert store.asked == 1

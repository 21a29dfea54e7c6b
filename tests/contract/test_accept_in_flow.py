"""What the flow asks of a store in one batch, however its publishers behave."""

import asyncio
from collections.abc import Sequence

from tests.support.flow import Flow, payment
from tests.support.world import World

from payhooks.flow.publication import Published
from payhooks.ids import MERCHANT, to_text
from payhooks.ports.accepting import Acceptance, Arrival
from payhooks.ports.store import Store


class Held:
    """A store that takes its first batch when a test says so; all else goes through."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        self.asked.set()
        await self.go_on.wait()
        return await self._store.accept(arrivals, owner=owner)


async def turns() -> None:
    """Let everybody do what can be done without the store."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_goes_away_and_asks_again_fails_nobody_elses_event(world: World) -> None:
    """The same key twice in one batch is more than a store takes, and a batch is everybody's."""
    merchant, stranger = await world.merchant(), await world.merchant()
    store = Held(world.store)
    flow = Flow(world, store=store)  # type: ignore[arg-type]  # what is not wrapped goes through
    for each in (merchant, stranger):
        await flow.directory.find(to_text(MERCHANT, each.id))  # nothing is read later on
    first = asyncio.create_task(flow.publish(merchant, payment(1)))
    await asyncio.wait_for(store.asked.wait(), 5)
    gone = asyncio.create_task(flow.publish(merchant, payment(2, key="k")))
    await turns()
    gone.cancel()
    await asyncio.wait([gone])
    again = asyncio.create_task(flow.publish(merchant, payment(2, key="k")))
    other = asyncio.create_task(flow.publish(stranger, payment(3)))
    await turns()
    store.go_on.set()
    answers = [answer for [answer] in await asyncio.gather(first, again, other)]
    assert [type(answer) for answer in answers] == [Published] * 3
    # It was on its way, and goes on: who asked again is told of the same event.
    assert [answer.repeated for answer in answers if isinstance(answer, Published)] == [
        False,
        True,
        False,
    ]

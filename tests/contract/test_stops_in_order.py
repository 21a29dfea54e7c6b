"""What a process that is told to stop does not get to the end of."""

import asyncio
from collections.abc import Sequence

from tests.support.flow import Flow
from tests.support.world import World, attempts_of

from payhooks.ids import delivery_id
from payhooks.model.attempt import Attempt
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.ports.leasing import LaneReport
from payhooks.ports.store import Store
from payhooks.testing.transport import answer


async def undone(world: World) -> tuple[Event, Endpoint]:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    return await world.publish(merchant, endpoint), endpoint


async def on_record(world: World, event: Event, endpoint: Endpoint) -> list[Attempt]:
    return await attempts_of(world.store, event.merchant_id, delivery_id(event.id, endpoint.number))


class Mute:
    """A store that says nothing to news; all else goes through."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def report(self, _reports: Sequence[LaneReport]) -> None:
        await asyncio.Event().wait()


async def test_an_answer_is_written_down_though_its_news_is_not(world: World) -> None:
    """News is found again at the next failure; an outcome that is dropped is sent again."""
    event, endpoint = await undone(world)
    flow = Flow(world, store=Mute(world.store), script=lambda _request: answer(503))  # type: ignore[arg-type]  # what is not wrapped goes through
    for leased in await world.lease():
        flow.dispatcher.offer(leased, taken_at_s=world.clock.monotonic_s())
    await flow.directory.reload(endpoint.merchant_id)
    for _ in range(10):
        await asyncio.sleep(0)
    await flow.dispatcher.drain(grace_s=0)
    await flow.settler.drain()
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 1)
    [attempt] = await on_record(world, event, endpoint)
    assert (attempt.late, attempt.status) == (False, 503)

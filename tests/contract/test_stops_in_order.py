"""What a process that is told to stop does not get to the end of."""

import asyncio
from collections.abc import Sequence

from tests.support.flow import Flow
from tests.support.world import World, attempts_of

from payhooks.ids import delivery_id
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, State
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.ports.leasing import LaneReport
from payhooks.ports.store import Store
from payhooks.testing.transport import answer


async def stopped_while_it_sends(world: World) -> Flow:
    """Return a process that was stopped while its receiver let it wait."""
    flow = Flow(world, script=lambda _request: None)
    for leased in await world.lease():
        await flow.directory.reload(leased.merchant_id)
        flow.dispatcher.offer(leased, taken_at_s=world.clock.monotonic_s())
    await asyncio.sleep(0)
    await flow.dispatcher.drain(grace_s=0)
    await flow.settler.drain()
    return flow


async def undone(world: World) -> tuple[Event, Endpoint]:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    return await world.publish(merchant, endpoint), endpoint


async def on_record(world: World, event: Event, endpoint: Endpoint) -> list[Attempt]:
    return await attempts_of(world.store, event.merchant_id, delivery_id(event.id, endpoint.number))


async def test_what_a_stop_breaks_off_goes_out_again_at_once_and_is_on_record(
    world: World,
) -> None:
    """The receiver may have got it: without a record nobody could explain why it came twice."""
    event, endpoint = await undone(world)
    stopped = await stopped_while_it_sends(world)
    assert len(stopped.transport.broken_off) == 1
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 0)
    [attempt] = await on_record(world, event, endpoint)
    assert (attempt.fence, attempt.late, attempt.reason) == (1, True, Reason.ABANDONED)
    again = Flow(world)
    assert await again.lease_and_send() == 1
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.DELIVERED, 1)
    told = [(each.fence, each.late) for each in await on_record(world, event, endpoint)]
    assert sorted(told) == [(1, True), (2, False)]


async def test_stops_in_order_are_no_deaths(world: World) -> None:
    """Ten deployments during a slow receiver's answers say nothing of what it is sent."""
    event, endpoint = await undone(world)
    for _ in range(ABANDONED_IN_A_ROW_MAX + 1):
        assert len((await stopped_while_it_sends(world)).transport.sent) == 1
    again = Flow(world)
    assert await again.lease_and_send() == 1  # no trial is needed for it
    assert (await world.delivery(event, endpoint)).state is State.DELIVERED


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

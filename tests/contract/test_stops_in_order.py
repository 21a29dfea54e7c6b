"""What a process that is told to stop does not get to the end of."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.support.flow import Flow
from tests.support.upkeep import until
from tests.support.world import World, attempts_of

from payhooks.ids import delivery_id
from payhooks.limits import TIMEOUT_S_DEFAULT
from payhooks.model.attempt import Attempt, Outcome, Reason
from payhooks.model.delivery import ABANDONED_IN_A_ROW_MAX, State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.ports.leasing import Leased
from payhooks.ports.settling import Settlement
from payhooks.ports.store import Store
from payhooks.ports.transport import OutboundRequest, UnderWay
from payhooks.testing.transport import ScriptedTransport, answer


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


class Late(ScriptedTransport):
    """A receiver that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__(lambda _request: None)
        self.tell: Callable[[Outcome], None] = lambda _outcome: None

    def begin(self, request: OutboundRequest, done: Callable[[Outcome], None]) -> UnderWay | None:
        self.tell = done
        return super().begin(request, done)


async def undone(world: World) -> tuple[Event, Endpoint]:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    return await world.publish(merchant, endpoint), endpoint


async def on_record(world: World, event: Event, endpoint: Endpoint) -> list[Attempt]:
    return await attempts_of(world.store, event.merchant_id, delivery_id(event.id, endpoint.number))


async def test_what_a_stop_breaks_off_goes_out_again_when_it_would_be_over_and_is_on_record(
    world: World,
) -> None:
    """The receiver may have got it: without a record nobody could explain why it came twice.

    It may be at work on it, too, and would do so twice at once: one that looks whether it has
    had this message already does not find it yet.
    """
    event, endpoint = await undone(world)
    stopped = await stopped_while_it_sends(world)
    assert len(stopped.transport.broken_off) == 1
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 0)
    [attempt] = await on_record(world, event, endpoint)
    assert (attempt.fence, attempt.late, attempt.reason) == (1, False, Reason.ABANDONED)
    again = Flow(world)
    await world.advance(TIMEOUT_S_DEFAULT - 0.1)
    assert await again.lease_and_send() == 0
    await world.advance(0.2)
    assert await again.lease_and_send() == 1
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.DELIVERED, 1)
    told = [(each.fence, each.late) for each in await on_record(world, event, endpoint)]
    assert sorted(told) == [(1, False), (2, False)]


async def test_stops_in_order_are_no_deaths(world: World) -> None:
    """Ten deployments during a slow receiver's answers say nothing of what it is sent."""
    event, endpoint = await undone(world)
    for _ in range(ABANDONED_IN_A_ROW_MAX + 1):
        assert len((await stopped_while_it_sends(world)).transport.sent) == 1
        await world.advance(TIMEOUT_S_DEFAULT)
    again = Flow(world)
    assert await again.lease_and_send() == 1  # no trial is needed for it
    assert (await world.delivery(event, endpoint)).state is State.DELIVERED


def broken_off(world: World, leased: Leased) -> Settlement:
    heard = world.attempt(leased, status=None, reason=Reason.ABANDONED)
    attempt = msgspec.structs.replace(heard, detail="", answer_headers=(), answer_body=b"")
    return msgspec.structs.replace(world.released(leased), attempt=attempt)


@pytest.mark.parametrize("ends", ["delivered", "to be tried again"])
async def test_what_is_said_of_a_lease_first_holds_though_one_batch_gives_it_back(
    world: World, ends: str
) -> None:
    """Given back, it would be sent again at once, and its attempt would be spent twice."""
    await undone(world)
    leased = await world.lease_one()
    first = world.succeeded(leased) if ends == "delivered" else world.failed(leased, delay_s=3600)
    assert await world.settle(first, broken_off(world, leased)) == [True, False]
    assert await world.lease() == []
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert (kept.late, kept.reason) == (False, first.reason)
    delivery = await world.store.delivery(leased.merchant_id, leased.id)
    assert delivery is not None
    assert delivery.attempts_made == 1


async def test_a_release_told_twice_is_on_record_once(world: World) -> None:
    """Its reply may have got lost, and by then somebody else may be sending."""
    await undone(world)
    leased = await world.lease_one()
    told = broken_off(world, leased)
    assert await world.settle(told) == [True]
    assert await world.settle(told) == [False]
    again = await world.lease_one(owner=2)
    assert await world.settle(told, world.succeeded(again)) == [False, True]
    kept = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert sorted((each.fence, each.late, each.reason) for each in kept) == [
        (1, False, Reason.ABANDONED),
        (2, False, None),
    ]


async def test_a_lease_that_ran_out_is_explained_once(world: World) -> None:
    await undone(world)
    leased = await world.lease_one()
    await world.advance(31)
    await world.store.expire(limit=10)
    assert await world.settle(broken_off(world, leased)) == [False]
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert (kept.fence, kept.late, kept.reason) == (1, False, Reason.ABANDONED)


async def test_what_was_called_off_while_it_was_sent_is_on_record_as_late(world: World) -> None:
    """Its delivery is over; that its receiver may have got it is still to be told."""
    event, _ = await undone(world)
    leased = await world.lease_one()
    await world.store.expunge(event.merchant_id, event.id, world.audit(event.merchant_id))
    told = broken_off(world, leased)
    assert await world.settle(told) == [False]
    assert await world.settle(told) == [False]
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert (kept.fence, kept.late, kept.reason) == (1, True, Reason.ABANDONED)


async def test_what_is_broken_off_for_an_endpoint_that_was_deleted_is_cancelled(
    world: World,
) -> None:
    event, endpoint = await undone(world)
    leased = await world.lease_one()
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    assert await world.settle(broken_off(world, leased)) == [True]
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.CANCELLED, 0)
    [kept] = await attempts_of(world.store, leased.merchant_id, leased.id)
    assert (kept.late, kept.reason) == (False, Reason.ABANDONED)


class Mute:
    """A store that says nothing when it is asked one thing; all else goes through."""

    def __init__(self, store: Store, asked: str) -> None:
        self._store = store
        self._asked = asked

    def __getattr__(self, name: str) -> object:
        return self._never if name == self._asked else getattr(self._store, name)

    async def _never(self, *_: object, **__: object) -> None:
        await asyncio.Event().wait()


async def test_an_answer_is_written_down_though_its_news_is_not(world: World) -> None:
    """News is found again at the next failure; an outcome that is dropped is sent again."""
    event, endpoint = await undone(world)
    mute: Any = Mute(world.store, "report")
    flow = Flow(world, store=mute, script=lambda _request: answer(503))
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


@pytest.mark.parametrize("routing", ["known", "loaded"])
async def test_an_answer_that_comes_in_the_moment_of_the_break_off_is_kept(
    world: World, routing: str
) -> None:
    """The first success of a lane is news: until the store has it, nothing else is written."""
    event, endpoint = await undone(world)
    transport = Late()
    flow = Flow(world, transport=transport)
    if routing == "known":
        await flow.directory.reload(endpoint.merchant_id)
    for leased in await world.lease():
        flow.dispatcher.offer(leased, taken_at_s=world.clock.monotonic_s())

    async def sent() -> bool:
        return bool(transport.sent)

    await until(sent)

    draining = asyncio.create_task(flow.dispatcher.drain(grace_s=0))
    while not draining.cancelling():  # noqa: ASYNC110 - nothing tells of the moment before it ends
        await asyncio.sleep(0)
    transport.tell(answer(200))
    await draining
    await flow.settler.drain()
    delivery = await world.delivery(event, endpoint)
    assert (delivery.state, delivery.attempts_made) == (State.DELIVERED, 1)
    [attempt] = await on_record(world, event, endpoint)
    assert (attempt.late, attempt.status) == (False, 200)


async def test_what_was_not_sent_yet_goes_out_at_once_and_is_not_on_record(world: World) -> None:
    """A merchant would look for a request that nobody has made."""
    event, endpoint = await undone(world)
    mute: Any = Mute(world.store, "routing")
    flow = Flow(world, store=mute)
    for leased in await world.lease():
        flow.dispatcher.offer(leased, taken_at_s=world.clock.monotonic_s())
    await asyncio.sleep(0)
    assert flow.dispatcher.in_flight == 1
    await flow.dispatcher.drain(grace_s=0)
    await flow.settler.drain()
    assert flow.transport.sent == []
    assert await on_record(world, event, endpoint) == []
    assert await Flow(world).lease_and_send() == 1

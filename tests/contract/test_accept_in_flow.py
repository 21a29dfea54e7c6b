"""What the flow asks of a store in one batch, however its publishers behave."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from tests.support.flow import Flow, payment
from tests.support.world import World

from payhooks.errors import UnauthenticatedError
from payhooks.flow.publication import Published
from payhooks.flow.routing import RoutingTable
from payhooks.ids import MERCHANT, to_text
from payhooks.model.delivery import State
from payhooks.ports.accepting import Acceptance, Accepted, Arrival, StaleRouting
from payhooks.ports.controlling import Window
from payhooks.ports.store import Store

ALL = Window(limit=100)


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


class InHalves:
    """A store that takes its first batch in two halves, and something happens between them."""

    def __init__(self, store: Store, between: Callable[[], Awaitable[object]]) -> None:
        self._store = store
        self._between = between
        self.answered: list[list[Acceptance]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        if self.answered:
            answered = await self._store.accept(arrivals, owner=owner)
        else:
            middle = len(arrivals) // 2
            answered = await self._store.accept(arrivals[:middle], owner=owner)
            await self._between()
            answered += await self._store.accept(arrivals[middle:], owner=owner)
        self.answered.append(answered)
        return answered


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


async def test_of_a_request_that_is_stored_in_parts_each_delivery_is_handed_off_once(
    world: World,
) -> None:
    """A lease is for one request: two under one lease, and nothing explains the duplicate."""
    merchant = await world.merchant()
    first = await world.endpoint(merchant)
    store = InHalves(world.store, lambda: world.endpoint(merchant))
    flow = Flow(world, store=store)  # type: ignore[arg-type]  # as above
    answers = await flow.publish(merchant, *[payment(number) for number in range(4)])
    await flow.settled()
    assert [type(answer) for answer in store.answered[0]] == [Accepted] * 2 + [StaleRouting] * 2
    told = [answer for answer in answers if isinstance(answer, Published)]
    # Whoever subscribes between two events of a request gets the second.
    assert [answer.deliveries for answer in told] == [1, 1, 2, 2]
    sent = Counter(dict(request.headers)["webhook-id"] for request in flow.transport.sent)
    assert sorted(sent.values()) == [1] * 6
    for answer in told:
        [delivery] = [
            each
            for each in await world.store.deliveries_of(merchant.id, answer.event_id, ALL)
            if each.endpoint_id == first.id
        ]
        assert (delivery.state, delivery.fence) == (State.DELIVERED, 1)


async def test_a_request_that_is_stored_in_part_and_then_refused_says_what_is_stored(
    world: World,
) -> None:
    """Refused as a whole it would be sent again as a whole, and its first half be there twice."""
    merchant = await world.merchant()
    store = InHalves(world.store, lambda: world.endpoint(merchant))
    flow = Flow(world, store=store)  # type: ignore[arg-type]  # as above

    def authorise(_table: RoutingTable) -> None:
        if store.answered:
            raise UnauthenticatedError("revoked")

    answers = await flow.publish(merchant, payment(1), payment(2), authorise=authorise)
    assert [type(answer) for answer in answers] == [Published, UnauthenticatedError]

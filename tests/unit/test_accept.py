"""Accept: what a publisher is told, and that it is true."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.errors import (
    IdempotencyConflictError,
    InProgressError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    OverloadedError,
    UnauthenticatedError,
    UnavailableError,
)
from payhooks.flow.publication import Published
from payhooks.flow.routing import RoutingTable
from payhooks.model.delivery import State
from payhooks.model.endpoint import EndpointStatus, Ordering
from payhooks.ports.accepting import Acceptance, Arrival, KeyBusy, Refused
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.ports.store import Store
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock

ALL = Window(limit=100)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


class Wrapped:
    """A store whose ``accept`` a test may interfere with; all else goes through."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: list[list[Arrival]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        self.calls.append(list(arrivals))
        return await self.interfere(arrivals, owner)

    async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
        return await self._store.accept(arrivals, owner=owner)


async def test_an_event_is_stored_and_its_delivery_sent_without_reading_it_back(
    world: World,
) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    await world.endpoint(merchant)
    [published] = await flow.publish(merchant, payment())
    assert isinstance(published, Published)
    assert published.deliveries == 1
    assert not published.repeated
    await flow.settled()
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, ALL)
    assert delivery.state is State.DELIVERED
    assert len(flow.transport.sent) == 1


async def test_the_same_key_gets_the_same_answer_and_makes_nothing(world: World) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    await world.endpoint(merchant)
    [first] = await flow.publish(merchant, payment(key="k"))
    [second] = await flow.publish(merchant, payment(key="k"))
    assert isinstance(first, Published)
    assert second == msgspec.structs.replace(first, repeated=True)
    assert len(await world.store.events(merchant.id, EventFilter(), ALL)) == 1


@pytest.mark.shows("F62")
async def test_the_same_key_with_other_content_is_a_conflict(world: World) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    await flow.publish(merchant, payment(1, key="k"))
    [second] = await flow.publish(merchant, payment(2, key="k"))
    assert isinstance(second, IdempotencyConflictError)


@pytest.mark.shows("F62")
async def test_another_merchant_may_use_the_same_key(world: World) -> None:
    flow = Flow(world)
    one, other = await world.merchant(), await world.merchant()
    [first] = await flow.publish(one, payment(key="k"))
    [second] = await flow.publish(other, payment(2, key="k"))
    assert isinstance(first, Published)
    assert isinstance(second, Published)
    assert first.event_id != second.event_id


@pytest.mark.shows("F60")
async def test_fifty_at_once_with_one_key_are_one_event(world: World) -> None:
    """A publisher's retries race each other when the network is slow."""
    flow = Flow(world)
    merchant = await world.merchant()
    await world.endpoint(merchant)
    answers = await asyncio.gather(*[flow.publish(merchant, payment(key="k")) for _ in range(50)])
    ids = {answer[0].event_id for answer in answers if isinstance(answer[0], Published)}
    assert len(ids) == 1
    assert sum(not answer[0].repeated for answer in answers) == 1  # type: ignore[union-attr]  # all are Published
    await flow.settled()
    assert len(flow.transport.sent) == 1


async def test_the_same_key_twice_in_one_request_is_one_event(world: World) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    first, second, third = await flow.publish(
        merchant, payment(key="k"), payment(key="k"), payment(2, key="k")
    )
    assert isinstance(first, Published)
    assert isinstance(second, Published)
    assert second.event_id == first.event_id
    assert isinstance(third, IdempotencyConflictError)


async def test_a_plan_from_an_older_table_is_made_again(world: World) -> None:
    """Whoever publishes after an endpoint was added is heard by it, at any process."""
    flow = Flow(world)
    merchant = await world.merchant()
    await flow.publish(merchant, payment(1))  # the table is cached now, without endpoints
    await world.endpoint(merchant)
    [published] = await flow.publish(merchant, payment(2))
    assert isinstance(published, Published)
    assert published.deliveries == 1


async def test_a_key_revoked_meanwhile_does_not_get_through(world: World) -> None:
    """The cached table still knows the key; the store's version says otherwise."""
    flow = Flow(world)
    merchant = await world.merchant()
    await flow.publish(merchant, payment(1))
    await world.endpoint(merchant)  # any change raises the version
    seen: list[int] = []

    def authorise(table: RoutingTable) -> None:
        seen.append(table.version)
        if len(seen) == 2:
            raise UnauthenticatedError("revoked")

    with pytest.raises(UnauthenticatedError):
        await flow.publish(merchant, payment(2), authorise=authorise)
    assert len(await world.store.events(merchant.id, EventFilter(), ALL)) == 1


async def test_an_unknown_outcome_is_asked_again_with_the_same_ids(world: World) -> None:
    """The reply was lost after the commit: a second event would be money told twice."""

    class LosesTheFirstReply(Wrapped):
        async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
            accepted = await super().interfere(arrivals, owner)
            if len(self.calls) == 1:
                raise OutcomeUnknownError("the connection broke")
            return accepted

    store = LosesTheFirstReply(world.store)
    flow = Flow(world, store=store)  # type: ignore[arg-type]  # what is not wrapped goes through
    merchant = await world.merchant()
    [published] = await flow.publish(merchant, payment(key="k"))
    assert isinstance(published, Published)
    assert not published.repeated
    assert [arrival.event.id for arrival in store.calls[0]] == [
        arrival.event.id for arrival in store.calls[1]
    ]
    assert len(await world.store.events(merchant.id, EventFilter(), ALL)) == 1


async def test_while_the_store_is_down_nothing_is_accepted_and_followers_hear_it(
    world: World,
) -> None:
    class Down(Wrapped):
        async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
            await asyncio.sleep(0)
            raise UnavailableError("down")

    flow = Flow(world, store=Down(world.store))  # type: ignore[arg-type]  # as above
    merchant = await world.merchant()
    answers = await asyncio.gather(
        flow.publish(merchant, payment(key="k")),
        flow.publish(merchant, payment(key="k")),
        return_exceptions=True,
    )
    assert isinstance(answers[0], UnavailableError)
    assert isinstance(answers[1], list)
    assert isinstance(answers[1][0], UnavailableError)


@pytest.mark.shows("F63")
async def test_a_key_that_another_process_holds_is_told_to_come_back(world: World) -> None:
    class Held(Wrapped):
        async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
            return [KeyBusy() for _ in arrivals]

    flow = Flow(world, store=Held(world.store))  # type: ignore[arg-type]  # as above
    merchant = await world.merchant()
    [answer] = await flow.publish(merchant, payment(key="k"))
    assert isinstance(answer, InProgressError)


async def test_what_the_store_cannot_hold_is_told_to_its_publisher_alone(world: World) -> None:
    """A batch holds the requests of many; those beside it are stored."""

    class Particular(Wrapped):
        async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
            accepted = await super().interfere(arrivals[1:], owner)
            return [Refused(InvalidError.at("", "unstorable", "No.")), *accepted]

    flow = Flow(world, store=Particular(world.store))  # type: ignore[arg-type]  # as above
    merchant = await world.merchant()
    refused, published = await flow.publish(merchant, payment(1), payment(2))
    assert isinstance(refused, InvalidError)
    assert isinstance(published, Published)


async def test_after_a_failure_the_key_is_free_again(world: World) -> None:
    class DownOnce(Wrapped):
        async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
            if len(self.calls) == 1:
                raise UnavailableError("down")
            return await super().interfere(arrivals, owner)

    flow = Flow(world, store=DownOnce(world.store))  # type: ignore[arg-type]  # as above
    merchant = await world.merchant()
    with pytest.raises(UnavailableError):
        await flow.publish(merchant, payment(key="k"))
    [published] = await flow.publish(merchant, payment(key="k"))
    assert isinstance(published, Published)
    # Every request is refused: somebody must be told, though nothing else goes wrong.
    assert "accept_refused" in {kind for kind, _ in flow.quiet.alarms}


@pytest.mark.shows("F72")
async def test_a_large_request_that_is_refused_half_way_says_what_is_stored(world: World) -> None:
    """Refused as a whole it would be sent again as a whole, and its first half be there twice."""

    class FullLater(Wrapped):
        async def interfere(self, arrivals: Sequence[Arrival], owner: int) -> list[Acceptance]:
            if len(self.calls) > 1:
                raise OverloadedError("full")
            return await super().interfere(arrivals, owner)

    flow = Flow(world, store=FullLater(world.store))  # type: ignore[arg-type]  # as above
    merchant = await world.merchant()
    answers = await flow.publish(merchant, *[payment(number) for number in range(250)])
    assert [isinstance(answer, Published) for answer in answers] == [True] * 100 + [False] * 150
    assert all(isinstance(answer, OverloadedError) for answer in answers[100:])


async def test_an_unknown_merchant_is_not_found(world: World) -> None:
    flow = Flow(world)
    with pytest.raises(NotFoundError):
        await flow.publish(world.new_merchant(), payment())


async def test_a_merchant_is_found_by_its_reference(world: World) -> None:
    flow = Flow(world)
    await world.merchant(reference="shop-1")
    [published] = await flow.acceptor.publish("shop-1", [payment()], authorise=lambda _table: None)
    assert isinstance(published, Published)


@pytest.mark.parametrize(
    ("members", "state"),
    [
        pytest.param({"status": EndpointStatus.PAUSED}, State.SCHEDULED, id="paused waits"),
        pytest.param({"ordering": Ordering.OBJECT}, State.BLOCKED, id="ordered is promoted later"),
        pytest.param({"rate_limit_per_s": 5.0}, State.SCHEDULED, id="rate limited is claimed"),
    ],
)
async def test_what_must_not_be_handed_off_stays_in_the_store(
    world: World, members: dict[str, object], state: State
) -> None:
    flow = Flow(world)
    merchant = await world.merchant()
    await world.endpoint(merchant, **members)
    [published] = await flow.publish(merchant, payment())
    assert isinstance(published, Published)
    await flow.settled()
    assert flow.transport.sent == []
    [delivery] = await world.store.deliveries(merchant.id, DeliveryFilter(), ALL)
    assert delivery.state is state
    assert flow.dispatcher.hinted.is_set()


async def test_a_large_request_keeps_its_list_order(world: World) -> None:
    """Inside a batch, list order is accept order, also where it takes several transactions."""
    flow = Flow(world)
    merchant = await world.merchant()
    await world.endpoint(merchant, ordering=Ordering.STRICT)
    answers = await flow.publish(merchant, *[payment(number) for number in range(250)])
    ids = [answer.event_id for answer in answers if isinstance(answer, Published)]
    assert len(ids) == 250
    assert ids == sorted(ids)
    deliveries = []
    for id_ in ids:
        deliveries += await world.store.deliveries_of(merchant.id, id_, ALL)
    positions = [delivery.position for delivery in deliveries]
    assert all(position is not None for position in positions)
    assert positions == sorted(positions, key=lambda position: position or 0)

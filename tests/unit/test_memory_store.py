"""What only the memory store has: an observer of every move, and the same run twice."""

import pytest
from tests.support.stores import OpenedStore
from tests.support.world import LEASE_S, World

from payhooks.ids import EndpointId, EventId, MerchantId, delivery_id
from payhooks.model.delivery import IllegalTransitionError, State, Trigger
from payhooks.model.endpoint import EndpointStatus
from payhooks.storage.memory import DeliveryMoved, EventAccepted, MemoryStore
from payhooks.storage.memory.queue import Queue
from payhooks.storage.memory.rows import QueueRow
from payhooks.testing import ManualClock

OBJECT = b"o" * 16


class Observed:
    """What the store told, in order."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, object]] = []
        clock = ManualClock()
        store = MemoryStore(clock=clock, observer=self._hear)
        self.world = World(OpenedStore(store=store, clock=clock))

    def _hear(self, kind: str, fact: object) -> None:
        self.facts.append((kind, fact))

    def moves(self) -> list[tuple[State | None, Trigger | None, State]]:
        """Return the moves told so far."""
        moved = [fact for _, fact in self.facts if isinstance(fact, DeliveryMoved)]
        return [(one.old, one.trigger, one.new) for one in moved]


async def test_the_observer_hears_of_every_move_with_its_trigger() -> None:
    """The simulator judges each of them by the state table, so none may be silent."""
    observed = Observed()
    world = observed.world
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, order_key=OBJECT)
    await world.lease_one()
    await world.advance(LEASE_S + 1)
    await world.store.expire(limit=10)
    await world.settle(world.failed(await world.lease_one(), delay_s=0))
    await world.settle(world.released(await world.lease_one()))
    await world.deliver(await world.lease_one())
    await world.requeue(world.again(event, endpoint, OBJECT))
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    await world.store.cancel_orphans(limit=10)
    assert observed.moves() == [
        (None, None, State.BLOCKED),
        (State.BLOCKED, Trigger.PROMOTE, State.SCHEDULED),
        (State.SCHEDULED, Trigger.LEASE, State.LEASED),
        (State.LEASED, Trigger.EXPIRE, State.SCHEDULED),
        (State.SCHEDULED, Trigger.LEASE, State.LEASED),
        (State.LEASED, Trigger.RETRY, State.SCHEDULED),
        (State.SCHEDULED, Trigger.LEASE, State.LEASED),
        (State.LEASED, Trigger.RELEASE, State.SCHEDULED),
        (State.SCHEDULED, Trigger.LEASE, State.LEASED),
        (State.LEASED, Trigger.SUCCEED, State.DELIVERED),
        (State.DELIVERED, Trigger.REPLAY_IN_ORDER, State.BLOCKED),
        (State.BLOCKED, Trigger.CANCEL, State.CANCELLED),
    ]


async def test_the_observer_hears_of_an_event_before_its_deliveries() -> None:
    observed = Observed()
    world = observed.world
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, hand_off=True, owner=7)
    id_ = delivery_id(event.id, endpoint.number)
    assert observed.facts == [
        ("event_accepted", EventAccepted(event=event, deliveries=(id_,), owner=7)),
        (
            "delivery_moved",
            DeliveryMoved(
                id=id_,
                endpoint_id=endpoint.id,
                old=None,
                new=State.LEASED,
                trigger=None,
                fence=1,
            ),
        ),
    ]


async def test_the_observer_sees_the_store_as_the_transaction_left_it() -> None:
    """Half a batch would look like a broken invariant."""
    seen: list[int] = []
    clock = ManualClock()

    def look(kind: str, fact: object) -> None:
        seen.append(len(tables.events))

    store = MemoryStore(clock=clock, observer=look)
    tables = store._tables  # noqa: SLF001 - what the observer may ask is what is tested
    world = World(OpenedStore(store=store, clock=clock))
    merchant = await world.merchant()
    arrivals = [await world.arrival(world.event(merchant)) for _ in range(3)]
    await world.accept(*arrivals)
    assert seen == [3, 3, 3]


async def test_what_is_refused_or_repeated_is_not_told() -> None:
    observed = Observed()
    world = observed.world
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await world.arrival(world.event(merchant), endpoint, key=b"k" * 16)
    again = await world.arrival(world.event(merchant), endpoint, key=b"k" * 16)
    await world.accept(first)
    told = len(observed.facts)
    stale = await world.arrival(world.event(merchant), endpoint)
    await world.edit(endpoint, label="Counter")
    await world.accept(first, stale)
    await world.accept(again)
    assert len(observed.facts) == told


async def test_the_same_calls_make_the_same_run() -> None:
    """A seed must replay a run, or a found bug is lost."""

    async def run() -> list[tuple[str, object]]:
        observed = Observed()
        world = observed.world
        merchant = await world.merchant()
        endpoints = [await world.endpoint(merchant) for _ in range(5)]
        for number in range(10):
            order_key = OBJECT if number % 2 else None
            await world.publish(merchant, *endpoints, order_key=order_key)
        for _ in range(5):
            leased = await world.lease(per_lane_max=2)
            await world.settle(*(world.failed(one, delay_s=1) for one in leased))
            await world.advance(1)
        return observed.facts

    assert await run() == await run()


def test_a_move_that_the_table_does_not_have_stops_the_store() -> None:
    """A bug here must not become a wrong state that everything above believes."""
    queue = Queue()
    row = QueueRow(
        id=delivery_id(EventId(bytes(16)), 1),
        merchant_id=MerchantId(b"m" * 16),
        endpoint_id=EndpointId(b"e" * 16),
        event_type="a",
        state=State.SCHEDULED,
        due_at=0,
        position=queue.next_position(),
        order_key=None,
        dialect="standard",
        dialect_version=1,
    )
    queue.put(row)
    with pytest.raises(IllegalTransitionError):
        queue.move(row, Trigger.SUCCEED)
    assert queue.rows == {row.id: row}

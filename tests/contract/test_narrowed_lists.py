"""Lists narrowed to types: read type by type, which nobody may notice but by the clock."""

from tests.support.world import World

from payhooks.ids import EventId, event_id_of
from payhooks.model.delivery import State
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter


async def test_a_pattern_finds_events_of_all_its_types_once_and_in_order(world: World) -> None:
    """Types are read one by one: a page must still be the newest of all, whatever waits."""
    merchant = await world.merchant()
    one, two = [await world.endpoint(merchant) for _ in range(2)]
    kinds = (("a.x", (one, two)), ("a.y", (two,)), ("a.z", ()), ("b.x", (one,)))
    made = [await world.publish(merchant, *wanted, type=type_) for type_, wanted in kinds * 2]
    await world.deliver(*(await world.lease()))
    made += [await world.publish(merchant, *wanted, type=type_) for type_, wanted in kinds * 2]
    # Known to both tables now, and of two endpoints.
    await world.requeue(world.again(made[0], one))

    async def listed(*types: str, status: str | None = None) -> list[EventId]:
        found: list[EventId] = []
        for _ in range(10):
            window = Window(limit=3, after=found[-1] if found else None)
            filter_ = EventFilter(types=types, status=status)
            page = await world.store.events(merchant.id, filter_, window)
            found += [got.event.id for got in page]
            if len(page) < window.limit:
                break
        return found

    def newest(*types: str) -> list[EventId]:
        return [event.id for event in reversed(made) if event.type in types]

    assert await listed("a.*") == newest("a.x", "a.y", "a.z")
    assert await listed("a.x", "b.*") == newest("a.x", "b.x")
    assert await listed("c.*") == []
    filter_ = DeliveryFilter(event_types=("a.*",), endpoint_id=two.id)
    sent = await world.store.deliveries(merchant.id, filter_, Window(limit=20))
    assert [event_id_of(got.id) for got in sent] == newest("a.x", "a.y")
    assert await listed("a.*", status="unsubscribed") == newest("a.z")
    assert await listed("a.*", status="delivered") == [made[at].id for at in (5, 4, 1)]
    waiting = {made[at].id for at in (0, 8, 9, 12, 13)}
    assert await listed("a.*", status="pending") == [
        id_ for id_ in newest("a.x", "a.y") if id_ in waiting
    ]


async def test_more_types_than_are_read_one_by_one_are_found_all_the_same(world: World) -> None:
    """A publisher that makes up a type per event has slow lists, not wrong ones."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    types = [f"made.up_{number:03}" for number in range(205)]
    made = [await world.publish(merchant, endpoint, type=type_) for type_ in types]
    for _ in range(len(types)):
        leased = await world.lease()
        await world.deliver(*leased)
        if not leased:
            break
    missed = [await world.publish(merchant, type=type_) for type_ in types[:2]]

    filter_ = EventFilter(types=("made.*",))
    events = await world.store.events(merchant.id, filter_, Window(limit=300))
    assert [got.event.id for got in events] == [one.id for one in reversed(made + missed)]
    count = world.store.count_deliveries
    delivered = DeliveryFilter(event_types=("made.*",), states=(State.DELIVERED,))
    assert await count(merchant.id, delivered, at_most=300) == 205
    for endpoint_id in (None, endpoint.id):
        many = DeliveryFilter(event_types=tuple(types), endpoint_id=endpoint_id)
        assert await count(merchant.id, many, at_most=300) == 205

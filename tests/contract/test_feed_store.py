"""What every store must do when an endpoint is pulled from: its feed."""

from tests.support.world import World

from payhooks.ids import EndpointId, EventId
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter

PAGE = Window(limit=100)


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def test_the_feed_numbers_deliveries_without_a_gap(world: World) -> None:
    """A puller goes on after the last number it has, and misses nothing."""
    merchant, endpoint = await _lane(world)
    other = await world.endpoint(merchant)
    events = [await world.publish(merchant, endpoint, other) for _ in range(3)]

    async def feed(after: int) -> list[tuple[int, EventId]]:
        entries = await world.store.feed(merchant.id, endpoint.id, after=after, limit=2)
        return [(one.sequence, one.event.id) for one in entries]

    assert await feed(0) == [(1, events[0].id), (2, events[1].id)]
    assert await feed(2) == [(3, events[2].id)]
    assert await feed(3) == []
    await world.deliver(*await world.lease())
    fresh = await world.publish(merchant, endpoint)
    assert await feed(3) == [(4, fresh.id)]
    # The same question again, the same answer.
    assert await feed(0) == [(1, events[0].id), (2, events[1].id)]


async def test_the_feed_says_of_an_event_that_its_payload_was_removed(world: World) -> None:
    """Else who pulls would take the null that is left for what was published."""
    merchant, endpoint = await _lane(world)
    events = [await world.publish(merchant, endpoint) for _ in range(2)]
    await world.store.expunge(merchant.id, events[0].id, world.audit(merchant.id))
    entries = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    said = [(one.event.id, one.event.data == b"null", one.expunged) for one in entries]
    assert said == [(events[0].id, True, True), (events[1].id, False, False)]


async def test_the_feed_finds_what_was_committed_late(world: World) -> None:
    """Two processes accept; the one whose clock is behind makes the lower id later."""
    merchant, endpoint = await _lane(world)
    early = world.event(merchant)
    await world.advance(20)
    late = await world.publish(merchant, endpoint)
    [first] = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    await world.accept(await world.arrival(early, endpoint))
    [second] = await world.store.feed(merchant.id, endpoint.id, after=1, limit=10)
    assert (first.event.id, second.event.id) == (late.id, early.id)
    assert second.sequence == 2
    # Lists go by id all the same, or a page would begin where another did not end.
    listed = await world.store.deliveries(merchant.id, DeliveryFilter(), PAGE)
    assert [one.id for one in listed] == [first.delivery.id, second.delivery.id]


async def test_a_delivery_made_long_after_its_event_is_in_the_feed(world: World) -> None:
    """Who pulls must hear of what a replay of missed events made, though its id is old."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    other = await world.endpoint(merchant)
    missed = [await world.publish(merchant) for _ in range(2)]
    await world.advance(3_600)
    heard = await world.publish(merchant, endpoint)

    async def feed() -> list[tuple[int, EventId]]:
        entries = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
        return [(entry.sequence, entry.event.id) for entry in entries]

    assert await feed() == [(1, heard.id)]
    again = [world.again(one, endpoint) for one in missed]
    # To a second endpoint too, whose feed nobody has read.
    assert await world.requeue(*again, world.again(missed[0], other)) == 3
    fresh = await world.publish(merchant, endpoint)
    numbered = [(1, heard.id), (2, missed[0].id), (3, missed[1].id), (4, fresh.id)]
    assert await feed() == numbered
    # Sent once more: it has its number already.
    await world.fail(*await world.lease())
    assert await world.requeue(*again) == 2
    assert await feed() == numbered
    entries = await world.store.feed(merchant.id, other.id, after=0, limit=10)
    assert [entry.event.id for entry in entries] == [missed[0].id]


async def test_the_feed_shows_how_each_delivery_stands(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint, data=b'{"n": 1.0}')
    [entry] = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    assert entry.delivery == await world.delivery(event, endpoint)
    assert entry.event == event
    await world.deliver(await world.lease_one())
    [entry] = await world.store.feed(merchant.id, endpoint.id, after=0, limit=10)
    assert entry.delivery.state is State.DELIVERED
    unknown = EndpointId(world.ids.new())
    assert await world.store.feed(merchant.id, unknown, after=0, limit=10) == []

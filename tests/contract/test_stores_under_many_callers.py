"""What every port promises when many call at once: nothing twice, nothing lost."""

import asyncio
from collections import Counter

import pytest
from tests.support.world import World, events_of

from payhooks.ids import DeliveryId
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import Accepted, KeyBusy, Repeated
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter

OBJECT = b"o" * 16
KEY = b"k" * 16
LOOKS_MAX = 200


async def _drain(world: World, owner: int) -> list[DeliveryId]:
    """Lease and deliver until nothing is due for this owner; return what was leased."""
    leased: list[DeliveryId] = []
    for _ in range(LOOKS_MAX):
        found = await world.look(owner=owner, per_lane_max=3, lanes_max=3)
        await world.deliver(*found.leased)
        leased += [one.id for one in found.leased]
        if not found.leased and found.look_again_s is None:
            break
    return leased


@pytest.mark.shows("F60")
async def test_one_key_at_many_doors_is_one_event(world: World) -> None:
    """A publisher with an eager retry hits several connections at once."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    arrivals = [
        await world.arrival(world.event(merchant), endpoint, key=KEY, hand_off=True)
        for _ in range(12)
    ]
    answers = await asyncio.gather(
        *(world.accept(arrival, owner=number) for number, arrival in enumerate(arrivals))
    )
    told = [answer for [answer] in answers]
    [winner] = [
        arrival.event.id
        for arrival, answer in zip(arrivals, told, strict=True)
        if isinstance(answer, Accepted)
    ]
    others = [answer for answer in told if not isinstance(answer, Accepted)]
    assert all(isinstance(answer, Repeated | KeyBusy) for answer in others)
    assert {answer.event_id for answer in others if isinstance(answer, Repeated)} <= {winner}
    events = await world.store.events(merchant.id, EventFilter(), Window(limit=20))
    assert [one.event.id for one in events] == [winner]


async def test_batches_that_share_keys_in_opposite_orders_all_end(world: World) -> None:
    """Unsorted inserts of the same keys deadlock."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    keys = [bytes([number]) * 16 for number in range(20)]
    batches = [
        [
            await world.arrival(world.event(merchant), endpoint, key=key)
            for key in (keys if number % 2 else keys[::-1])
        ]
        for number in range(6)
    ]
    answers = await asyncio.gather(*(world.accept(*batch) for batch in batches))
    accepted = [one for batch in answers for one in batch if isinstance(one, Accepted)]
    assert len(accepted) == len(keys)
    assert len(await world.lease(per_lane_max=100)) == len(keys)


async def test_many_workers_share_what_is_due_and_send_nothing_twice(world: World) -> None:
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(7)]
    for _ in range(10):
        await world.publish(merchant, *endpoints)
    drained = await asyncio.gather(*(_drain(world, owner) for owner in range(4)))
    # One who found everything locked by others stopped early; the last look gets the rest.
    drained.append(await _drain(world, owner=99))
    leased = Counter(id_ for part in drained for id_ in part)
    assert set(leased.values()) == {1}
    assert leased.total() == 70


async def _publish_ordered(
    world: World, merchant: Merchant, endpoint: Endpoint, count: int
) -> list[bytes]:
    events = [await world.publish(merchant, endpoint, order_key=OBJECT) for _ in range(count)]
    return [event.id for event in events]


@pytest.mark.shows("F64")
async def test_order_holds_while_it_is_published_and_sent_at_once(world: World) -> None:
    """No moment at which the next of an object is overtaken, or forgotten."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    sent: list[bytes] = []

    async def work(owner: int) -> None:
        for _ in range(LOOKS_MAX):
            found = await world.look(owner=owner)
            assert len(found.leased) <= 1
            sent.extend(events_of(found.leased))
            await world.deliver(*found.leased)
            if len(sent) == 20:
                return
            await asyncio.sleep(0)

    published, _, _ = await asyncio.gather(
        _publish_ordered(world, merchant, endpoint, 20), work(1), work(2)
    )
    for _ in range(LOOKS_MAX):
        rest = await world.lease()
        if not rest:
            break
        sent.extend(events_of(rest))
        await world.deliver(*rest)
    assert sent == published


async def test_nothing_is_lost_while_lanes_are_paused_and_resumed(world: World) -> None:
    """Pausing races with hand-off, leases and retries; each delivery still ends once."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)

    async def publish() -> None:
        for _ in range(20):
            # The routing may change in between: then it is planned anew, as flow does.
            arrival = await world.arrival(world.event(merchant), endpoint)
            for _ in range(LOOKS_MAX):
                [answer] = await world.accept(arrival)
                if isinstance(answer, Accepted):
                    break
                arrival = await world.arrival(arrival.event, endpoint)

    async def toggle() -> None:
        edited = endpoint
        for _ in range(6):
            edited = await world.edit(edited, status=EndpointStatus.PAUSED)
            edited = await world.edit(edited, status=EndpointStatus.ACTIVE)

    await asyncio.gather(publish(), toggle(), _drain(world, 1), _drain(world, 2))
    await _drain(world, 3)
    states = DeliveryFilter(states=(State.DELIVERED,))
    assert await world.store.count_deliveries(merchant.id, states, at_most=100) == 20
    assert (await world.store.mend_lanes(limit=10, after=None)).drifted == 0


async def test_audit_entries_of_many_at_once_are_one_chain(world: World) -> None:
    merchant = await world.merchant()
    await asyncio.gather(*(world.endpoint(merchant) for _ in range(10)))
    entries = await world.store.audit(merchant.id, after=0, limit=100)
    assert [entry.number for entry in entries] == list(range(1, 12))
    endpoints = await world.store.endpoints(merchant.id, Window(limit=100))
    assert sorted(one.number for one in endpoints) == list(range(1, 11))


async def test_an_edit_made_twice_at_once_is_made_once(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    answers = await asyncio.gather(
        *(world.edit(endpoint, label=f"till {number}") for number in range(5)),
        return_exceptions=True,
    )
    [winner] = [answer for answer in answers if isinstance(answer, Endpoint)]
    assert await world.store.endpoint(merchant.id, endpoint.id) == winner


async def test_feeds_read_by_many_number_nothing_twice(world: World) -> None:
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    for _ in range(10):
        await world.publish(merchant, endpoint)
    feeds = await asyncio.gather(
        *(world.store.feed(merchant.id, endpoint.id, after=0, limit=100) for _ in range(5))
    )
    [first, *others] = [[(one.sequence, one.event.id) for one in feed] for feed in feeds]
    assert [sequence for sequence, _ in first] == list(range(1, 11))
    assert all(other == first for other in others)

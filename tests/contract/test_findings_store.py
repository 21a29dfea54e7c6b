"""What every store must do with what was found of an event when it was accepted."""

import msgspec
from tests.support.world import World

from payhooks.ids import EventId
from payhooks.model.event import Event, Finding
from payhooks.model.merchant import Merchant
from payhooks.ports.accepting import Accepted, Arrival, Repeated
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter

UNKNOWN = Finding(pointer="/type", code="unknown_event_type", detail="No such event type.")
REFUSED = Finding(pointer="/data", code="not_carried", detail="treezor cannot carry “é”.")
KEY = b"k" * 16


async def _found(
    world: World, event: Event, *findings: Finding, key: bytes | None = None
) -> Arrival:
    """Return an event at the door, of which so much was found."""
    return msgspec.structs.replace(await world.arrival(event, key=key), findings=findings)


async def _kept(world: World, merchant: Merchant, event_id: EventId) -> tuple[Finding, ...]:
    """Return the findings of an event, which its page and the list must agree on."""
    stored = await world.store.event(merchant.id, event_id)
    assert stored is not None
    listed = await world.store.events(merchant.id, EventFilter(), Window(limit=100))
    assert stored in listed
    return stored.findings


async def test_findings_stay_with_their_event(world: World) -> None:
    """Who did not read the answer finds them a week later, when a merchant asks."""
    merchant = await world.merchant()
    events = [world.event(merchant) for _ in range(3)]
    arrivals = [
        await _found(world, events[0]),
        await _found(world, events[1], UNKNOWN, REFUSED),
        await _found(world, events[2], REFUSED),
    ]

    await world.accept(*arrivals)

    assert await _kept(world, merchant, events[0].id) == ()
    assert await _kept(world, merchant, events[1].id) == (UNKNOWN, REFUSED)
    assert await _kept(world, merchant, events[2].id) == (REFUSED,)


async def test_a_repeated_key_changes_nothing_of_what_was_found(world: World) -> None:
    """Same key, same event: the catalogue may have changed, the stored event has not."""
    merchant = await world.merchant()
    first = world.event(merchant)
    await world.accept(await _found(world, first, UNKNOWN, key=KEY))

    [again] = await world.accept(await _found(world, world.event(merchant), REFUSED, key=KEY))

    assert isinstance(again, Repeated)
    assert await _kept(world, merchant, first.id) == (UNKNOWN,)


async def test_a_batch_sent_again_after_expunging_brings_no_finding_back(world: World) -> None:
    """Its reply was lost; meanwhile a merchant's customer asked to be forgotten."""
    merchant = await world.merchant()
    event = world.event(merchant)
    arrival = await _found(world, event, REFUSED)
    await world.accept(arrival)

    await world.store.expunge(merchant.id, event.id, world.audit(merchant.id))
    [again] = await world.accept(arrival)

    assert isinstance(again, Accepted)
    assert await _kept(world, merchant, event.id) == ()

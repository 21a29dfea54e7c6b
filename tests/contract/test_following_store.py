"""What ReadStore tells those who follow objects: what came since, and for whom to look."""

from tests.support.world import World

from payhooks.ids import EventId
from payhooks.ports.controlling import Window
from payhooks.ports.reading import Subject


async def test_what_events_are_about_is_told_upwards(world: World) -> None:
    """Whoever follows objects reads on from where it stood, and meets each event once."""
    merchant, other = await world.merchant(), await world.merchant()
    first = await world.publish(merchant, object_type="payment", object_id="p1")
    await world.publish(merchant)
    await world.publish(other, object_type="payment", object_id="p1")
    last = await world.publish(merchant, object_type="refund", object_id="r1")
    subjects = world.store.subjects

    found = await subjects(merchant.id, after=EventId(bytes(16)), limit=10)

    assert found == [
        Subject(
            event_id=event.id,
            family=event.family,
            type=event.type,
            object_type=event.object_type or "",
            object_id=event.object_id or "",
        )
        for event in (first, last)
    ]
    assert await subjects(merchant.id, after=EventId(bytes(16)), limit=1) == found[:1]
    assert await subjects(merchant.id, after=first.id, limit=10) == found[1:]
    assert await subjects(merchant.id, after=last.id, limit=10) == []


async def test_merchants_are_found_by_a_family_that_they_name(world: World) -> None:
    """Naming none means all of them, and is not the same as wanting this one."""
    await world.merchant(families=("fol", "foloosi-2"))
    await world.merchant(families=())
    first = await world.merchant(families=("foloosi",))
    last = await world.merchant(families=("owlpay", "foloosi"))
    using = world.store.merchants_using

    found = await using("foloosi", Window(limit=10))

    assert found == [last, first]
    assert await using("foloosi", Window(limit=1)) == [last]
    assert await using("foloosi", Window(limit=10, after=last.id)) == [first]
    assert await using("treezor", Window(limit=10)) == []

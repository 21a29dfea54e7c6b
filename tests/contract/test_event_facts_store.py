"""What ReadStore promises of the facts that replays and reconcile go by."""

from functools import partial

from tests.support.world import World

from payhooks.ids import EventId, delivery_id
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State

LAST = EventId(b"\xff" * 16)


async def test_event_facts_tell_what_was_planned_and_what_there_is(world: World) -> None:
    """The two sides of reconcile, from different tables."""
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(2)]
    ordered = await world.publish(merchant, object_type="payment", object_id="p1")
    sent = await world.publish(merchant, *endpoints, type="payment.paid")
    [routing] = await world.store.routing([merchant.id])
    await world.deliver((await world.lease())[0])
    last = await world.publish(merchant)
    facts = partial(world.store.event_facts, merchant.id, deliveries_max=10)
    [first] = (await facts(after=None, before=sent.id, limit=10)).events
    [second] = (await facts(after=ordered.id, before=last.id, limit=10)).events
    assert (first.id, first.fan_out, first.deliveries) == (ordered.id, 0, ())
    assert first.order_of == "payment\x1fp1"
    assert (second.id, second.type, second.fan_out) == (sent.id, "payment.paid", 2)
    assert (second.routing_version, second.order_of) == (routing.version, None)
    assert [one.id for one in second.deliveries] == [
        delivery_id(sent.id, endpoint.number) for endpoint in endpoints
    ]
    assert sorted(one.state for one in second.deliveries) == [State.DELIVERED, State.LEASED]
    page = await facts(after=None, before=LAST, limit=2)
    assert [one.id for one in page.events] == [ordered.id, sent.id]


async def test_event_facts_tell_why_a_delivery_failed_last(world: World) -> None:
    """A replay of what failed with one reason goes by it."""
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(3)]
    await world.publish(merchant, *endpoints)
    gone, again, good = await world.lease()
    await world.settle(world.given_up(gone), world.failed(again, delay_s=60))
    await world.deliver(good)
    [event] = (
        await world.store.event_facts(
            merchant.id, after=None, before=LAST, limit=10, deliveries_max=10
        )
    ).events
    assert {one.id: (one.state, one.reason) for one in event.deliveries} == {
        gone.id: (State.FAILED, Reason.HTTP_4XX),
        again.id: (State.SCHEDULED, Reason.HTTP_5XX),
        good.id: (State.DELIVERED, None),
    }


async def test_a_page_of_event_facts_has_as_many_deliveries_as_are_asked_for(world: World) -> None:
    """An event may go to ten thousand endpoints: a page of hundreds such would take seconds."""
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(3)]
    wide = [await world.publish(merchant, *endpoints) for _ in range(3)]
    narrow = [await world.publish(merchant) for _ in range(2)]
    facts = partial(world.store.event_facts, merchant.id, before=LAST)
    pages = []
    after = None
    for _ in range(3):
        page = await facts(after=after, limit=10, deliveries_max=5)
        assert all(len(event.deliveries) == event.fan_out for event in page.events)
        pages.append(([event.id for event in page.events], page.ended))
        after = page.events[-1].id
    # One has more than half of what is asked for; one alone comes whatever it has.
    assert pages == [
        ([wide[0].id], False),
        ([wide[1].id], False),
        ([wide[2].id, *(event.id for event in narrow)], True),
    ]
    assert len((await facts(after=None, limit=10, deliveries_max=1)).events) == 1
    assert [event.id for event in (await facts(after=None, limit=10, deliveries_max=6)).events] == [
        event.id for event in wide[:2]
    ]


async def test_a_page_of_event_facts_says_whether_it_is_the_last(world: World) -> None:
    """A short one is not: reconcile would call what it has not read equal."""
    merchant = await world.merchant()
    facts = partial(world.store.event_facts, merchant.id, after=None, deliveries_max=10)
    nothing = await facts(before=LAST, limit=2)
    assert (list(nothing.events), nothing.ended) == ([], True)
    events = [await world.publish(merchant) for _ in range(3)]
    for limit, before, ended in (
        (2, b"\xff" * 16, False),
        (4, b"\xff" * 16, True),
        (4, events[2].id, True),
    ):
        page = await facts(before=EventId(before), limit=limit)
        assert page.ended is ended

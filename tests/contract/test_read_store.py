"""What ReadStore promises: lists that narrow, pages that join, counts that end."""

import pytest
from tests.support.world import World, attempts_of

from payhooks.ids import DeliveryId, EventId, delivery_id
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter, Subscription

OBJECT = b"o" * 16
PAGE = Window(limit=100)


async def _lane(world: World) -> tuple[Merchant, Endpoint]:
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def _events(world: World, merchant: Merchant, filter_: EventFilter) -> list[EventId]:
    return [one.event.id for one in await world.store.events(merchant.id, filter_, PAGE)]


async def _found(world: World, merchant: Merchant, filter_: DeliveryFilter) -> list[DeliveryId]:
    found = [one.id for one in await world.store.deliveries(merchant.id, filter_, PAGE)]
    count = await world.store.count_deliveries(merchant.id, filter_, at_most=1_000)
    assert count == len(found)
    return found


async def _ended(world: World, merchant: Merchant, *ends: tuple[Endpoint, str]) -> Event:
    """Return an event whose deliveries stand so."""
    event = await world.publish(merchant, *(endpoint for endpoint, _ in ends))
    end_of = {endpoint.id: end for endpoint, end in ends}
    for leased in await world.lease():
        match end_of[leased.endpoint_id]:
            case "delivered":
                await world.deliver(leased)
            case "failed":
                await world.fail(leased)
            case _:
                await world.settle(world.failed(leased, delay_s=3_600))
                if end_of[leased.endpoint_id] == "cancelled":
                    await world.store.cancel(merchant.id, leased.id, world.audit(merchant.id))
    return event


async def test_events_are_listed_by_what_became_of_all_their_deliveries(world: World) -> None:
    """Each event under one status, once, however many of its deliveries stand so."""
    merchant, one = await _lane(world)
    two = await world.endpoint(merchant)
    delivered, failed, cancelled, pending = "delivered", "failed", "cancelled", "pending"
    ends = [
        (delivered, delivered),
        (delivered, failed),
        (failed, failed),
        (cancelled, failed),
        (failed, pending),
        (cancelled, cancelled),
        (cancelled, delivered),
        (pending, pending),
        (delivered, pending),
    ]
    made = [await _ended(world, merchant, (one, first), (two, last)) for first, last in ends]
    missed = await world.publish(merchant)
    made_late = await world.publish(merchant)
    await world.requeue(world.again(made_late, one))
    await world.deliver(await world.lease_one())
    expected = {
        delivered: [made[0], made[6], made_late],
        failed: made[1:4],
        cancelled: [made[5]],
        pending: [made[4], *made[7:]],
        "unsubscribed": [missed],
    }
    for status, events in expected.items():
        filter_ = EventFilter(status=status, types=("payment.*",))
        found = await world.store.events(merchant.id, filter_, PAGE)
        newest_first = [event.id for event in reversed(events)]
        assert [(got.event.id, got.status) for got in found] == [
            (id_, status) for id_ in newest_first
        ]
        after = Window(limit=1, after=newest_first[0])
        rest = await world.store.events(merchant.id, filter_, after)
        assert [got.event.id for got in rest] == newest_first[1:2]


async def test_an_event_status_is_that_of_its_deliveries(world: World) -> None:
    merchant = await world.merchant()
    one, two = [await world.endpoint(merchant) for _ in range(2)]

    async def status(event: Event) -> str:
        stored = await world.store.event(merchant.id, event.id)
        assert stored is not None
        return stored.status

    event = await world.publish(merchant, one, two)
    assert await status(event) == "pending"
    first, second = await world.lease()
    assert await status(event) == "pending"
    await world.deliver(first)
    assert await status(event) == "pending"
    await world.fail(second)
    assert await status(event) == "failed"
    by_id = {one.id: one, two.id: two}
    await world.requeue(world.again(event, by_id[second.endpoint_id]))
    assert await status(event) == "pending"
    await world.deliver(await world.lease_one())
    assert await status(event) == "delivered"


async def test_an_event_whose_deliveries_were_all_called_off_is_cancelled(world: World) -> None:
    merchant, endpoint = await _lane(world)
    other = await world.endpoint(merchant)
    event = await world.publish(merchant, endpoint, other)
    for one in (endpoint, other):
        id_ = delivery_id(event.id, one.number)
        await world.store.cancel(merchant.id, id_, world.audit(merchant.id))
    stored = await world.store.event(merchant.id, event.id)
    assert stored is not None
    assert stored.status == "cancelled"
    assert stored.fan_out == 2


async def test_events_are_listed_newest_first_in_pages(world: World) -> None:
    merchant = await world.merchant()
    events = [await world.publish(merchant) for _ in range(5)]
    await world.publish(await world.merchant())
    first = await world.store.events(merchant.id, EventFilter(), Window(limit=3))
    after = Window(limit=3, after=first[-1].event.id)
    rest = await world.store.events(merchant.id, EventFilter(), after)
    assert [one.event for one in first + rest] == events[::-1]


async def test_events_are_narrowed_by_every_member_of_the_filter(world: World) -> None:
    merchant, endpoint = await _lane(world)
    paid = await world.publish(merchant, type="payment.paid", object_type="p", object_id="1")
    lost = await world.publish(merchant, endpoint, type="payment.lost")
    await world.advance(60)
    between = world.now()
    await world.advance(60)
    refunded = await world.publish(merchant, type="refund.made", object_type="r", object_id="1")
    told: list[tuple[EventFilter, list[Event]]] = [
        (EventFilter(types=("payment.*",)), [lost, paid]),
        (EventFilter(types=("payment.paid", "refund*")), [refunded, paid]),
        (EventFilter(types=("pay",)), []),
        (EventFilter(status="pending"), [lost]),
        (EventFilter(status="unsubscribed"), [refunded, paid]),
        (EventFilter(status="failed"), []),
        (EventFilter(object_id="1"), [refunded, paid]),
        (EventFilter(object_id="1", types=("refund.*",)), [refunded]),
        (EventFilter(created_gte=between), [refunded]),
        (EventFilter(created_lt=between), [lost, paid]),
        (EventFilter(created_gte=between, created_lt=between), []),
    ]
    for filter_, expected in told:
        found = await _events(world, merchant, filter_)
        assert found == [event.id for event in expected], filter_


async def test_another_merchants_event_is_not_found(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint)
    id_ = delivery_id(event.id, endpoint.number)
    stranger = await world.merchant()
    assert await world.store.event(stranger.id, event.id) is None
    assert await world.store.delivery(stranger.id, id_) is None
    assert await attempts_of(world.store, stranger.id, id_) == []
    assert await world.store.deliveries_of(stranger.id, event.id, PAGE) == []
    assert await world.store.feed(stranger.id, endpoint.id, after=0, limit=10) == []


async def test_deliveries_are_narrowed_by_every_member_of_the_filter(world: World) -> None:
    merchant, endpoint = await _lane(world)
    other = await world.endpoint(merchant)
    failed = await world.publish(merchant, endpoint, type="payment.paid")
    await world.fail(await world.lease_one())
    delivered = await world.publish(merchant, other, type="refund.made")
    await world.deliver(await world.lease_one())
    await world.advance(60)
    between = world.now()
    await world.advance(60)
    retried = await world.publish(merchant, other, type="payment.paid")
    await world.settle(world.failed(await world.lease_one(), delay_s=900))
    waiting = await world.publish(merchant, endpoint, type="payment.lost")
    await world.edit(endpoint, status=EndpointStatus.PAUSED)
    where = {failed.id: endpoint, delivered.id: other, retried.id: other, waiting.id: endpoint}
    told: list[tuple[DeliveryFilter, list[Event]]] = [
        (DeliveryFilter(), [waiting, retried, delivered, failed]),
        (DeliveryFilter(states=(State.FAILED,)), [failed]),
        (DeliveryFilter(states=(State.DELIVERED, State.SCHEDULED)), [waiting, retried, delivered]),
        (DeliveryFilter(states=(State.LEASED,)), []),
        (DeliveryFilter(held=True), [waiting]),
        (DeliveryFilter(held=False), [retried, delivered, failed]),
        (DeliveryFilter(states=(State.SCHEDULED,), held=False), [retried]),
        (DeliveryFilter(endpoint_id=endpoint.id), [waiting, failed]),
        (DeliveryFilter(event_types=("payment.*",)), [waiting, retried, failed]),
        (DeliveryFilter(event_types=("payment.lost", "refund.made")), [waiting, delivered]),
        (DeliveryFilter(reason=Reason.HTTP_5XX), [retried]),
        (DeliveryFilter(reason=Reason.HTTP_4XX), [failed]),
        (DeliveryFilter(created_gte=between), [waiting, retried]),
        (DeliveryFilter(created_lt=between), [delivered, failed]),
    ]
    for filter_, expected in told:
        found = await _found(world, merchant, filter_)
        assert found == [delivery_id(one.id, where[one.id].number) for one in expected], filter_


async def test_pages_join_queue_and_history_without_gap_or_repeat(world: World) -> None:
    """A delivery sent again is known to both tables, and listed once."""
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(3)]
    events = [await world.publish(merchant, *endpoints) for _ in range(4)]
    leased = await world.lease()
    await world.deliver(*leased[:4])
    await world.fail(*leased[4:8])
    await world.requeue(world.again(events[0], endpoints[0]), world.again(events[1], endpoints[1]))
    expected = [
        delivery_id(event.id, endpoint.number)
        for event in reversed(events)
        for endpoint in reversed(endpoints)
    ]
    found: list[DeliveryId] = []
    for _ in range(10):
        window = Window(limit=5, after=found[-1] if found else None)
        page = await world.store.deliveries(merchant.id, DeliveryFilter(), window)
        found += [one.id for one in page]
        if len(page) < 5:
            break
    assert found == expected


async def test_the_deliveries_of_an_event_are_listed_by_endpoint_downwards(world: World) -> None:
    merchant = await world.merchant()
    endpoints = [await world.endpoint(merchant) for _ in range(5)]
    event = await world.publish(merchant, *endpoints)
    await world.publish(merchant, *endpoints)
    await world.deliver(*(await world.lease())[:4])
    first = await world.store.deliveries_of(merchant.id, event.id, Window(limit=3))
    after = Window(limit=3, after=first[-1].id)
    rest = await world.store.deliveries_of(merchant.id, event.id, after)
    assert [one.endpoint_id for one in first + rest] == [one.id for one in endpoints[::-1]]


async def test_a_delivery_says_what_it_is(world: World) -> None:
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint, type="payment.paid")
    delivery = await world.delivery(event, endpoint)
    assert (delivery.merchant_id, delivery.endpoint_id) == (merchant.id, endpoint.id)
    assert (delivery.event_type, delivery.dialect, delivery.dialect_version) == (
        "payment.paid",
        "standard",
        1,
    )
    assert (delivery.state, delivery.held) == (State.SCHEDULED, False)
    assert delivery.due_at is not None
    assert delivery.position is None
    unknown = DeliveryId(world.ids.new())
    assert await world.store.delivery(merchant.id, unknown) is None


@pytest.mark.parametrize(
    ("status", "order_key"),
    [
        pytest.param(EndpointStatus.PAUSED, None, id="paused"),
        pytest.param(EndpointStatus.PAUSED, OBJECT, id="paused and ordered"),
    ],
)
async def test_what_waits_in_a_paused_lane_reads_as_held(
    world: World, status: EndpointStatus, order_key: bytes | None
) -> None:
    """No row of the backlog is touched by pausing: it is how it reads."""
    merchant, endpoint = await _lane(world)
    event = await world.publish(merchant, endpoint, order_key=order_key)
    endpoint = await world.edit(endpoint, status=status)
    assert (await world.delivery(event, endpoint)).held
    await world.edit(endpoint, status=EndpointStatus.ACTIVE)
    assert not (await world.delivery(event, endpoint)).held


async def test_counting_ends_where_it_is_told(world: World) -> None:
    """A count over millions must not cost what a page costs."""
    merchant, endpoint = await _lane(world)
    for _ in range(6):
        await world.publish(merchant, endpoint)
    await world.deliver(*(await world.lease())[:3])
    count = world.store.count_deliveries
    assert await count(merchant.id, DeliveryFilter(), at_most=4) == 4
    assert await count(merchant.id, DeliveryFilter(), at_most=100) == 6


async def test_the_history_of_subscriptions_is_kept(world: World) -> None:
    """What an endpoint had selected when an event came in decides what it should have got."""
    merchant, endpoint = await _lane(world)
    versions = [(await world.store.routing([merchant.id]))[0].version]
    edits: list[dict[str, object]] = [
        {"events": ("refund.*",)},
        {"status": EndpointStatus.PAUSED},
        {"status": EndpointStatus.DELETED},
    ]
    for edit in edits:
        endpoint = await world.edit(endpoint, **edit)
        versions.append((await world.store.routing([merchant.id]))[0].version)
    listener = await world.endpoint(merchant, listening=True)
    found = await world.store.subscriptions(merchant.id)
    selected = [("*",), ("refund.*",), ("refund.*",), ("refund.*",)]
    statuses = ["active", "active", "paused", "deleted"]
    assert found[:-1] == [
        Subscription(
            endpoint_id=endpoint.id,
            number=1,
            version=version,
            events=events,
            status=status,
            listening=False,
        )
        for version, events, status in zip(versions, selected, statuses, strict=True)
    ]
    assert (found[-1].endpoint_id, found[-1].listening) == (listener.id, True)


async def test_the_last_status_is_that_of_the_newest_attempt(world: World) -> None:
    """What a webhook's server answers with, told for many deliveries at once."""
    merchant, endpoint = await _lane(world)
    stranger, of_stranger = await _lane(world)
    for whose, lane in ((merchant, endpoint), (merchant, endpoint), (stranger, of_stranger)):
        await world.publish(whose, lane)
    mended, gone, theirs = await world.lease()
    await world.settle(world.failed(mended), world.given_up(gone), world.given_up(theirs))
    await world.advance(60)
    again = await world.lease_one()
    assert again.id == mended.id
    await world.deliver(again)
    await world.settle(world.failed(mended))  # too late: a lease that is not held any more
    waiting = await world.publish(merchant, endpoint)
    asked = [mended.id, gone.id, theirs.id, delivery_id(waiting.id, endpoint.number)]
    found = await world.store.last_statuses(merchant.id, asked)
    assert found == {mended.id: 200, gone.id: 400}
    assert await world.store.last_statuses(merchant.id, []) == {}

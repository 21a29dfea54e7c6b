"""Orders of family foloosi follow their payments: each word once, whoever says it and when."""

import asyncio
import json
from typing import Any

import pytest
from tests.support.api_world import World

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.validation import faults
from payhooks.control.objects import OBJECT_EVENTS_MAX
from payhooks.errors import UnavailableError
from payhooks.flow.orders import (
    LATE,
    LATE_EVERY_S,
    MERCHANTS_EVERY_S,
    TROUBLE_WAIT_S,
    OrderFollower,
)
from payhooks.ids import MERCHANT, EventId, MerchantId, from_text
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter, StoredEvent, Subject
from payhooks.testing.telemetry import QuietTelemetry

pytestmark = pytest.mark.shows("E24")

MINUTE = "2026-11-20T11:{:02}:00Z"


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


def _follower(world: World, telemetry: QuietTelemetry | None = None) -> OrderFollower:
    services = world.services
    telemetry = telemetry or QuietTelemetry()
    return OrderFollower(world.control, services.acceptor, services.book, telemetry=telemetry)


async def _tell(
    world: World, merchant: str, type_: str, minute: int, *, id_: str = "pay_1", **data: object
) -> None:
    answer = await world.publish(
        merchant,
        type=type_,
        family="owngateway",
        data={"payment_id": id_, "amount": 1050, "currency": "EUR", **data},
        object={"type": "payment", "id": id_},
        occurred_at=MINUTE.format(minute),
    )
    assert answer.status == 202, answer.body
    world.advance(1)


async def _orders(world: World, merchant: str) -> list[dict[str, Any]]:
    """Return what orders were told, oldest first."""
    found = await world.call("GET", f"/v1/merchants/{merchant}/events?type=order.*&limit=100")
    listed: list[dict[str, Any]] = found.json["data"]
    return listed[::-1]


async def _types(world: World, merchant: str) -> list[str]:
    return [each["type"] for each in await _orders(world, merchant)]


async def test_an_order_is_told_how_its_payment_went(world: World) -> None:
    """In the words and the envelope that the merchant's family knows."""
    merchant = await world.merchant(families=["foloosi", "owngateway"])
    await _tell(world, merchant, "payment_succeeded", 1)

    await _follower(world).step()

    [told] = await _orders(world, merchant)
    assert (told["type"], told["family"]) == ("order.success", "foloosi")
    assert told["object"] == {"type": "order", "id": "pay_1"}
    assert told["occurred_at"] == "2026-11-20T11:01:00.000Z"
    assert told["metadata"] == {"follows": {"type": "payment", "id": "pay_1"}}
    assert told["data"] == {
        "id": "pay_1",
        "status": "paid",
        "amount": "10.50",
        "currency": "EUR",
        "transfer": {
            "transaction_status": "success",
            "transaction_no": "pay_1",
            "transaction_amount": "10.50",
            "transaction_currency": "EUR",
        },
    }


@pytest.mark.parametrize(
    ("heard", "told"),
    [
        pytest.param([("payment_processing", 1)], [], id="nothing before it ends"),
        pytest.param([("payment_failed", 1)], ["order.cancel"], id="it failed"),
        pytest.param(
            [("payment_failed", 1), ("payment_succeeded", 2)],
            ["order.cancel", "order.success"],
            id="a correction sends the opposite",
        ),
        pytest.param(
            [("payment_succeeded", 2), ("payment_failed", 1)],
            ["order.success"],
            id="what is superseded sends none",
        ),
        pytest.param(
            [("payment_succeeded", 1), ("payment_succeeded", 2)],
            ["order.success"],
            id="what is repeated sends none",
        ),
        pytest.param(
            [("payment_failed", 1), ("payment_processing", 2), ("payment_failed", 3)],
            ["order.cancel"],
            id="it failed again",
        ),
        pytest.param(
            [("payment_succeeded", 1), ("payment_failed", 2), ("payment_succeeded", 3)],
            ["order.success", "order.cancel", "order.success"],
            id="there and back",
        ),
    ],
)
@pytest.mark.parametrize("between", [False, True], ids=["at once", "one by one"])
async def test_each_change_is_told_once(
    world: World, heard: list[tuple[str, int]], told: list[str], *, between: bool
) -> None:
    """Whether somebody looks after each event or only in the end."""
    merchant = await world.merchant(families=["foloosi"])
    follower = _follower(world)
    for type_, minute in heard:
        await _tell(world, merchant, type_, minute)
        if between:
            await follower.step()

    await follower.step()
    await follower.step()

    assert await _types(world, merchant) == told


async def test_merchants_who_do_not_use_the_family_hear_nothing_of_orders(world: World) -> None:
    """Also those who named none, and so may use all: nobody is sent what he did not ask for."""
    merchants = [await world.merchant(), await world.merchant(families=["owngateway"])]
    for merchant in merchants:
        await _tell(world, merchant, "payment_succeeded", 1)

    await _follower(world).step()

    assert [await _types(world, merchant) for merchant in merchants] == [[], []]


async def test_a_publisher_may_say_which_order_a_payment_is_for(world: World) -> None:
    """An order may be paid at the second try, which is another payment."""
    merchant = await world.merchant(families=["foloosi"])
    await _tell(world, merchant, "payment_succeeded", 1, order_id="ORD7")

    await _follower(world).step()

    [told] = await _orders(world, merchant)
    assert told["object"] == {"type": "order", "id": "ORD7"}
    assert told["data"]["transfer"]["transaction_no"] == "pay_1"


async def test_processes_that_look_at_once_say_each_word_once(world: World) -> None:
    """Every worker follows every merchant, and none of them knows of the others."""
    merchant = await world.merchant(families=["foloosi"])
    await _tell(world, merchant, "payment_failed", 1)
    await _tell(world, merchant, "payment_succeeded", 2)
    followers = [_follower(world) for _ in range(4)]

    await asyncio.gather(*(follower.step() for follower in followers))

    assert await _types(world, merchant) == ["order.cancel", "order.success"]


async def test_a_process_that_starts_tells_what_the_one_before_could_not(world: World) -> None:
    """It died between the payment and the order; days may have gone by."""
    merchant = await world.merchant(families=["foloosi"])
    await _tell(world, merchant, "payment_succeeded", 1)
    world.advance(5 * 86_400)

    await _follower(world).step()

    assert await _types(world, merchant) == ["order.success"]


async def test_an_edit_of_the_merchant_makes_no_word_lost(world: World) -> None:
    """It was renamed between the death of one process and the start of the next."""
    merchant = await world.merchant(families=["foloosi"])
    await _tell(world, merchant, "payment_succeeded", 1)
    world.advance(86_400)
    edited = await world.call("PATCH", f"/v1/merchants/{merchant}", {"name": "Renamed"})
    assert edited.status == 200, edited.body

    await _follower(world).step()

    assert await _types(world, merchant) == ["order.success"]


async def test_a_store_that_does_not_answer_makes_no_word_lost(world: World) -> None:
    """What could not be told is due still when it answers again."""
    merchant = await world.merchant(families=["foloosi"])
    follower = _follower(world)
    await follower.step()
    await _tell(world, merchant, "payment_succeeded", 1)

    async def down(*_: object, **__: object) -> object:
        raise UnavailableError("down")

    up = world.store.accept
    world.break_store("accept", down)
    with pytest.raises(UnavailableError):
        await follower.step()
    world.break_store("accept", up)
    await follower.step()

    assert await _types(world, merchant) == ["order.success"]


async def test_an_event_that_is_stored_late_is_found(world: World) -> None:
    """Ids are made before events are on the disk, so an older one may turn up behind a newer."""
    merchant = await world.merchant(families=["foloosi"])
    follower = _follower(world)
    late = world.ids.new_event()
    world.advance(1)
    await _tell(world, merchant, "payment_processing", 1)
    await follower.step()
    newer_id = world.ids.new_event
    world.ids.new_event = lambda: late  # type: ignore[method-assign] # The one that was made.
    await _tell(world, merchant, "payment_succeeded", 2)
    world.ids.new_event = newer_id  # type: ignore[method-assign] # As above.
    world.advance(LATE_EVERY_S)

    await follower.step()

    assert await _types(world, merchant) == ["order.success"]


async def test_a_merchant_that_comes_later_is_followed_from_then_on(world: World) -> None:
    """What happened before the family was its own was told in another way."""
    merchant = await world.merchant(families=["owngateway"])
    await _tell(world, merchant, "payment_succeeded", 1)
    follower = _follower(world)
    await follower.step()
    world.advance(LATE.total_seconds())
    etag = (await world.call("GET", f"/v1/merchants/{merchant}")).headers["etag"]
    edited = await world.call(
        "PATCH",
        f"/v1/merchants/{merchant}",
        {"families": ["owngateway", "foloosi"]},
        headers={"if-match": etag},
    )
    assert edited.status == 200, edited.body
    world.advance(MERCHANTS_EVERY_S)

    await follower.step()
    assert await _types(world, merchant) == []
    await _tell(world, merchant, "payment_failed", 2)
    await follower.step()

    # The payment as a whole: it had succeeded, which the order never heard.
    assert (await _types(world, merchant))[-1] == "order.cancel"


@pytest.mark.parametrize(
    ("currency", "amount", "told"),
    [
        pytest.param("EUR", 5, "0.05", id="hundredths"),
        pytest.param("JPY", 500, "500", id="none"),
        pytest.param("KWD", 1500, "1.500", id="thousandths"),
    ],
)
async def test_amounts_are_told_in_major_units(
    world: World, currency: str, amount: int, told: str
) -> None:
    """A hundredfold payment is the worst thing that a format can do."""
    merchant = await world.merchant(families=["foloosi"])
    await _tell(world, merchant, "payment_succeeded", 1, currency=currency, amount=amount)

    await _follower(world).step()

    [order] = await _orders(world, merchant)
    assert order["data"]["amount"] == told


@pytest.mark.parametrize("amount", [10**30, -(10**30), 10**18, 1.5, "1050", True, None])
async def test_an_amount_that_is_none_is_left_out(world: World, amount: object) -> None:
    """What nobody can pay must not keep the order, and everybody else's, from being told."""
    merchant = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    await _tell(world, merchant, "payment_succeeded", 1, amount=amount)

    await _follower(world, telemetry).step()

    [order] = await _orders(world, merchant)
    assert "amount" not in order["data"]
    assert order["data"]["currency"] == "EUR"
    assert (telemetry.bugs, telemetry.alarms) == ([], [])


async def test_what_nobody_expected_of_one_payment_stops_no_other(world: World) -> None:
    """Once a second it would fail again, and nobody's order be told any more."""
    merchant = await world.merchant(families=["foloosi"])
    other = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    follower = _follower(world, telemetry)
    events, reads = world.store.events, []

    async def broken(
        merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        if filter_.object_id == "bad":
            reads.append(window)
            raise ArithmeticError
        return await events(merchant_id, filter_, window)

    world.break_store("events", broken)
    await _tell(world, merchant, "payment_succeeded", 1, id_="bad")
    await _tell(world, merchant, "payment_succeeded", 1, id_="good")
    await _tell(world, other, "payment_succeeded", 1)
    for _ in range(int(TROUBLE_WAIT_S) - 5):
        await follower.step()
        world.advance(1)

    assert [order["object"]["id"] for order in await _orders(world, merchant)] == ["good"]
    assert await _types(world, other) == ["order.success"]
    assert [where for where, _ in telemetry.bugs] == ["orders"]
    assert len(reads) == 1

    world.advance(TROUBLE_WAIT_S)
    await follower.step()
    assert (len(telemetry.bugs), len(reads)) == (1, 2)
    world.break_store("events", events)
    world.advance(2 * TROUBLE_WAIT_S)
    await follower.step()
    ids = [order["object"]["id"] for order in await _orders(world, merchant)]
    assert ids == ["good", "bad"]


async def test_what_nobody_expected_of_one_merchant_stops_no_other(world: World) -> None:
    """Also where it fails before any payment is looked at."""
    merchant = await world.merchant(families=["foloosi"])
    other = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    follower = _follower(world, telemetry)
    subjects, known = world.store.subjects, from_text(MERCHANT, merchant)

    async def broken(merchant_id: MerchantId, *, after: EventId, limit: int) -> list[Subject]:
        if merchant_id == known:
            raise ArithmeticError
        return await subjects(merchant_id, after=after, limit=limit)

    world.break_store("subjects", broken)
    for each in (merchant, other):
        await _tell(world, each, "payment_succeeded", 1)
    await follower.step()
    await follower.step()
    assert await _types(world, other) == ["order.success"]
    assert [where for where, _ in telemetry.bugs] == ["orders"]
    world.break_store("subjects", subjects)
    world.advance(TROUBLE_WAIT_S)
    await follower.step()
    assert await _types(world, merchant) == ["order.success"]


async def test_a_store_that_fails_at_one_merchant_comes_to_the_others(world: World) -> None:
    """It may be down for all, so the turn ends; if it is not, the next begins with the others."""
    merchants = [await world.merchant(families=["foloosi"]) for _ in range(3)]
    known, subjects = from_text(MERCHANT, merchants[0]), world.store.subjects

    async def broken(merchant_id: MerchantId, *, after: EventId, limit: int) -> list[Subject]:
        if merchant_id == known:
            raise UnavailableError("too slow")
        return await subjects(merchant_id, after=after, limit=limit)

    world.break_store("subjects", broken)
    follower = _follower(world)
    for each in merchants:
        await _tell(world, each, "payment_succeeded", 1)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            await follower.step()

    told = [await _types(world, merchant) for merchant in merchants]
    assert told == [[], ["order.success"], ["order.success"]]


async def test_large_events_of_a_payment_hold_nobody_up(world: World) -> None:
    """Whoever publishes much and large must not be read as a whole each second."""
    merchant = await world.merchant(families=["foloosi"])
    events, read_bytes = world.store.events, []

    async def counted(
        merchant_id: MerchantId, filter_: EventFilter, window: Window
    ) -> list[StoredEvent]:
        page = await events(merchant_id, filter_, window)
        if filter_.object_id is not None:
            read_bytes.append(sum(len(one.event.data) for one in page))
        return page

    for _ in range(45):
        await _tell(world, merchant, "payment_processing", 1, filler="x" * 250_000)
    await _tell(world, merchant, "payment_succeeded", 2)
    follower, turns = _follower(world), 0
    world.break_store("events", counted)
    look = asyncio.create_task(follower.step())
    while not look.done():
        turns += 1
        await asyncio.sleep(0)

    assert await _types(world, merchant) == ["order.success"]
    # One page, and what the order was told; others came to work in between.
    assert len(read_bytes) == 2
    assert max(read_bytes) < 20 * 256 * 1024
    assert turns > 4


async def _tell_notes(world: World, merchant: str, id_: str, *, type_: str = "shop.noted") -> None:
    """Publish so much of an order that nothing else of it is seen."""
    note = {"type": type_, "data": {}, "object": {"type": "order", "id": id_}}
    batch = {"events": [note] * OBJECT_EVENTS_MAX}
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events/batch", batch)
    assert answer.status in {200, 202, 207}, answer.body
    world.advance(1)


@pytest.mark.parametrize("order", ["ORD7", "pay_1"], ids=["another id", "the payment's id"])
async def test_an_order_that_heard_much_since_is_told_what_is_new_and_nothing_twice(
    world: World, order: str
) -> None:
    """What it was told is not seen any more; a word's number must not come again."""
    merchant = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    follower = _follower(world, telemetry)
    await _tell(world, merchant, "payment_failed", 1, order_id=order)
    await _tell(world, merchant, "payment_succeeded", 2, order_id=order)
    await follower.step()
    await _tell_notes(world, merchant, order)
    await _tell(world, merchant, "payment_succeeded", 3, order_id=order)
    await follower.step()
    assert await _types(world, merchant) == ["order.cancel", "order.success"]
    await _tell(world, merchant, "payment_failed", 4, order_id=order)
    await follower.step()
    world.advance(LATE_EVERY_S)
    await follower.step()

    assert await _types(world, merchant) == ["order.cancel", "order.success", "order.cancel"]
    assert (telemetry.bugs, telemetry.alarms) == ([], [])


async def test_an_order_of_more_words_than_are_read_is_told_none_again(world: World) -> None:
    """Which of them were told of the payment is not known; rather none than one twice."""
    merchant = await world.merchant(families=["foloosi"])
    follower = _follower(world)
    await _tell(world, merchant, "payment_failed", 1, order_id="ORD7")
    await follower.step()
    await _tell_notes(world, merchant, "ORD7", type_="order.success")
    await _tell(world, merchant, "payment_succeeded", 2, order_id="ORD7")
    await follower.step()

    assert len(await _orders(world, merchant)) == 100  # a page of the merchant's own
    assert all(one["metadata"] is None for one in await _orders(world, merchant))


async def test_a_payment_that_ends_after_much_else_is_told_of(world: World) -> None:
    """Its first thousand events are not read any more, and its end has a word all the same."""
    merchant = await world.merchant(families=["foloosi"])
    follower = _follower(world)
    await _tell_notes(world, merchant, "pay_1")
    await _tell(world, merchant, "payment_processing", 1)
    await _tell(world, merchant, "payment_failed", 2)
    await follower.step()
    await _tell(world, merchant, "payment_succeeded", 3)
    await follower.step()
    await follower.step()

    assert await _types(world, merchant) == ["order.cancel", "order.success"]


@pytest.mark.parametrize("type_", ["payment_succeeded", "payment_failed"])
async def test_what_is_told_is_what_the_familys_schema_says(world: World, type_: str) -> None:
    """A merchant that checks strictly is held to it by us as well."""
    merchant = await world.merchant(families=["foloosi"])
    await _tell(world, merchant, type_, 1)

    await _follower(world).step()

    [order] = await _orders(world, merchant)
    known = CATALOGUE.find(order["family"], order["type"])
    assert known is not None
    assert not faults(known, json.dumps(order["data"]).encode(), at_most=5)

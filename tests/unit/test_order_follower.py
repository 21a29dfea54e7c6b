"""Orders of family foloosi follow their payments: each word once, whoever says it and when."""

import asyncio
import json

import pytest
from tests.support.api_world import World
from tests.support.following import follower, orders, tell, types

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.validation import faults
from payhooks.errors import UnavailableError
from payhooks.flow.orders import (
    LATE,
    LATE_EVERY_S,
    MERCHANTS_EVERY_S,
)
from payhooks.testing.telemetry import QuietTelemetry

pytestmark = pytest.mark.shows("E24")


@pytest.fixture
def world() -> World:
    """Return an empty installation."""
    return World()


async def test_an_order_is_told_how_its_payment_went(world: World) -> None:
    """In the words and the envelope that the merchant's family knows."""
    merchant = await world.merchant(families=["foloosi", "owngateway"])
    await tell(world, merchant, "payment_succeeded", 1)

    await follower(world).step()

    [told] = await orders(world, merchant)
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
    following = follower(world)
    for type_, minute in heard:
        await tell(world, merchant, type_, minute)
        if between:
            await following.step()

    await following.step()
    await following.step()

    assert await types(world, merchant) == told


async def test_merchants_who_do_not_use_the_family_hear_nothing_of_orders(world: World) -> None:
    """Also those who named none, and so may use all: nobody is sent what he did not ask for."""
    merchants = [await world.merchant(), await world.merchant(families=["owngateway"])]
    for merchant in merchants:
        await tell(world, merchant, "payment_succeeded", 1)

    await follower(world).step()

    assert [await types(world, merchant) for merchant in merchants] == [[], []]


async def test_a_publishers_own_word_of_an_order_holds_nothing_up(world: World) -> None:
    """JSON bounds no number; what no decoder takes is not what we have told."""
    merchant = await world.merchant(families=["foloosi", "owngateway"])
    event = b'{"type":"order.success","family":"foloosi","object":{"type":"order","id":"pay_1"},'
    event += b'"data":{},"metadata":{"n":%b}}' % (b"1" * 5_000)
    answer = await world.call("POST", f"/v1/merchants/{merchant}/events", raw=event)
    assert answer.status == 202
    await tell(world, merchant, "payment_succeeded", 1)

    await follower(world).step()

    listed = await world.call("GET", f"/v1/merchants/{merchant}/events?type=order.*")
    assert listed.body.count(b'"type":"order.success"') == 2


async def test_a_publisher_may_say_which_order_a_payment_is_for(world: World) -> None:
    """An order may be paid at the second try, which is another payment."""
    merchant = await world.merchant(families=["foloosi"])
    await tell(world, merchant, "payment_succeeded", 1, order_id="ORD7")

    await follower(world).step()

    [told] = await orders(world, merchant)
    assert told["object"] == {"type": "order", "id": "ORD7"}
    assert told["data"]["transfer"]["transaction_no"] == "pay_1"


async def test_processes_that_look_at_once_say_each_word_once(world: World) -> None:
    """Every worker follows every merchant, and none of them knows of the others."""
    merchant = await world.merchant(families=["foloosi"])
    await tell(world, merchant, "payment_failed", 1)
    await tell(world, merchant, "payment_succeeded", 2)
    followers = [follower(world) for _ in range(4)]

    await asyncio.gather(*(one.step() for one in followers))

    assert await types(world, merchant) == ["order.cancel", "order.success"]


async def test_a_process_that_starts_tells_what_the_one_before_could_not(world: World) -> None:
    """It died between the payment and the order; days may have gone by."""
    merchant = await world.merchant(families=["foloosi"])
    await tell(world, merchant, "payment_succeeded", 1)
    world.advance(5 * 86_400)

    await follower(world).step()

    assert await types(world, merchant) == ["order.success"]


async def test_an_edit_of_the_merchant_makes_no_word_lost(world: World) -> None:
    """It was renamed between the death of one process and the start of the next."""
    merchant = await world.merchant(families=["foloosi"])
    await tell(world, merchant, "payment_succeeded", 1)
    world.advance(86_400)
    edited = await world.call("PATCH", f"/v1/merchants/{merchant}", {"name": "Renamed"})
    assert edited.status == 200, edited.body

    await follower(world).step()

    assert await types(world, merchant) == ["order.success"]


async def test_a_store_that_does_not_answer_makes_no_word_lost(world: World) -> None:
    """What could not be told is due still when it answers again."""
    merchant = await world.merchant(families=["foloosi"])
    following = follower(world)
    await following.step()
    await tell(world, merchant, "payment_succeeded", 1)

    async def down(*_: object, **__: object) -> object:
        raise UnavailableError("down")

    up = world.store.accept
    world.break_store("accept", down)
    with pytest.raises(UnavailableError):
        await following.step()
    world.break_store("accept", up)
    await following.step()

    assert await types(world, merchant) == ["order.success"]


async def test_an_event_that_is_stored_late_is_found(world: World) -> None:
    """Ids are made before events are on the disk, so an older one may turn up behind a newer."""
    merchant = await world.merchant(families=["foloosi"])
    following = follower(world)
    late = world.ids.new_event()
    world.advance(1)
    await tell(world, merchant, "payment_processing", 1)
    await following.step()
    newer_id = world.ids.new_event
    world.ids.new_event = lambda: late  # type: ignore[method-assign] # The one that was made.
    await tell(world, merchant, "payment_succeeded", 2)
    world.ids.new_event = newer_id  # type: ignore[method-assign] # As above.
    world.advance(LATE_EVERY_S)

    await following.step()

    assert await types(world, merchant) == ["order.success"]


async def test_a_merchant_that_comes_later_is_followed_from_then_on(world: World) -> None:
    """What happened before the family was its own was told in another way."""
    merchant = await world.merchant(families=["owngateway"])
    await tell(world, merchant, "payment_succeeded", 1)
    following = follower(world)
    await following.step()
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

    await following.step()
    assert await types(world, merchant) == []
    await tell(world, merchant, "payment_failed", 2)
    await following.step()

    # The payment as a whole: it had succeeded, which the order never heard.
    assert (await types(world, merchant))[-1] == "order.cancel"


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
    await tell(world, merchant, "payment_succeeded", 1, currency=currency, amount=amount)

    await follower(world).step()

    [order] = await orders(world, merchant)
    assert order["data"]["amount"] == told


@pytest.mark.parametrize("amount", [10**30, -(10**30), 10**18, 1.5, "1050", True, None])
async def test_an_amount_that_is_none_is_left_out(world: World, amount: object) -> None:
    """What nobody can pay must not keep the order, and everybody else's, from being told."""
    merchant = await world.merchant(families=["foloosi"])
    telemetry = QuietTelemetry()
    await tell(world, merchant, "payment_succeeded", 1, amount=amount)

    await follower(world, telemetry).step()

    [order] = await orders(world, merchant)
    assert "amount" not in order["data"]
    assert order["data"]["currency"] == "EUR"
    assert (telemetry.bugs, telemetry.alarms) == ([], [])


@pytest.mark.parametrize("type_", ["payment_succeeded", "payment_failed"])
async def test_what_is_told_is_what_the_familys_schema_says(world: World, type_: str) -> None:
    """A merchant that checks strictly is held to it by us as well."""
    merchant = await world.merchant(families=["foloosi"])
    await tell(world, merchant, type_, 1)

    await follower(world).step()

    [order] = await orders(world, merchant)
    known = CATALOGUE.find(order["family"], order["type"])
    assert known is not None
    assert not faults(known, json.dumps(order["data"]).encode(), at_most=5)

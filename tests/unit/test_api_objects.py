"""Objects over the API: state, history, timeline, and finding one by its id."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.support.api_world import World

from payhooks.control import objects
from payhooks.ids import MERCHANT, MerchantId, from_text

pytestmark = pytest.mark.shows("E23")

MINUTE = "2026-11-20T11:{:02}:00Z"


@pytest.fixture
def world() -> World:
    """One installation."""
    return World()


async def _tell(
    world: World, merchant: str, type_: str, minute: int | None, **members: object
) -> str:
    said: dict[str, Any] = {
        "type": type_,
        "family": "owngateway",
        "data": {"payment_id": "pay_1"},
        "object": {"type": "payment", "id": "pay_1"},
        **members,
    }
    if minute is not None:
        said["occurred_at"] = MINUTE.format(minute)
    answer = await world.publish(merchant, **said)
    assert answer.status == 202, answer.body
    event_id: str = answer.json["id"]
    world.advance(1)
    return event_id


async def test_an_object_is_read_with_its_history_and_its_timeline(world: World) -> None:
    """One look answers what a merchant asks of support: where is my payment, and who was told."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    first = await _tell(world, merchant, "payment_failed", 2)
    late = await _tell(world, merchant, "payment_processing", 1)
    last = await _tell(world, merchant, "payment_succeeded", 3)

    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")

    assert answer.status == 200
    found = answer.json
    timeline = found.pop("timeline")
    history = found.pop("history")
    trail = found.pop("trail")
    assert found.pop("receipts_complete")
    assert found == {
        "type": "payment",
        "id": "pay_1",
        "family": "owngateway",
        "state": "succeeded",
        "words": "All of it was captured.",
        "unified": {
            "state": "succeeded",
            "after": None,
            "event": "payment_succeeded",
            "why": None,
        },
        "since": "2026-11-20T11:03:00.000Z",
        "final": True,
        "delayed": False,
        "corrections": 1,
        "pay_back": None,
        "references": [],
        "events": 3,
        "complete": True,
    }
    assert [(one["event_id"], one["before"], one["after"], one["marks"]) for one in history] == [
        (late, "start", "processing", ["superseded"]),
        (first, "processing", "failed", []),
        (last, "failed", "succeeded", ["correction"]),
    ]
    assert [one["event_id"] for one in timeline["data"]] == [last, late, first]
    assert [(one["kind"], one["of"]) for one in trail if one["kind"] != "event"] == [
        ("delivery", event_id) for event_id in (last, late, first)
    ]
    [sent] = timeline["data"][0]["deliveries"]
    assert (sent["endpoint_id"], sent["attempts_made"], sent["last_status"]) == (
        endpoint["id"],
        0,
        None,
    )


async def test_what_is_to_be_paid_back_is_answered_to_the_digit(world: World) -> None:
    """Somebody sends this money back; 10.00 and what no double holds stay as they were told."""
    merchant = await world.merchant()
    said = b'{"required":true,"amount":12345678901234567.89,"fee":10.00}'
    event = b'{"type":"payment_failed","object":{"type":"payment","id":"pay_1"},"data":'
    event += b'{"pay_back":%b}}' % said
    await world.call("POST", f"/v1/merchants/{merchant}/events", raw=event)

    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")

    assert b'"pay_back":%b,' % said in answer.body


async def test_an_object_is_read_whatever_numbers_its_events_have(world: World) -> None:
    """JSON bounds no number, and the door takes it; support must see the payment all the same."""
    merchant = await world.merchant()
    long = b'{"n":%b}' % (b"1" * 5_000)
    event = b'{"type":"payment_failed","object":{"type":"payment","id":"pay_1"},"data":'
    event += b'%b,"metadata":%b}' % (long, long)
    await world.call("POST", f"/v1/merchants/{merchant}/events", raw=event)

    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")

    assert (answer.status, answer.json["state"]) == (200, "failed")


async def test_a_timeline_is_read_page_by_page(world: World) -> None:
    """An object with hundreds of events is not sent in one piece."""
    merchant = await world.merchant()
    told = [await _tell(world, merchant, "payment_processing", at) for at in range(5)]
    target = f"/v1/merchants/{merchant}/objects/payment/pay_1?limit=2"

    seen: list[str] = []
    after = ""
    for _ in range(3):
        timeline = (await world.call("GET", target + after)).json["timeline"]
        seen += [one["event_id"] for one in timeline["data"]]
        after = f"&after={timeline['next']}"

    assert seen == told[::-1]
    assert timeline["has_more"] is False


async def test_an_object_is_found_by_its_id_alone(world: World) -> None:
    """Who has a number from a statement does not know what we call the thing."""
    merchant = await world.merchant()
    await _tell(world, merchant, "payment_succeeded", 1)
    await _tell(world, merchant, "shop.noted", 1, object={"type": "note", "id": "pay_1"})
    await _tell(world, merchant, "shop.noted", 1, object={"type": "note", "id": "pay_2"})

    found = (await world.call("GET", f"/v1/merchants/{merchant}/objects?id=pay_1")).json["data"]

    assert [(one["type"], one["id"], one["state"]) for one in found] == [
        ("note", "pay_1", None),
        ("payment", "pay_1", "succeeded"),
    ]


@pytest.mark.parametrize(
    "id_",
    [
        pytest.param("a b/c", id="a slash and a space"),
        pytest.param("?x=1&y#z", id="what ends a path"),
        pytest.param("%2F", id="a percent sign"),
        pytest.param("zahlung-ü-支付", id="letters of the world"),
    ],
)
async def test_an_id_may_have_any_character(world: World, id_: str) -> None:
    """Providers make them up."""
    merchant = await world.merchant()
    await _tell(world, merchant, "payment_succeeded", 1, object={"type": "payment", "id": id_})
    path = f"/v1/merchants/{merchant}/objects"

    one = await world.call("GET", f"{path}/payment/{quote(id_, safe='')}")
    found = await world.call("GET", f"{path}?id={quote(id_, safe='')}")

    assert one.json["id"] == id_
    assert [each["id"] for each in found.json["data"]] == [id_]


async def test_what_nobody_told_of_is_not_there(world: World) -> None:
    """An unknown object, an unknown type of a known id, and another merchant's are one answer."""
    merchant, other = await world.merchant(), await world.merchant()
    await _tell(world, merchant, "payment_succeeded", 1)

    for path in (f"{merchant}/objects/payment/pay_2", f"{merchant}/objects/refund/pay_1"):
        assert (await world.call("GET", f"/v1/merchants/{path}")).status == 404
    theirs = await world.call("GET", f"/v1/merchants/{other}/objects/payment/pay_1")
    assert theirs.status == 404
    found = await world.call("GET", f"/v1/merchants/{other}/objects?id=pay_1")
    assert found.json == {"data": []}


async def test_reading_an_object_needs_the_permission_to_read_events(world: World) -> None:
    """It tells no less than its events."""
    merchant = await world.merchant()
    await _tell(world, merchant, "payment_succeeded", 1)
    path = f"/v1/merchants/{merchant}/objects/payment/pay_1"
    weak = await world.key(merchant, "endpoints:read")
    able = await world.key(merchant, "events:read")

    assert (await world.call("GET", path, key=weak)).status == 403
    assert (await world.call("GET", path, key=able)).status == 200


async def test_an_object_with_more_events_than_are_read_says_so(world: World) -> None:
    """A state that was folded from a part must not look like the whole."""
    merchant = await world.merchant()
    event = {
        "type": "payment_processing",
        "data": {},
        "object": {"type": "payment", "id": "pay_1"},
    }
    batch = {"events": [event] * objects.OBJECT_EVENTS_MAX}
    path = f"/v1/merchants/{merchant}/objects/payment/pay_1"

    await world.call("POST", f"/v1/merchants/{merchant}/events/batch", batch)
    whole = (await world.call("GET", path)).json
    await _tell(world, merchant, "payment_processing", None)
    cut = (await world.call("GET", path)).json

    assert (whole["events"], whole["complete"]) == (objects.OBJECT_EVENTS_MAX, True)
    assert (cut["events"], cut["complete"]) == (objects.OBJECT_EVENTS_MAX, False)
    assert cut["state"] == "processing"


async def test_an_object_with_larger_events_than_are_read_says_so(world: World) -> None:
    """Reading stops at the bound itself, and what is large is folded in turns with others' work."""
    merchant = await world.merchant()
    filler = "x" * 250_000
    for minute in range(20):
        data = {"payment_id": "pay_1", "filler": filler}
        await _tell(world, merchant, "payment_processing", minute, data=data)

    found = (await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")).json

    assert (found["events"], found["complete"]) == (objects.OBJECT_BYTES_MAX // 250_000, False)
    assert found["state"] == "processing"


async def test_one_event_is_read_however_large_it_is(world: World) -> None:
    """An object that has events is never without all of them."""
    merchant = await world.merchant()
    for minute in range(2):
        await _tell(world, merchant, "payment_processing", minute)
    known = from_text(MERCHANT, merchant)
    assert known is not None

    found = await objects.read(world.control, MerchantId(known), "pay_1", bytes_max=1)

    assert (len(found.events), found.complete) == (1, False)

"""An object's trail: receipts, events, deliveries and attempts in one list; and its other names."""

from typing import Any

import pytest
from tests.support.api_world import World, finish
from tests.support.owlpay_sender import SECRET, message, signed

from payhooks.control.objects import RECEIPTS_SHOWN_MAX
from payhooks.ids import CONNECTOR, MERCHANT, RECEIPT, ConnectorId, MerchantId, ReceiptId, from_text
from payhooks.model.delivery import Trigger
from payhooks.model.receipt import ReceiptState
from payhooks.ports.receiving import Conclusion, Link, Reference

pytestmark = pytest.mark.shows("E23", "N09")


@pytest.fixture
def world() -> World:
    """One installation."""
    return World()


def _raw(prefix: str, text: str) -> bytes:
    found = from_text(prefix, text)
    assert found is not None
    return found


async def _connected(world: World, merchant: str) -> str:
    said = {"name": "owl", "dialect": "owlpay", "secrets": [SECRET]}
    made = await world.call("POST", f"/v1/merchants/{merchant}/connectors", said)
    assert made.status == 201, made.body
    connector: str = made.json["id"]
    return connector


async def _heard(world: World, merchant: str, connector: str, payment: str, order: str) -> str:
    """Let the provider tell of a payment, and tell it on, as who processes it would."""
    receipt = await _brought(world, merchant, connector, payment, order)
    world.advance(1)
    await _told(world, merchant, payment, receipt)
    world.advance(1)
    return receipt


async def _brought(  # noqa: PLR0913 - whose, by whom, of what, and what became of it
    world: World,
    merchant: str,
    connector: str,
    payment: str,
    order: str,
    *,
    state: ReceiptState = ReceiptState.PROCESSED,
) -> str:
    """Let the provider tell of a payment, and conclude that it did."""
    body = message("payment_intent.captured", {"uuid": f"pi_{payment}"})
    headers = signed(body, world.clock.now())
    target = f"/webhooks/{merchant}/owl"
    assert (await world.call("POST", target, raw=body, key=None, headers=headers)).status == 200
    receipts = await world.call("GET", f"/v1/merchants/{merchant}/receipts?limit=1")
    receipt: str = receipts.json["data"][0]["id"]
    about = [Link(object_type="payment", object_id=payment)]
    named = [Reference(reference=order, object_type="payment", object_id=payment)]
    conclusion = Conclusion(
        merchant_id=MerchantId(_raw(MERCHANT, merchant)),
        receipt_id=ReceiptId(_raw(RECEIPT, receipt)),
        connector_id=ConnectorId(_raw(CONNECTOR, connector)),
        state=state,
        word="payment_intent.captured",
        links=tuple(about),
        references=tuple(named),
    )
    await world.store.conclude([conclusion])
    return receipt


async def _told(world: World, merchant: str, payment: str, receipt: str) -> None:
    told = await world.publish(
        merchant, object={"type": "payment", "id": payment}, metadata={"receipt": receipt}
    )
    assert told.status == 202, told.body


async def _repeated(world: World, merchant: str, connector: str, count: int) -> list[str]:
    """Let the provider say once more what is known; return the receipts, the newest first."""
    repeats = []
    for _ in range(count):
        again = await _brought(
            world, merchant, connector, "pay_1", "o-1", state=ReceiptState.DUPLICATE
        )
        repeats.append(again)
        world.advance(1)
    return repeats[::-1]


async def _trail(world: World, merchant: str, query: str = "") -> dict[str, Any]:
    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1{query}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


def _ids(found: dict[str, Any], kind: str) -> list[str]:
    return [step["id"] for step in found["trail"] if step["kind"] == kind]


async def _objects(world: World, merchant: str, query: str) -> list[tuple[str, list[str]]]:
    found = await world.call("GET", f"/v1/merchants/{merchant}/objects?{query}")
    assert found.status == 200, found.body
    return [(one["id"], one["references"]) for one in found.json["data"]]


async def test_a_trail_tells_from_the_provider_to_the_receiver(world: World) -> None:
    """One list answers who knew what when: the provider, us, the shop."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    receipt = await _heard(world, merchant, await _connected(world, merchant), "pay_1", "o-1")
    await finish(world, Trigger.GIVE_UP)

    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")

    trail: list[dict[str, Any]] = answer.json["trail"][::-1]
    assert [one["kind"] for one in trail] == ["receipt", "event", "delivery", "attempt"]
    assert [one["of"] for one in trail] == [None, *[one["id"] for one in trail[:3]]]
    assert trail[0]["id"] == receipt
    assert [one["name"] for one in trail] == [
        "payment_intent.captured",
        "payment_succeeded",
        endpoint["id"],
        None,
    ]
    assert [one["status"] for one in trail] == ["processed", "failed", "failed", "failed"]
    assert [one["http_status"] for one in trail] == [200, None, None, 503]
    assert trail[3]["detail"] == "Your server answered 503."
    assert [one["at"] for one in trail] == sorted(one["at"] for one in trail)


async def test_each_step_of_a_trail_is_on_one_page(world: World) -> None:
    """A receipt that is on two pages looks like two."""
    merchant = await world.merchant()
    connector = await _connected(world, merchant)
    heard = [await _heard(world, merchant, connector, "pay_1", "o-1") for _ in range(5)]
    target = f"/v1/merchants/{merchant}/objects/payment/pay_1?limit=2"

    seen: list[str] = []
    causes: list[str] = []
    after = ""
    for _ in range(3):
        found = (await world.call("GET", target + after)).json
        assert len(_ids(found, "receipt")) == len(_ids(found, "event"))
        seen += _ids(found, "receipt")
        causes += [one["of"] for one in found["trail"] if one["kind"] == "event"]
        after = f"&after={found['timeline']['next']}"

    assert seen == causes == heard[::-1]


async def test_a_trail_keeps_what_told_its_events_however_often_that_is_repeated(
    world: World,
) -> None:
    """The first of them says who knew when; fifty repeats of it say nothing."""
    merchant = await world.merchant()
    connector = await _connected(world, merchant)
    first = await _heard(world, merchant, connector, "pay_1", "o-1")
    repeats = await _repeated(world, merchant, connector, RECEIPTS_SHOWN_MAX - 1)
    whole = await _trail(world, merchant)
    repeats = [*await _repeated(world, merchant, connector, 2), *repeats]
    cut = await _trail(world, merchant)

    assert (_ids(whole, "receipt"), whole["receipts_complete"]) == ([*repeats[2:], first], True)
    newest = repeats[:RECEIPTS_SHOWN_MAX]
    assert (_ids(cut, "receipt"), cut["receipts_complete"]) == ([*newest, first], False)
    for found in (whole, cut):
        [event] = [step for step in found["trail"] if step["kind"] == "event"]
        assert event["of"] == first
        assert [one["at"] for one in found["trail"]] == sorted(
            (one["at"] for one in found["trail"]), reverse=True
        )


async def test_each_page_has_what_told_its_events_and_no_other_has_it(world: World) -> None:
    """Two events may follow from one receipt; repeats stand by time, wherever that is."""
    merchant = await world.merchant()
    connector = await _connected(world, merchant)
    first = await _heard(world, merchant, connector, "pay_1", "o-1")
    second = await _heard(world, merchant, connector, "pay_1", "o-1")
    await _told(world, merchant, "pay_1", second)
    repeats = await _repeated(world, merchant, connector, RECEIPTS_SHOWN_MAX)

    page = await _trail(world, merchant, "?limit=2")
    rest = await _trail(world, merchant, f"?limit=2&after={page['timeline']['next']}")

    assert _ids(page, "receipt") == [*repeats, second]
    assert _ids(rest, "receipt") == [first]
    assert [one["of"] for one in page["trail"] if one["kind"] == "event"] == [second, second]


async def test_a_repeat_stands_on_the_page_of_the_events_around_it(world: World) -> None:
    """Behind the page's last event it is on the next one; before the first of all, on the last."""
    merchant = await world.merchant()
    connector = await _connected(world, merchant)
    receipts = await _repeated(world, merchant, connector, 1)
    for _ in range(3):
        receipts.append(await _heard(world, merchant, connector, "pay_1", "o-1"))
        receipts += await _repeated(world, merchant, connector, 1)

    page = await _trail(world, merchant, "?limit=2")
    rest = await _trail(world, merchant, f"?limit=2&after={page['timeline']['next']}")

    assert _ids(page, "receipt") == receipts[:2:-1]
    assert _ids(rest, "receipt") == receipts[2::-1]


async def test_a_receipt_of_another_object_or_merchant_is_no_cause(world: World) -> None:
    """Whoever publishes may name any, and would read of it what the trail says."""
    merchant, other = await world.merchant(), await world.merchant()
    connector, theirs = await _connected(world, merchant), await _connected(world, other)
    of_others = await _heard(world, other, theirs, "pay_1", "o-1")
    of_another = await _heard(world, merchant, connector, "pay_2", "o-2")
    for receipt in (of_others, of_another):
        await _told(world, merchant, "pay_1", receipt)
    found = await _trail(world, merchant)
    assert [(one["kind"], one["of"]) for one in found["trail"]] == [("event", None)] * 2


async def test_what_somebody_says_of_a_receipt_is_not_believed(world: World) -> None:
    """Anybody may publish such metadata; only what is linked to the object is told as its cause."""
    merchant = await world.merchant()
    about = {"type": "payment", "id": "pay_1"}
    for said in ("rcp_00000000000000000000000000", 7):
        await world.publish(merchant, object=about, metadata={"receipt": said})
    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")
    assert [one["of"] for one in answer.json["trail"]] == [None, None]


async def test_an_object_is_found_by_what_others_call_it(world: World) -> None:
    """The shop has an order number, the bank a transaction's; nobody has our id."""
    merchant, other = await world.merchant(), await world.merchant()
    connector = await _connected(world, merchant)
    await _heard(world, merchant, connector, "pay_1", "o-1")
    await _heard(world, merchant, connector, "pay_2", "o-1")
    await _heard(world, merchant, connector, "pay_3", "pay_1")

    both = [("pay_1", ["o-1"]), ("pay_2", ["o-1"])]
    assert await _objects(world, merchant, "reference=o-1") == both
    assert await _objects(world, merchant, "id=o-1") == both
    # An id that somebody else uses for a name is the id, unless one asks for the name.
    assert await _objects(world, merchant, "id=pay_1") == both[:1]
    assert await _objects(world, merchant, "reference=pay_1") == [("pay_3", ["pay_1"])]
    assert await _objects(world, merchant, "reference=o-2") == []
    assert await _objects(world, other, "reference=o-1") == []
    for query in ("", "?id=a&reference=b", "?reference="):
        refused = await world.call("GET", f"/v1/merchants/{merchant}/objects{query}")
        assert refused.status == 422

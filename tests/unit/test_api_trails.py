"""An object's trail: receipts, events, deliveries and attempts in one list; and its other names."""

from typing import Any

import pytest
from tests.support.api_world import World, finish
from tests.support.owlpay_sender import SECRET, message, signed

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
    body = message("payment_intent.captured", {"uuid": f"pi_{payment}"})
    headers = signed(body, world.clock.now())
    target = f"/webhooks/{merchant}/owl"
    assert (await world.call("POST", target, raw=body, key=None, headers=headers)).status == 200
    receipts = await world.call("GET", f"/v1/merchants/{merchant}/receipts?limit=1")
    receipt: str = receipts.json["data"][0]["id"]
    world.advance(1)
    told = await world.publish(
        merchant, object={"type": "payment", "id": payment}, metadata={"receipt": receipt}
    )
    assert told.status == 202, told.body
    about = [Link(object_type="payment", object_id=payment)]
    named = [Reference(reference=order, object_type="payment", object_id=payment)]
    conclusion = Conclusion(
        merchant_id=MerchantId(_raw(MERCHANT, merchant)),
        receipt_id=ReceiptId(_raw(RECEIPT, receipt)),
        connector_id=ConnectorId(_raw(CONNECTOR, connector)),
        state=ReceiptState.PROCESSED,
        word="payment_intent.captured",
        links=tuple(about),
        references=tuple(named),
    )
    await world.store.conclude([conclusion])
    world.advance(1)
    return receipt


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
    after = ""
    for _ in range(3):
        found = (await world.call("GET", target + after)).json
        seen += [one["id"] for one in found["trail"] if one["kind"] == "receipt"]
        after = f"&after={found['timeline']['next']}"

    assert seen == heard[::-1]


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

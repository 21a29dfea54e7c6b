"""What is heard is stored, answered as its provider wants, and told once, whatever the order."""

import json
import time
from itertools import permutations
from typing import Any

import pytest
from tests.support.inbound_world import InboundWorld, later, sent

from payhooks.api.intake import NOBODY_S
from payhooks.errors import OverloadedError, UnavailableError
from payhooks.model.receipt import ReceiptState, Verdict

pytestmark = pytest.mark.shows("N03")

PAYMENT = {
    "uuid": "pi_1",
    "status": "captured",
    "amount": 1250,
    "currency": "EUR",
    "captured_amount": 1250,
    "order_serial": "ORD-1",
}


async def _said(
    world: InboundWorld, merchant: str, event: str, minutes: float, **members: object
) -> tuple[dict[str, str], bytes]:
    data = {**PAYMENT, **members, "updated_at": later(minutes).isoformat()}
    return sent(
        "owlpay",
        await world.merchant_itself(merchant),
        event,
        json.dumps(data).encode(),
        object_type="payment_intent",
        object_id="pi_1",
        number=int(minutes * 10) + 1,
    )


async def _heard_in(order: tuple[int, ...]) -> tuple[list[dict[str, Any]], list[ReceiptState]]:
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    messages = [
        await _said(world, merchant, "payment_intent.checking_out", 0, status="requires_action"),
        await _said(world, merchant, "payment_intent.authorized", 1, status="authorized"),
        await _said(world, merchant, "payment_intent.captured", 2),
        await _said(
            world,
            merchant,
            "payment_intent.refunded",
            3,
            status="full_refund",
            refund={"uuid": "re_1", "amount": 1250, "currency": "EUR"},
        ),
    ]
    for place in order:
        answer = await world.hears(merchant, "owlpay", *messages[place])
        assert answer.status == 200, answer.body
        await world.process()
    told = [
        {
            "type": event.type,
            "object": (event.object_type, event.object_id),
            "amount": json.loads(event.data)["amount"],
            "at": event.occurred_at,
        }
        for event in await world.events(merchant)
    ]
    return told, [receipt.state for receipt in await world.stored(merchant)]


async def test_a_payment_that_is_heard_is_told_in_unified_events() -> None:
    """What merchants build on: one vocabulary, whoever the provider is."""
    told, states = await _heard_in((0, 1, 2, 3))
    assert [each["type"] for each in told] == [
        "action_required",
        "payment_authorized",
        "payment_succeeded",
        "refund_succeeded",
    ]
    assert told[2]["object"] == ("payment", "pi_1")
    assert told[3]["object"] == ("refund", "re_1")
    assert {each["amount"] for each in told} == {1250}
    assert states == [ReceiptState.PROCESSED] * 4


async def test_what_is_told_does_not_depend_on_the_order_of_arrival() -> None:
    """Providers promise no order, and send again what was not answered."""
    ordered, _ = await _heard_in((0, 1, 2, 3))
    wanted = sorted(ordered, key=lambda each: each["type"])
    for order in permutations(range(4)):
        told, _ = await _heard_in((*order, order[0], order[2]))
        assert sorted(told, key=lambda each: each["type"]) == wanted, order


async def test_a_duplicate_is_stored_and_tells_nothing() -> None:
    """A provider that does not get our answer sends once more: one piece of news all the same."""
    told, states = await _heard_in((2, 2, 2))
    assert [each["type"] for each in told] == ["payment_succeeded"]
    assert states == [ReceiptState.PROCESSED, ReceiptState.DUPLICATE, ReceiptState.DUPLICATE]


async def test_a_forged_request_is_refused_and_kept_in_quarantine() -> None:
    """Forged news of money must reach nobody, and the reason must be there to be read."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    headers, body = await _said(world, merchant, "payment_intent.captured", 0)
    answer = await world.hears(merchant, "owlpay", headers, body.replace(b"1250", b"9999"))
    assert answer.status == 401
    await world.process()
    [receipt] = await world.stored(merchant)
    assert receipt.state is ReceiptState.QUARANTINED
    assert receipt.verdict is Verdict.UNVERIFIED
    assert receipt.reason
    assert await world.events(merchant) == []


async def test_whoever_guesses_hears_one_404() -> None:
    """An unknown merchant, connector, a disabled one: nothing tells them apart."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    answers, took_s = [], []
    for whose, name in (
        (merchant, "nobody"),
        ("mer_00000000000000000000000000", "owlpay"),
        ("nobody", "owlpay"),
        (merchant, "%6fwlpay"),
        (merchant, "owlpay/more"),
    ):
        began_s = time.monotonic()
        answers.append(await world.hears(whose, name, {}, b"{}"))
        took_s.append(time.monotonic() - began_s)
    # As long as the slowest of them takes: that the merchant is known would save a look-up.
    assert min(took_s) > NOBODY_S * 0.9
    assert {answer.status for answer in answers} == {404}
    bodies = {answer.json["detail"] for answer in answers}
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        pytest.param(UnavailableError("it is down"), "store-unavailable", id="down"),
        pytest.param(OverloadedError("it is full"), "overloaded", id="full"),
    ],
)
async def test_a_provider_is_told_to_come_again_in_words_that_are_for_him(
    error: UnavailableError, type_: str
) -> None:
    """He has no Idempotency-Key: whoever reads what he shows of our answer would look for it."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    headers, body = await _said(world, merchant, "payment_intent.captured", 0)

    async def failing(*_: object, **__: object) -> None:
        raise error

    world.break_store("receive", failing)
    answer = await world.hears(merchant, "owlpay", headers, body)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json["type"] == f"/problems/{type_}"
    assert answer.json["detail"] == "Send the same request again after a moment."


async def test_a_store_whose_clock_differs_is_not_said_to_be_silent() -> None:
    """It answers; whoever looks for an outage looks at the wrong thing."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    headers, body = await _said(world, merchant, "payment_intent.captured", 0)
    world.receiver.refuses = "the clock differs"
    answer = await world.hears(merchant, "owlpay", headers, body)
    assert answer.status == 503
    assert answer.json["title"] == "The store cannot be used now"


async def test_what_is_late_says_so_and_a_second_capture_is_told() -> None:
    """A receiver must not turn a payment back; nor may the same amount, taken twice, be one."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    part = {"status": "partial_refund", "captured_amount": 500}
    for minutes in (2.0, 3.0):
        headers, body = await _said(
            world, merchant, "payment_intent.partial_captured", minutes, **part
        )
        assert (await world.hears(merchant, "owlpay", headers, body)).status == 200
        await world.process()
    late = await _said(world, merchant, "payment_intent.authorized", 1, status="authorized")
    await world.hears(merchant, "owlpay", *late)
    await world.process()
    events = await world.events(merchant)
    assert [event.type for event in events] == [
        "payment_captured",
        "payment_captured",
        "payment_authorized",
    ]
    marks = [json.loads(event.metadata or b"{}").get("superseded") for event in events]
    assert marks == [None, None, True]

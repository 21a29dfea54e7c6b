"""Adyen: captures that fail after they succeeded, and what Adyen captures again by itself."""

import json
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest
from tests.connectors.signed_by_adyen import KEY, NOW, PAYMENT, batch, signed
from tests.support.inbound_world import InboundWorld

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.object_state import fold
from payhooks.catalogue.validation import faults
from payhooks.connectors.unified import FAMILY
from payhooks.flow.conclude import NO_NEWS
from payhooks.model.event import Event
from payhooks.model.receipt import ReceiptState

_AGAIN = "Transaction Recaptured"


def _item(code: str, day: int, reference: str = "A", **members: object) -> dict[str, Any]:
    """Return what is said of a part of 50.00 on a day of July."""
    own = {"pspReference": reference, "originalReference": PAYMENT["pspReference"]}
    said = {"eventCode": code, "eventDate": f"2019-07-0{day}T12:00:00+02:00"}
    return {**PAYMENT, **own, **said, "amount": {"value": 5000, "currency": "EUR"}, **members}


async def _world(capture: str, items: Sequence[Mapping[str, Any]]) -> tuple[InboundWorld, str]:
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(KEY,), options={"capture": capture})
    for item in items:
        answer = await world.hears(merchant, "adyen", {}, batch(signed(item)).body)
        assert answer.status == 200, answer.body
        await world.process()
    return world, merchant


async def _events(capture: str, items: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Return what is told when they come in this order, in the provider's time."""
    world, merchant = await _world(capture, items)
    told = fold(await world.events(merchant), CATALOGUE, now=NOW)
    return [entry.event for entry in told.entries]


def _state(events: Sequence[Event]) -> str | None:
    return fold(events, CATALOGUE, now=NOW).state


@pytest.mark.parametrize("reason", [_AGAIN, "Transaction Auto-recaptured"])
@pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned"])
@pytest.mark.parametrize(
    ("capture", "told", "state"),
    [
        pytest.param(
            "automatic",
            ["payment_succeeded", "payment_failed", "payment_succeeded"],
            "succeeded",
            id="by itself",
        ),
        pytest.param(
            "manual",
            ["payment_authorized", "payment_succeeded", "payment_failed", "payment_succeeded"],
            "succeeded",
            id="once",
        ),
        pytest.param(
            "manual_multiple",
            ["payment_authorized", "payment_captured", "action_required", "payment_captured"],
            "partially_captured_and_capturable",
            id="in parts",
        ),
    ],
)
async def test_what_adyen_captures_again_is_told_again(
    capture: str, told: list[str], state: str, reason: str, *, turned: bool
) -> None:
    """A merchant who was told that it failed keeps the goods, though the money came."""
    items = [
        PAYMENT,
        *([_item("CAPTURE", 1)] if capture != "automatic" else []),
        _item("CAPTURE_FAILED", 2, reason="Technical issue"),
        _item("CAPTURE", 3, reason=reason),
    ]
    order = items[::-1] if turned else items
    events = await _events(capture, [*order, *order])
    assert [event.type for event in events] == told
    assert _state(events) == state


@pytest.mark.parametrize("capture", ["automatic", "manual"])
async def test_what_is_captured_again_and_never_failed_is_no_news(capture: str) -> None:
    """The failure may still come; until then nobody was told that the money had gone."""
    payment = {**PAYMENT, "amount": {"value": 5000, "currency": "EUR"}}
    items = [payment, _item("CAPTURE", 1), _item("CAPTURE", 3, reason=_AGAIN)]
    events = await _events(capture, items)
    assert [event.type for event in events].count("payment_succeeded") == 1


@pytest.mark.parametrize("reason", [None, _AGAIN])
async def test_a_capture_that_is_sent_twice_is_one(reason: str | None) -> None:
    """Each one that is told is money to whoever adds up the parts."""
    item = _item("CAPTURE", 1, reason=reason)
    elsewhere = {**item, "eventDate": "2019-07-01T10:00:00+00:00"}
    world, merchant = await _world("manual_multiple", [item, item, elsewhere])
    assert [event.type for event in await world.events(merchant)] == ["payment_captured"]
    states = sorted(receipt.state for receipt in await world.stored(merchant))
    assert states == sorted([ReceiptState.PROCESSED, *[ReceiptState.DUPLICATE] * 2])


async def test_a_plain_capture_with_another_date_is_a_duplicate_to_adyen() -> None:
    """It defines them by code and reference, and says that the date can be different."""
    items = [_item("CAPTURE", 1), _item("CAPTURE", 2)]
    assert len(await _events("manual_multiple", items)) == 1


@pytest.mark.parametrize("order", [*permutations(range(3))])
async def test_a_part_that_failed_does_not_fail_what_was_captured(order: Sequence[int]) -> None:
    """Who gives up the whole order lets go of money that he has."""
    items = [
        _item("CAPTURE", 1),
        _item("CAPTURE", 2, "B"),
        _item("CAPTURE_FAILED", 3, reason="Technical issue"),
    ]
    events = await _events("manual_multiple", [items[place] for place in order])
    told = [event.type for event in events]
    assert told == ["payment_captured", "payment_captured", "action_required"]
    assert _state(events) == "action_required"
    data = json.loads(events[-1].data)
    assert (data["amount"], data["currency"]) == (5000, "EUR")
    assert (data["status"], data["amount_received"]) == ("requires_merchant_action", None)
    assert data["error_message"] == "Technical issue"
    type_ = CATALOGUE.find(FAMILY, "action_required")
    assert type_ is not None
    assert faults(type_, events[-1].data, at_most=5) == ()


async def test_each_part_that_failed_is_told() -> None:
    """Two parts of the same amount are twice the money that does not come."""
    items = [
        _item("CAPTURE", 1),
        _item("CAPTURE", 2, "B"),
        _item("CAPTURE_FAILED", 3),
        _item("CAPTURE_FAILED", 4, "B"),
    ]
    events = await _events("manual_multiple", [*items, *items])
    told = [event.type for event in events]
    assert told == ["payment_captured"] * 2 + ["action_required"] * 2


@pytest.mark.parametrize("code", ["CANCELLATION", "TECHNICAL_CANCEL", "EXPIRE", "OFFER_CLOSED"])
@pytest.mark.parametrize("capture", ["manual", "manual_multiple"])
async def test_what_is_let_go_after_a_capture_ends_no_payment(capture: str, code: str) -> None:
    """Who takes back the goods for it gives away money that he has."""
    captured, let_go = _item("CAPTURE", 1), _item(code, 2, "B")
    events = await _events(capture, [captured, let_go])
    assert len(events) == 1
    whole = capture == "manual"
    assert _state(events) == ("succeeded" if whole else "partially_captured_and_capturable")
    # What was captured so far no message of a part says.
    assert json.loads(events[0].data)["amount_received"] == (5000 if whole else None)
    assert [event.type for event in await _events(capture, [let_go])] != []


async def test_a_payment_whose_capture_is_not_heard_of_is_cancelled() -> None:
    """Where captures go by themselves, that it was authorized is told as success."""
    events = await _events("automatic", [PAYMENT, _item("CANCELLATION", 2, "B")])
    assert [event.type for event in events] == ["payment_succeeded", "payment_cancelled"]


async def test_a_capture_that_tells_nothing_says_so() -> None:
    """The second of a payment that is captured once, says the option: somebody should look."""
    world, merchant = await _world("manual", [_item("CAPTURE", 1), _item("CAPTURE", 2, "B")])
    details = [receipt.detail for receipt in await world.stored(merchant)]
    assert set(details) == {None, NO_NEWS}

"""What was told is counted by what is still known of it: receipts are kept for a month only."""

from datetime import timedelta

import pytest
from tests.connectors import signed_by_adyen as adyen
from tests.support.inbound_world import InboundWorld

from payhooks.flow.conclude import HISTORY_MAX

pytestmark = pytest.mark.shows("N04")


async def _captures(world: InboundWorld, merchant: str, numbers: range) -> None:
    for number in numbers:
        item = {
            **adyen.PAYMENT,
            "eventCode": "CAPTURE",
            "pspReference": f"capture-{number}",
            "originalReference": adyen.PAYMENT["pspReference"],
            "amount": {"value": 100, "currency": "EUR"},
        }
        request = adyen.batch(adyen.signed(item))
        answer = await world.hears(merchant, "adyen", {}, request.body)
        assert answer.status == 200, answer.body
        await world.process()


async def test_more_equal_captures_than_a_history_has_receipts_are_all_told() -> None:
    """Each is money; that the first of them are not read any more makes none of them less."""
    world = InboundWorld()
    merchant = await world.merchant()
    options = {"capture": "manual_multiple"}
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,), options=options)
    await _captures(world, merchant, range(HISTORY_MAX + 5))
    events = await world.events(merchant)
    assert [event.type for event in events] == ["payment_captured"] * (HISTORY_MAX + 5)


async def test_an_equal_capture_is_told_after_receipts_of_earlier_ones_were_purged() -> None:
    """Who pays in instalments pays the same again, for longer than receipts are kept."""
    world = InboundWorld()
    merchant = await world.merchant()
    options = {"capture": "manual_multiple"}
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,), options=options)
    await _captures(world, merchant, range(1))
    world.advance(timedelta(days=20).total_seconds())
    await _captures(world, merchant, range(1, 2))
    assert await world.retire_receipts(kept=timedelta(days=10)) == 1
    await _captures(world, merchant, range(2, 3))
    events = await world.events(merchant)
    assert [event.type for event in events] == ["payment_captured"] * 3

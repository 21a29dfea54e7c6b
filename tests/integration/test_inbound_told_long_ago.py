"""What was told is not told once more when the receipts of it are gone: providers look back."""

import json
from datetime import timedelta

import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.connectors import signed_by_adyen as adyen
from tests.support.inbound_world import HEARD_AT, InboundWorld

from payhooks import limits
from payhooks.model.receipt import ReceiptState
from payhooks.ports.fetching import Fetched

pytestmark = pytest.mark.shows("N04")

RETENTION = timedelta(days=30)
REFUND = {"id": "re_1", "status": "refunded", "amount": {"value": "2.00", "currency": "EUR"}}
CHARGEBACK = {
    "id": "chb_1",
    "amount": {"value": "8.00", "currency": "EUR"},
    "createdAt": "2018-05-01T11:30:00+00:00",
}


async def _later(world: InboundWorld, days: float) -> None:
    """Let days go by, and with them what is older than the retention."""
    world.advance(timedelta(days=days).total_seconds())
    now = world.clock.now()
    for retire in (world.store.retire, world.store.retire_receipts):
        while await retire(before=now - RETENTION, limit=100):
            pass
    while await world.store.forget_said(
        before=now - timedelta(days=limits.SAID_KEPT_DAYS), limit=100
    ):
        pass


async def _told(world: InboundWorld, merchant: str) -> list[tuple[str, str | None]]:
    """Return what events there are; those before the retention are not."""
    return [(event.type, event.object_id) for event in await world.events(merchant)]


async def _mollie_calls(world: InboundWorld, merchant: str, **embedded: object) -> None:
    answer = {**mollie.PAID, "_embedded": embedded}
    body = json.dumps(answer).encode()
    world.fetcher.script = lambda _asked: Fetched(status=200, body=body)
    said = await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
    assert said.status == 200
    await world.process()


async def test_of_mollies_whole_answer_only_the_news_is_told_on_day_40() -> None:
    """Each answer has all that ever was; chargebacks come after months."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    await _mollie_calls(world, merchant)
    await _mollie_calls(world, merchant, refunds=[REFUND])
    assert await _told(world, merchant) == [
        ("payment_succeeded", mollie.ID),
        ("refund_succeeded", "re_1"),
    ]

    await _later(world, 40)
    assert await _told(world, merchant) == []
    await _mollie_calls(world, merchant, refunds=[REFUND], chargebacks=[CHARGEBACK])
    assert await _told(world, merchant) == [("dispute_opened", "chb_1")]

    await _later(world, 40)
    await _mollie_calls(world, merchant, refunds=[REFUND], chargebacks=[CHARGEBACK])
    assert await _told(world, merchant) == []


async def test_an_update_of_treezors_that_tells_the_old_state_is_no_news_on_day_45() -> None:
    """What changed is how much of it was paid back: refunds tell that themselves."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "treezor")

    async def update(number: int, days: int, refunded: str | None) -> None:
        at = HEARD_AT + timedelta(days=days)
        payin = {
            "payinId": "9001",
            "payinStatus": "VALIDATED",
            "codeStatus": "160004",
            "amount": "25.00",
            "currency": "EUR",
            "walletId": "1",
            "userId": "1",
            "refundAmount": refunded,
            "createdDate": "2026-11-20 12:00:00",
            "modifiedDate": at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        await world.hears_event(
            merchant,
            "treezor",
            "payin.update",
            {"payins": [payin]},
            object_type="payin",
            object_id="9001",
            at=at,
            number=number,
        )
        await world.process()

    await update(1, 0, None)
    assert await _told(world, merchant) == [("payment_succeeded", "9001")]
    await _later(world, 45)
    await update(2, 45, "1.00")
    await update(3, 46, "25.00")
    assert await _told(world, merchant) == []
    states = {receipt.state for receipt in await world.stored(merchant)}
    assert states == {ReceiptState.PROCESSED}


async def test_a_message_of_adyens_that_a_stranger_kept_tells_nothing_on_day_32() -> None:
    """It has no time in its signature: it is good for ever."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    captured = adyen.batch(adyen.signed(adyen.PAYMENT))
    for days in (0, 32, 64):
        await _later(world, days)
        assert (await world.hears(merchant, "adyen", {}, captured.body)).status == 200
        await world.process()
        told = [("payment_succeeded", adyen.PAYMENT["pspReference"])] if days == 0 else []
        assert await _told(world, merchant) == told
        expected = ReceiptState.DUPLICATE if days else ReceiptState.PROCESSED
        assert [receipt.state for receipt in await world.stored(merchant)] == [expected]


async def test_captures_that_a_stranger_kept_tell_nothing_and_new_ones_of_the_same_do() -> None:
    world = InboundWorld()
    merchant = await world.merchant()
    options = {"capture": "manual_multiple"}
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,), options=options)

    async def captured(number: int) -> None:
        item = {
            **adyen.PAYMENT,
            "eventCode": "CAPTURE",
            "pspReference": f"capture-{number}",
            "originalReference": adyen.PAYMENT["pspReference"],
        }
        await world.hears(merchant, "adyen", {}, adyen.batch(adyen.signed(item)).body)
        await world.process()

    await captured(1)
    await captured(2)
    await _later(world, 40)
    counts = []
    for number in (2, 3, 1, 4, 2):
        await captured(number)
        counts.append(len(await world.events(merchant)))
    assert counts == [0, 1, 1, 2, 2]


async def test_a_payment_that_fails_once_more_after_it_had_succeeded_is_told() -> None:
    """It was told as failed long ago; what was told last of it is another thing."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owngateway")

    async def turns(status: str, number: int) -> list[str]:
        at = world.clock.now()
        payment = {
            "payment_id": "1001",
            "status": status,
            "amount": 1250,
            "net_amount": 1250,
            "currency": "EUR",
            "merchant_id": "shop",
            "amount_capturable": 0,
            "created": HEARD_AT.isoformat(),
            "updated": at.isoformat(),
        }
        await world.hears_event(
            merchant,
            "owngateway",
            f"payment_{status}",
            payment,
            object_type="payment",
            object_id="1001",
            at=at,
            number=number,
        )
        await world.process()
        return [event.type for event in await world.events(merchant)]

    assert await turns("failed", 1) == ["payment_failed"]
    await _later(world, 1)
    assert await turns("succeeded", 2) == ["payment_failed", "payment_succeeded"]
    await _later(world, 44)
    assert await turns("failed", 3) == ["payment_failed"]


async def test_what_was_told_years_ago_is_not_remembered() -> None:
    """Everything ends: a provider that tells it again by then tells news."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    captured = adyen.batch(adyen.signed(adyen.PAYMENT))
    for days, count in ((0, 1), (limits.SAID_KEPT_DAYS - 1, 0), (2, 1)):
        await _later(world, days)
        await world.hears(merchant, "adyen", {}, captured.body)
        await world.process()
        assert len(await world.events(merchant)) == count

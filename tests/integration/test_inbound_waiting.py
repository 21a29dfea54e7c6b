"""What waits for too long is asked for, shown and said once; what follows from what is heard."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.support.inbound_world import HEARD_AT, InboundWorld, later

from payhooks.flow.orders import OrderFollower
from payhooks.ids import MerchantId
from payhooks.model.connector import Connector
from payhooks.ports.controlling import Window
from payhooks.ports.fetching import Fetch, Fetched
from payhooks.ports.reading import EventFilter, StoredEvent

_KEY_AT_FOLOOSI = "sk_of_an_account_at_foloosi"
PAYMENT = {
    "payment_id": "pay_1",
    "status": "processing",
    "amount": 1250,
    "net_amount": 1250,
    "currency": "EUR",
    "merchant_id": "shop",
    "amount_capturable": 0,
    "amount_received": 0,
    "created": "2026-11-20T12:00:00.000Z",
    "updated": "2026-11-20T12:00:00.000Z",
}


async def _hears(
    world: InboundWorld, merchant: str, event: str, minutes: float, **said: object
) -> None:
    at = later(minutes)
    data = {**PAYMENT, "updated": at.isoformat(), **said}
    await world.hears_event(
        merchant,
        "owngateway",
        event,
        data,
        object_type="payment",
        object_id="pay_1",
        at=at,
        number=int(minutes) + 1,
    )
    await world.process()


async def _one_payment_waits() -> tuple[InboundWorld, str, Connector]:
    """Return where a merchant has heard that his payment is processed, who he is, and by what."""
    world = InboundWorld()
    merchant = await world.merchant()
    connector = await world.connector(merchant, "owngateway")
    await _hears(world, merchant, "payment_processing", 0)
    return world, merchant, connector


async def _at_foloosi() -> tuple[InboundWorld, str]:
    """Return where a merchant hears Foloosi, which signs nothing and is asked, and who he is."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "foloosi", secrets=(), credential=_KEY_AT_FOLOOSI)
    return world, merchant


async def _foloosi_calls(world: InboundWorld, merchant: str, status: str) -> None:
    transfer = {"transaction_no": "TESTFLSAPI1", "transaction_status": status}
    body = json.dumps({"data": {"transfer": transfer}}).encode()
    answer = await world.hears(merchant, "foloosi", {}, body)
    assert answer.status == 200, answer.body
    await world.process()


def _answer_of_foloosi(status: str, *, amount: str = "12.50") -> Fetched:
    said = {"transaction_no": "TESTFLSAPI1", "transaction_amount": amount, "currency": "AED"}
    return Fetched(status=200, body=json.dumps({"data": {**said, "status": status}}).encode())


async def _wait_at_mollie(
    world: InboundWorld, merchants: Sequence[str], *, connect: bool = True, **said: object
) -> int:
    """Have ten payments of each wait at Mollie, or what is *said* of them; return how many."""
    payment = {**mollie.PAYMENT, "status": "pending", "createdAt": "2026-10-20T12:00:00Z", **said}

    def answer(request: Fetch) -> Fetched:
        id_ = request.url.split("?")[0].rsplit("/")[-1]
        return Fetched(status=200, body=json.dumps({**payment, "id": id_}).encode())

    world.fetcher.script = answer
    for merchant in merchants:
        if connect:
            await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
        for number in range(10):
            await world.hears(merchant, "mollie", {}, f"id=tr_{number}".encode())
    await world.process()
    return 10 * len(merchants)


async def _types(world: InboundWorld, merchant: str) -> list[tuple[str, object]]:
    events = await world.events(merchant)
    return [(event.type, json.loads(event.data).get("delayed")) for event in events]


@pytest.mark.shows("N07")
async def test_a_payment_that_waits_for_too_long_is_overdue_and_says_so_once() -> None:
    """A merchant must hear that nothing was heard, and not every hour."""
    world, merchant, made = await _one_payment_waits()
    assert await world.expecter.step() == 0
    world.advance(timedelta(hours=25).total_seconds())
    for _ in range(3):
        await world.expecter.step()
        world.advance(3_700.0)
    assert await _types(world, merchant) == [
        ("payment_processing", None),
        ("payment_processing", True),
    ]
    whose = (await world.merchant_itself(merchant)).id
    [overdue] = await world.store.overdue(whose, made.id, Window(limit=10))
    assert (overdue.object_type, overdue.object_id, overdue.since) == ("payment", "pay_1", HEARD_AT)
    assert await world.store.overdue_counts() == [("owngateway", 1)]


@pytest.mark.shows("N07")
async def test_what_goes_on_at_last_is_overdue_no_more() -> None:
    """Though it happened before anybody said that it was late; at the next look, a second later."""
    world, merchant, _connector = await _one_payment_waits()
    world.advance(timedelta(hours=25).total_seconds())
    await world.expecter.step()
    await _hears(world, merchant, "payment_succeeded", 5, status="succeeded", amount_received=1250)
    world.advance(1.0)
    assert await world.expecter.step() == 1
    whose = (await world.merchant_itself(merchant)).id
    assert await world.store.overdue(whose, None, Window(limit=10)) == []
    answer = await world.call("GET", f"/v1/merchants/{merchant}/objects/payment/pay_1")
    assert answer.json["state"] == "succeeded"


@pytest.mark.shows("N07")
async def test_what_goes_on_by_what_a_call_has_us_ask_for_is_overdue_no_more() -> None:
    """Where a provider signs nothing, his answer is the news."""
    world, merchant = await _at_foloosi()
    world.fetcher.script = lambda _: _answer_of_foloosi("pending")
    await _foloosi_calls(world, merchant, "pending")
    world.advance(timedelta(hours=25).total_seconds())
    await world.expecter.step()
    assert await world.store.overdue_counts() == [("foloosi", 1)]
    world.fetcher.script = lambda _: _answer_of_foloosi("success")
    await _foloosi_calls(world, merchant, "success")
    world.advance(1.0)
    assert await world.expecter.step() == 1
    assert await world.store.overdue_counts() == []


@pytest.mark.shows("N07")
@pytest.mark.parametrize("captured", [False, True], ids=["at once", "after a part of it"])
async def test_what_goes_on_and_waits_again_is_overdue_when_that_takes_too_long(
    *, captured: bool
) -> None:
    """Where it waits for the same, and that is said once more, nobody looks, nor asks, for that."""
    world, merchant, _connector = await _one_payment_waits()
    world.advance(timedelta(hours=25).total_seconds())
    await world.expecter.step()
    await _hears(world, merchant, "payment_processing", 1, amount=1300)
    assert [type_ for type_, _ in await _types(world, merchant)] == ["payment_processing"] * 3
    assert await world.expecter.step() == 0
    assert await world.store.overdue_counts() == [("owngateway", 1)]

    if captured:  # and it waits as before, by what it says
        await _hears(world, merchant, "payment_captured", 2, amount_received=100)
        await world.expecter.step()
        assert await world.store.overdue_counts() == [("owngateway", 1)]
    await _hears(world, merchant, "payment_authorized", 1_440, status="requires_capture")
    assert await world.expecter.step() == 1
    assert await world.store.overdue_counts() == []
    world.advance(timedelta(days=7).total_seconds())
    assert await world.expecter.step() == 1
    assert await world.store.overdue_counts() == [("owngateway", 1)]


@pytest.mark.shows("N07")
@pytest.mark.parametrize("look", [1, 2])
async def test_what_succeeds_while_it_is_found_late_is_not_told_as_late_afterwards(
    look: int,
) -> None:
    """A receiver would take a payment that has its money for one that waits."""
    world, merchant, _connector = await _one_payment_waits()
    world.advance(timedelta(hours=25).total_seconds())
    events, looks = world.store.events, 0

    async def read_before_it_succeeds(
        whose: MerchantId, which: EventFilter, window: Window
    ) -> list[StoredEvent]:
        nonlocal looks
        found, looks = await events(whose, which, window), looks + 1
        if looks == look:
            await _hears(world, merchant, "payment_succeeded", 5, status="succeeded")
        return found

    world.break_store("events", read_before_it_succeeds)
    for _ in range(2):
        await world.expecter.step()
        world.advance(31.0)

    told = await _types(world, merchant)
    assert ("payment_processing", True) not in told[told.index(("payment_succeeded", None)) :]
    itself = await world.merchant_itself(merchant)
    assert await world.store.overdue(itself.id, None, Window(limit=10)) == []


@pytest.mark.shows("N07")
async def test_what_a_connector_waited_for_ends_with_it() -> None:
    """Who deleted it hears nothing by it any more, not that something is late either."""
    world, merchant, _connector = await _one_payment_waits()
    deleted = await world.call("DELETE", f"/v1/merchants/{merchant}/connectors/owngateway")
    assert deleted.status == 204
    world.advance(timedelta(hours=25).total_seconds())
    assert await world.expecter.step() == 1
    world.advance(3_700.0)
    assert await world.expecter.step() == 0
    assert await _types(world, merchant) == [("payment_processing", None)]
    assert await world.store.overdue_counts() == []


@pytest.mark.shows("N07")
async def test_who_can_be_asked_is_asked_before_anybody_is_alarmed() -> None:
    """A webhook that was lost on its way is no delay."""
    world, merchant = await _at_foloosi()
    status = "pending"

    def foloosi(request: Fetch) -> Fetched:
        assert ("secret_key", _KEY_AT_FOLOOSI) in request.headers
        return _answer_of_foloosi(status)

    world.fetcher.script = foloosi
    await _foloosi_calls(world, merchant, "pending")
    assert [type_ for type_, _ in await _types(world, merchant)] == ["payment_processing"]
    world.advance(timedelta(hours=25).total_seconds())
    status = "success"
    await world.expecter.step()
    assert [type_ for type_, _ in await _types(world, merchant)] == [
        "payment_processing",
        "payment_succeeded",
    ]
    whose = (await world.merchant_itself(merchant)).id
    assert await world.store.overdue(whose, None, Window(limit=10)) == []


@pytest.mark.shows("N07")
async def test_what_waits_on_by_an_answer_that_is_news_is_overdue_and_asked_for_hourly() -> None:
    """By the question, a part of judging it, it is heard again while it is judged."""
    world, merchant = await _at_foloosi()
    world.fetcher.script = lambda _: _answer_of_foloosi(
        "pending", amount=f"12.{50 + len(world.fetcher.asked)}"
    )
    await _foloosi_calls(world, merchant, "pending")
    world.advance(timedelta(hours=25).total_seconds())
    before = len(world.fetcher.asked)
    whose = (await world.merchant_itself(merchant)).id

    for _ in range(3):
        await world.expecter.step()
        world.advance(31.0)

    assert len(world.fetcher.asked) - before == 1
    assert len(await world.store.overdue(whose, None, Window(limit=10))) == 1
    world.advance(3_600.0)
    await world.expecter.step()
    assert len(world.fetcher.asked) - before == 2
    # Only what is news is kept.
    kept = [receipt for receipt in await world.stored(merchant) if receipt.is_answer]
    assert len(kept) == len(world.fetcher.asked)


@pytest.mark.shows("N07")
@pytest.mark.parametrize(
    ("merchants", "asked_at_once"),
    [
        pytest.param(1, 8, id="one merchant has few places"),
        pytest.param(8, 48 + 2, id="who comes late has one of the last places"),
        pytest.param(20, 48 + 14, id="as each of many has"),
    ],
)
async def test_a_provider_who_is_silent_delays_nobody_elses_news(
    merchants: int, asked_at_once: int
) -> None:
    """Hundreds of payments were overdue first, and each waits for an answer."""
    world = InboundWorld()
    silent, other = [await world.merchant() for _ in range(merchants)], await world.merchant()
    payments = await _wait_at_mollie(world, silent)
    await world.connector(other, "owngateway")
    await _hears(world, other, "payment_processing", 0)
    world.advance(timedelta(hours=25).total_seconds())
    world.fetcher.answers.clear()

    step = asyncio.create_task(world.expecter.step())
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert len(world.fetcher.asked) - payments == asked_at_once
    assert await _types(world, other) == [
        ("payment_processing", None),
        ("payment_processing", True),
    ]
    world.fetcher.answers.set()
    assert await step == payments + 1
    assert len(world.fetcher.asked) == 2 * payments


@pytest.mark.shows("N07")
@pytest.mark.parametrize("merchants", [1, 8])
async def test_a_provider_who_is_silent_keeps_nothing_listed_that_went_on(merchants: int) -> None:
    """All places of its merchant are taken, for hours where thousands are asked for."""
    world = InboundWorld()
    silent = [await world.merchant() for _ in range(merchants)]
    payments = await _wait_at_mollie(world, silent)
    await world.connector(silent[0], "owngateway")
    await _hears(world, silent[0], "payment_processing", 0)
    world.advance(timedelta(hours=25).total_seconds())
    await world.expecter.step()
    assert await world.store.overdue_counts() == [("mollie", payments), ("owngateway", 1)]
    world.advance(timedelta(hours=1).total_seconds())
    await _hears(world, silent[0], "payment_succeeded", 5, status="succeeded", amount_received=1250)
    world.fetcher.answers.clear()

    step = asyncio.create_task(world.expecter.step())
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert await world.store.overdue_counts() == [("mollie", payments)]
    world.fetcher.answers.set()
    assert await step == payments + 1


@pytest.mark.shows("N07")
async def test_what_moved_and_waits_for_too_long_all_the_same_is_asked_for_in_its_turn() -> None:
    """Its provider is asked for no more at once than is due anyhow."""
    world = InboundWorld()
    merchant = await world.merchant()
    payments = await _wait_at_mollie(world, [merchant])
    world.advance(timedelta(days=30).total_seconds())
    await world.expecter.step()
    authorised = {"status": "authorized", "captureMode": "manual"}
    await _wait_at_mollie(
        world, [merchant], authorizedAt="2026-10-20T13:00:00Z", connect=False, **authorised
    )
    types = [type_ for type_, _ in await _types(world, merchant)]
    assert types.count("payment_authorized") == payments
    asked = len(world.fetcher.asked)
    world.fetcher.answers.clear()

    step = asyncio.create_task(world.expecter.step())
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert len(world.fetcher.asked) - asked == 8
    world.fetcher.answers.set()
    await step
    assert len(world.fetcher.asked) - asked == payments
    assert await world.store.overdue_counts() == [("mollie", payments)]
    assert await world.expecter.step() == 0


@pytest.mark.shows("N04", "N05")
async def test_a_failed_payment_that_succeeds_is_a_correction_and_its_order_follows() -> None:
    """What was said of money was wrong: whoever acted on it has to hear so."""
    world = InboundWorld()
    merchant = await world.merchant(families=["foloosi", "owngateway"])
    await world.connector(merchant, "owngateway")
    pay_back = {"required": True, "amount": 1250, "currency": "EUR", "reason": "debited"}
    await _hears(world, merchant, "payment_failed", 1, status="failed", pay_back=pay_back)
    follower = OrderFollower(
        world.control, world.services.acceptor, world.services.book, telemetry=world.telemetry
    )
    await follower.step()
    await _hears(world, merchant, "payment_succeeded", 2, status="succeeded", amount_received=1250)
    await follower.step()
    events = await world.events(merchant)
    assert [event.type for event in events] == [
        "payment_failed",
        "order.cancel",
        "payment_succeeded",
        "order.success",
    ]
    assert json.loads(events[0].data)["pay_back"] == pay_back
    assert json.loads(events[2].metadata or b"{}")["correction"] is True

"""Adyen, Mollie, PayPal and Stripe, from the request to the event that a merchant is told."""

import hashlib
import json
from datetime import timedelta

import pytest
from tests.connectors import answered_by_mollie as mollie
from tests.connectors import signed_by_adyen as adyen
from tests.connectors import signed_by_paypal as paypal
from tests.support.inbound_world import InboundWorld

from payhooks import ids
from payhooks.connectors.judging import NOTHING_THERE
from payhooks.flow.receive import keep
from payhooks.model.connector import Connector
from payhooks.model.receipt import Receipt, ReceiptState, Verdict
from payhooks.ports.controlling import Window
from payhooks.ports.fetching import Fetched


def _answers(world: InboundWorld, url: str, answer: Fetched) -> None:
    """Let the provider answer, at this URL and no other."""
    world.fetcher.script = lambda asked: answer if asked.url == url else None


async def test_a_batch_of_adyens_is_accepted_and_told_item_by_item() -> None:
    """Adyen waits for one word, and sends all of it again if it does not come."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    refund = {
        **adyen.PAYMENT,
        "pspReference": "9913140798220028",
        "originalReference": adyen.PAYMENT["pspReference"],
        "eventCode": "REFUND",
        "eventDate": "2019-06-29T18:03:50+01:00",
    }
    sent = adyen.batch(adyen.signed(adyen.PAYMENT), adyen.signed(refund))
    for _ in range(2):
        answer = await world.hears(merchant, "adyen", {}, sent.body)
        assert (answer.status, answer.body) == (200, b"[accepted]")
        await world.process()
    told = [(event.type, event.object_id) for event in await world.events(merchant)]
    assert sorted(told) == [
        ("payment_succeeded", "7914073381342284"),
        ("refund_succeeded", "9913140798220028"),
    ]
    states = [receipt.state for receipt in await world.stored(merchant)]
    assert states == [ReceiptState.PROCESSED, ReceiptState.DUPLICATE]


async def test_what_is_unknown_beside_what_is_known_is_named() -> None:
    """Whoever looks for a message that was not told finds what became of it."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    strange = {**adyen.PAYMENT, "pspReference": "9913140798220029", "eventCode": "SOMETHING_NEW"}
    sent = adyen.batch(adyen.signed(strange), adyen.signed(adyen.PAYMENT))
    assert (await world.hears(merchant, "adyen", {}, sent.body)).status == 200
    await world.process()
    assert [event.type for event in await world.events(merchant)] == ["payment_succeeded"]
    [receipt] = await world.stored(merchant)
    assert receipt.state is ReceiptState.PROCESSED
    assert receipt.detail == "Nothing is known of SOMETHING_NEW; what else it says was told."


async def test_what_is_unknown_hides_no_doubt_about_an_amount() -> None:
    """Both stand in one sentence after the other: the doubt was not said in such a batch."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,), options={"capture": "manual"})
    captured = {**adyen.PAYMENT, "eventCode": "CAPTURE"}
    captured["originalReference"] = adyen.PAYMENT["pspReference"]
    strange = adyen.signed({**adyen.PAYMENT, "eventCode": "SOMETHING_NEW"})
    for number, value in enumerate((400, 600)):
        said = {"pspReference": f"C{number}", "amount": {"value": value, "currency": "EUR"}}
        sent = adyen.batch(strange, adyen.signed({**captured, **said}))
        assert (await world.hears(merchant, "adyen", {}, sent.body)).status == 200
        await world.process()
    *_, receipt = await world.stored(merchant)
    assert receipt.detail is not None
    strange_words, doubt = receipt.detail.split(". ", 1)
    assert strange_words == "Nothing is known of SOMETHING_NEW; what else it says was told"
    assert doubt.startswith("payment_succeeded was said of 4.00 EUR as well. Both were told")


async def test_each_payment_of_a_batch_is_waited_for() -> None:
    """A provider that sends many at once may forget any of them."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    ids_ = ["7914073381342284", "7914073381342285"]
    pending = [{**adyen.PAYMENT, "pspReference": id_, "eventCode": "PENDING"} for id_ in ids_]
    sent = adyen.batch(*[adyen.signed(item) for item in pending])
    assert (await world.hears(merchant, "adyen", {}, sent.body)).status == 200
    await world.process()
    world.advance(timedelta(days=30).total_seconds())
    await world.expecter.step()
    whose = (await world.merchant_itself(merchant)).id
    overdue = await world.store.overdue(whose, None, Window(limit=10))
    assert sorted(one.object_id for one in overdue) == ids_


async def test_of_adyens_batch_nothing_is_told_where_one_item_is_forged() -> None:
    """Beside a good item a forged one would come in unseen."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "adyen", secrets=(adyen.KEY,))
    forged = {**adyen.signed(adyen.PAYMENT), "pspReference": "7914073381342285"}
    sent = adyen.batch(adyen.signed(adyen.PAYMENT), forged)
    assert (await world.hears(merchant, "adyen", {}, sent.body)).status == 401
    await world.process()
    assert await world.events(merchant) == []


async def test_a_call_of_mollies_tells_what_mollie_answers() -> None:
    """The call is answered before anybody asks, and repeated calls tell nothing twice."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    refund = {"id": "re_1", "status": "refunded", "amount": {"value": "5.95", "currency": "EUR"}}
    answers = [mollie.PAYMENT, mollie.PAID, {**mollie.PAID, "_embedded": {"refunds": [refund]}}]
    url = f"https://api.mollie.com/v2/payments/{mollie.ID}?embed=refunds,chargebacks"
    for answer in [*answers, answers[-1]]:
        _answers(world, url, Fetched(status=200, body=json.dumps(answer).encode()))
        said = await world.hears(merchant, "mollie", {}, f"id={mollie.ID}".encode())
        assert said.status == 200
        await world.process()
    told = [(event.type, event.object_id) for event in await world.events(merchant)]
    assert told == [("payment_succeeded", mollie.ID), ("refund_succeeded", "re_1")]
    kept = await world.stored(merchant)
    assert [(one.verdict, one.is_answer) for one in kept if one.word != "payment.paid"]


async def test_what_mollie_does_not_know_is_not_told() -> None:
    """Anybody may call with an id that he made up."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential=mollie.LIVE.credential)
    url = "https://api.mollie.com/v2/payments/tr_madeup?embed=refunds,chargebacks"
    _answers(world, url, Fetched(status=404, body=b"{}"))
    await world.hears(merchant, "mollie", {}, b"id=tr_madeup&status=paid")
    await world.process()
    assert await world.events(merchant) == []


async def test_paypals_certificate_is_fetched_and_a_strangers_refused() -> None:
    """Right in everything but the root: whoever could give PayPal's host his own is no PayPal."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
    url = paypal.CERTIFICATE_URL
    _answers(world, url, Fetched(status=200, body=paypal.chain().pem))
    sent = paypal.signed(paypal.BODY)
    answer = await world.hears(merchant, "paypal", sent.headers, sent.body)
    assert answer.status == 401
    assert [asked.url for asked in world.fetcher.asked] == [url]
    [receipt] = await world.stored(merchant)
    assert receipt.state is ReceiptState.QUARANTINED
    assert receipt.reason == "the certificate is not to be trusted"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(404, 401, id="nothing there"),
        pytest.param(400, 401, id="no name of any"),
        pytest.param(429, 503, id="busy"),
        pytest.param(403, 503, id="refused"),
        pytest.param(302, 503, id="elsewhere"),
        pytest.param(500, 503, id="broken"),
    ],
)
async def test_whoever_has_paypals_certificates_and_is_busy_makes_no_forgery(
    status: int, said: int
) -> None:
    """What PayPal sent is then sent again, instead of waiting in the quarantine for a person."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
    _answers(world, paypal.CERTIFICATE_URL, Fetched(status=status, body=b""))
    sent = paypal.signed(paypal.BODY)
    answer = await world.hears(merchant, "paypal", sent.headers, sent.body)
    assert answer.status == said
    kept = [(one.state, one.reason) for one in await world.stored(merchant)]
    assert kept == ([(ReceiptState.QUARANTINED, NOTHING_THERE)] if said == 401 else [])


async def test_nothing_is_fetched_for_a_certificate_of_somebody_elses() -> None:
    """The sender writes the URL: it must not make us call whom he likes."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
    sent = paypal.signed(paypal.BODY, url="https://paypal.example/v1/notifications/certs/CERT-1")
    assert (await world.hears(merchant, "paypal", sent.headers, sent.body)).status == 401
    assert list(world.fetcher.asked) == []


async def test_each_capture_of_an_order_of_paypals_is_told_once() -> None:
    """An order of two sellers is captured twice, each time for good, and sent again and again."""
    for order in ([0, 1, 0, 1], [1, 1, 0, 0]):
        world = InboundWorld()
        merchant = await world.merchant()
        connector = await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
        captures = [_captured("C1", "50.00"), _captured("C2", "70.00")]
        for place in order:
            await _verified(world, connector, captures[place])
        told = [(event.type, event.object_id) for event in await world.events(merchant)]
        assert told == [("payment_succeeded", "5O190127TN364715T")] * 2
        amounts = [json.loads(event.data)["amount"] for event in await world.events(merchant)]
        assert sorted(amounts) == [5_000, 7_000]
        states = [receipt.state for receipt in await world.stored(merchant)]
        assert sorted(states) == [ReceiptState.DUPLICATE] * 2 + [ReceiptState.PROCESSED] * 2


async def test_a_capture_of_paypals_that_comes_with_another_amount_is_for_a_person() -> None:
    """Both under one id cannot be true, whatever PayPal calls the messages."""
    world = InboundWorld()
    merchant = await world.merchant()
    connector = await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
    await _verified(world, connector, _captured("C1", "50.00"))
    await _verified(world, connector, _captured("C1", "70.00", message="WH-2"))
    assert len(await world.events(merchant)) == 1
    states = [receipt.state for receipt in await world.stored(merchant)]
    assert states == [ReceiptState.PROCESSED, ReceiptState.CONFLICTING]


async def test_a_charge_of_stripes_that_does_not_name_its_refund_is_unmapped() -> None:
    """Money went back, and nobody was told: whoever looks has to find it."""
    world = InboundWorld()
    merchant = await world.merchant()
    connector = await world.connector(merchant, "stripe")
    charge = {"id": "ch_1", "object": "charge", "currency": "eur", "amount_refunded": 4000}
    said = {"id": "evt_1", "object": "event", "created": 1893456000, "type": "charge.refunded"}
    await _verified(world, connector, json.dumps(said | {"data": {"object": charge}}).encode())
    assert await world.events(merchant) == []
    [receipt] = await world.stored(merchant)
    assert (receipt.state, receipt.object_id) == (ReceiptState.UNMAPPED, "ch_1")


def _captured(capture: str, value: str, *, message: str = "WH-1") -> bytes:
    resource = {"id": capture, "amount": {"currency_code": "USD", "value": value}}
    said = {"id": f"{message}-{capture}", "resource": paypal.CAPTURE["resource"] | resource}
    return json.dumps({**paypal.CAPTURE, **said}).encode()


async def _verified(world: InboundWorld, connector: Connector, body: bytes) -> None:
    """Process a request as if it was signed: nobody here has the provider's key."""
    receipt = Receipt(
        id=ids.ReceiptId(world.ids.new()),
        merchant_id=connector.merchant_id,
        connector_id=connector.id,
        method="POST",
        query="",
        headers=(),
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        verdict=Verdict.VERIFIED,
        answered=200,
    )
    await keep(world.store, [receipt], owner=1)
    await world.normaliser.process(receipt)

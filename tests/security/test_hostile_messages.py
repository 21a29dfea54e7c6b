"""What a provider gone mad, or a merchant who signs for himself, cannot do to everybody else."""

import msgspec
import pytest
from tests.connectors import signed_by_paypal as paypal
from tests.support.inbound_world import InboundWorld, sent
from tests.support.owlpay_sender import SECRET as WHS
from tests.support.owlpay_sender import signed
from tests.support.providers import payment

from payhooks.flow.receive import UNVERIFIED_BURST
from payhooks.model.receipt import ReceiptState, Verdict

OWLPAY = "owlpay"


async def _signs(world: InboundWorld) -> str:
    merchant = await world.merchant()
    await world.connector(merchant, OWLPAY, secrets=[WHS])
    return merchant


async def _said(world: InboundWorld, merchant: str, body: bytes) -> None:
    headers = signed(body, world.clock.now(), WHS)
    answer = await world.hears(merchant, OWLPAY, headers, body)
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("number", ["1e99999999999999999999", "1e-99999999999999999999"])
async def test_a_number_that_no_decimal_can_hold_ends_its_receipt(number: str) -> None:
    """What raises something else is claimed again for ever, before everybody's that are newer."""
    world = InboundWorld()
    merchant = await _signs(world)
    spelled = payment(1).replace(b'"amount": 1250', b'"amount": 1250, "rate": ' + number.encode())
    await _said(world, merchant, spelled)
    await world.process()
    [receipt] = await world.stored(merchant)
    assert receipt.state is ReceiptState.UNDECODABLE


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_time_at_the_end_of_time_is_not_told(at: str) -> None:
    """PostgreSQL gives some back as none at all: no lease with such an event in it ends well."""
    world = InboundWorld()
    merchant = await _signs(world)
    await _said(world, merchant, payment(1, updated_at=at))
    await world.process()
    [event] = await world.events(merchant)
    assert event.occurred_at is None


async def test_what_strangers_send_does_not_keep_paypals_certificate_from_being_had() -> None:
    """Whoever knows the URL could have PayPal turned away for as long as he likes."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "paypal", secrets=(), options=paypal.OPTIONS)
    for _ in range(UNVERIFIED_BURST + 1):
        last = await world.hears(merchant, "paypal", {}, b"{}")
    assert last.status == 429
    real = paypal.signed(paypal.BODY)
    await world.hears(merchant, "paypal", real.headers, real.body)
    assert [asked.url for asked in world.fetcher.asked] == [paypal.CERTIFICATE_URL]


async def test_a_large_body_that_nobody_signed_is_a_strangers() -> None:
    """As something to be fetched each would be looked through for a tenth of a second, and kept."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "mollie", secrets=(), credential="test_abcdefghijklmnop")
    body = b"id=tr_1&a=" + b"4111-1111-1111-1111&" * 12_000
    answer = await world.hears(merchant, "mollie", {}, body)
    [receipt] = await world.stored(merchant)
    assert (answer.status, receipt.verdict) == (401, Verdict.UNVERIFIED)
    assert receipt.body == b""


async def test_a_message_about_thousands_of_objects_is_read_no_further() -> None:
    """Each is a look at its history and an event: eight thousand kept a process for seconds."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "treezor", secrets=["a-secret-of-treezors"])
    items = [
        {"payinId": number, "payinStatus": "VALIDATED", "amount": "1", "currency": "EUR"}
        for number in range(101)
    ]
    headers, body = sent(
        "treezor",
        await world.merchant_itself(merchant),
        "payin.update",
        msgspec.json.encode({"payins": items}),
        object_type="payin",
        object_id="1",
        secret="a-secret-of-treezors",
    )
    assert (await world.hears(merchant, "treezor", headers, body)).status == 200
    await world.process()
    [receipt] = await world.stored(merchant)
    assert receipt.state is ReceiptState.UNDECODABLE
    assert await world.events(merchant) == []


async def test_no_message_is_nested_so_deep_that_it_is_lost() -> None:
    """At some depths it could be read and not be looked through: 500, and nothing was kept."""
    number = b"4111 1111 1111 1111"
    world = InboundWorld()
    merchant = await _signs(world)
    depths = range(880, 1_000)
    for depth in depths:
        body = b'{"a":' * depth + b'{"%b":1}' % number + b"}" * depth
        headers = signed(body, world.clock.now(), WHS)
        answer = await world.hears(merchant, OWLPAY, headers, body)
        assert answer.status == 200, depth
    receipts = await world.stored(merchant)
    assert len(receipts) == len(depths)
    assert not any(number in receipt.body for receipt in receipts)

"""What operators are told of what providers send: an old secret, a code that nobody may send."""

import json

import pytest
from tests.support.inbound_world import SECRET, InboundWorld, sent

from payhooks import ids
from payhooks.flow.receive import BODY_BYTES_MAX

_NEW = "whs_the_new_one_0123456789"
_DATA = {"uuid": "pi_1", "status": "captured", "amount": 1250, "currency": "EUR"}


async def _heard(
    world: InboundWorld, merchant: str, secret: str = SECRET, **members: object
) -> int:
    """Post what OwlPay sends, signed with the secret; return the answer's status."""
    world.advance(1)
    headers, body = sent(
        "owlpay",
        await world.merchant_itself(merchant),
        "payment_intent.captured",
        json.dumps({"payment_intent": {**_DATA, **members}}).encode(),
        object_type="payment_intent",
        object_id="pi_1",
        secret=secret,
        now=world.clock.now(),
    )
    return (await world.hears(merchant, "owlpay", headers, body)).status


@pytest.mark.shows("I16")
async def test_who_signs_with_an_older_secret_is_counted() -> None:
    """While both verify nothing else says that the provider was never given the new one."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay", secrets=(_NEW, SECRET))
    counted = []
    for secret in (_NEW, SECRET, "whs_of_somebody_else_0123", _NEW):
        status = await _heard(world, merchant, secret)
        counted.append((status, len(world.telemetry.by_older_secret)))
    assert counted == [(200, 0), (200, 1), (401, 1), (200, 1)]
    assert world.telemetry.by_older_secret == ["owlpay"]


@pytest.mark.shows("I14")
@pytest.mark.parametrize(
    "member",
    [
        pytest.param({"cvv": "737"}, id="a security code"),
        pytest.param({"track2": "4111111111111111=30121010000012345678"}, id="a stripe"),
        pytest.param({"pin_block": "0123456789ABCDEF"}, id="a PIN block"),
    ],
)
async def test_what_nobody_may_send_wakes_an_operator_now_and_then(
    member: dict[str, str],
) -> None:
    """It was masked; whoever sends it has to be told, and says it with each payment."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    for _ in range(3):
        assert await _heard(world, merchant, **member) == 200
    [first, *_] = await world.stored(merchant)
    said = f"{ids.to_text(ids.RECEIPT, first.id)} of {merchant} had it"
    assert world.telemetry.alarms == [("sensitive_card_data", said)]
    world.advance(600)
    assert await _heard(world, merchant, **member) == 200
    assert len(world.telemetry.alarms) == 2


@pytest.mark.shows("I14")
async def test_a_card_number_or_a_stranger_wakes_nobody() -> None:
    """A number that is masked is counted, and anybody may send a code to a URL that he knows."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    assert await _heard(world, merchant, number="4111111111111111") == 200
    assert await _heard(world, merchant, "whs_of_somebody_else_0123", cvv="737") == 401
    assert world.telemetry.card_data == ["card_number_masked", "security_code_masked"]
    assert world.telemetry.alarms == []


async def test_what_is_turned_away_is_counted_whoever_it_is_for() -> None:
    """A payment that is larger than is taken was known to its provider alone."""
    world = InboundWorld()
    merchant = await world.merchant()
    await world.connector(merchant, "owlpay")
    large, packed = b" " * (BODY_BYTES_MAX + 1), {"content-encoding": "gzip"}
    for name, status in (("owlpay", 413), ("nobody", 404)):
        assert (await world.hears(merchant, name, {}, large)).status == status
        assert (await world.hears(merchant, name, packed, b"{}")).status == 415
    path = f"/webhooks/{merchant}/owlpay"
    assert (await world.call("POST", f"{path}?{'a' * 3_000}", raw=b"", key=None)).status == 414
    assert (await world.call("DELETE", path, raw=b"", key=None)).status == 405
    assert world.telemetry.turned_away == [413, 415, 404, 415, 414, 405]
    assert await _heard(world, merchant) == 200
    assert await _heard(world, merchant, "whs_of_somebody_else_0123") == 401
    assert (await world.call("GET", "/v1/nothing")).status == 404
    assert len(world.telemetry.turned_away) == 6, "what is kept, and what is the API's, is not"

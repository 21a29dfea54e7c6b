"""Providers send tests to live addresses too, and say so: no merchant ships goods for those."""

import json

import pytest
from tests.support.inbound_world import HEARD_AT, InboundWorld, sent

from payhooks.model.receipt import ReceiptState

_INTENT = {
    "uuid": "pi_1",
    "status": "succeeded",
    "amount": 1250,
    "currency": "EUR",
    "updated_at": HEARD_AT.isoformat(),
}
_CHARGE = {"id": "pi_1", "status": "succeeded", "amount": 1250, "currency": "eur"}
_SECRETS = {"owlpay": "whs_test_secret_of_a_connector", "stripe": "whsec_c2VjcmV0LW9mLWEtdGVzdA=="}


@pytest.mark.parametrize(
    ("dialect", "event", "object_type", "data"),
    [
        ("owlpay", "payment_intent.captured", "payment_intent", _INTENT),
        ("stripe", "payment_intent.succeeded", "payment_intent", _CHARGE),
    ],
)
@pytest.mark.parametrize("hears", ["live", "sandbox"])
@pytest.mark.parametrize("sends", ["live", "sandbox"])
@pytest.mark.shows("N05")
async def test_a_live_merchant_is_not_told_of_tests(  # noqa: PLR0913, PLR0917 - all ways
    dialect: str,
    event: str,
    object_type: str,
    data: dict[str, object],
    hears: str,
    sends: str,
) -> None:
    """Stripe sends both kinds to one address of a platform, signed with one secret."""
    world = InboundWorld()
    merchant = await world.merchant(mode=hears)
    sender = await world.merchant_itself(await world.merchant(mode=sends))
    await world.connector(merchant, dialect, secrets=(_SECRETS[dialect],))
    headers, body = sent(
        dialect,
        sender,
        event,
        json.dumps(data).encode(),
        object_type=object_type,
        object_id="pi_1",
        secret=_SECRETS[dialect],
        now=world.clock.now(),
    )
    assert (await world.hears(merchant, dialect, headers, body)).status == 200
    await world.process()
    [receipt] = await world.stored(merchant)
    told = [event.type for event in await world.events(merchant)]
    if (hears, sends) == ("live", "sandbox"):
        assert told == []
        assert receipt.state is ReceiptState.IGNORED
        assert receipt.detail == "It is a test; a live merchant is told of real money alone."
    else:
        assert told == ["payment_succeeded"]

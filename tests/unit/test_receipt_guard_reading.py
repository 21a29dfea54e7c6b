"""A message of which card data was masked is read as it would have been."""

import hashlib
import json
from typing import Any, Final

import msgspec
import pytest
from tests.support.dialect_events import CUSTOM_DIALECT
from tests.support.inbound_world import HEARD_AT, InboundWorld, sent

from payhooks.catalogue import CATALOGUE
from payhooks.connectors import registry
from payhooks.connectors.contract import NO_OPTIONS, Incoming
from payhooks.flow.receipt_guard import guarded, kept_headers
from payhooks.ids import ConnectorId, ReceiptId
from payhooks.model.receipt import Receipt, Verdict

NUMBER: Final = "4111111111111111"
_TYPES: Final = {
    "owlpay": "payment_intent.captured",
    "treezor": "payin.update",
    "merchant-console": "transaction.sale.success",
    "owngateway": "payment_succeeded",
}


@pytest.mark.shows("I14")
@pytest.mark.parametrize("dialect", _TYPES)
async def test_what_is_masked_is_read_as_it_would_have_been(dialect: str) -> None:
    """Neither a payment's id nor its amount is lost because somebody wrote a number in a note."""
    world = InboundWorld()
    merchant = await world.merchant_itself(await world.merchant())
    kind = CATALOGUE.find(dialect, _TYPES[dialect])
    assert kind is not None
    assert kind.example is not None
    data: dict[str, Any] = msgspec.json.decode(kind.example)
    inner = next((part for part in data.values() if isinstance(part, list)), [data])[0]
    where = inner if isinstance(inner, dict) else data
    where |= {"note_of_somebody": f"paid with {NUMBER}", "pan": int(NUMBER), "cvv": "737"}
    headers, body = sent(
        dialect,
        merchant,
        _TYPES[dialect],
        json.dumps(data).encode(),
        object_type="payment",
        object_id=str(where.get("payinId", 7)),
        at=HEARD_AT,
    )
    kept = guarded(
        Receipt(
            id=ReceiptId(bytes(16)),
            merchant_id=merchant.id,
            connector_id=ConnectorId(bytes(16)),
            method="POST",
            query="",
            headers=kept_headers(headers, registry.find(dialect).own_headers),
            body=body,
            body_sha256=hashlib.sha256(body).digest(),
            verdict=Verdict.VERIFIED,
            answered=200,
        )
    )
    assert NUMBER.encode() in body
    assert NUMBER.encode() not in kept.body
    assert {finding.code for finding in kept.findings} == {
        "card_number_masked",
        "security_code_masked",
    }
    provider = registry.find(dialect)
    [raw] = provider.read(Incoming("POST", "", headers, body), NO_OPTIONS)
    [read] = provider.read(Incoming("POST", "", dict(kept.headers), kept.body), NO_OPTIONS)
    assert msgspec.structs.replace(read, data=b"") == msgspec.structs.replace(raw, data=b"")
    assert len(json.loads(read.data)) == len(json.loads(raw.data))


async def test_two_objects_of_a_merchants_own_format_stay_two() -> None:
    """It calls an object's id as it likes: `about`, here. Masked, these two were one."""
    world = InboundWorld()
    merchant = await world.merchant(custom_dialect=CUSTOM_DIALECT)
    await world.connector(merchant, "custom")
    for number, payment in enumerate(("pay_4000121000091237", "pay_4000121000171237")):
        await world.hears_event(
            merchant,
            "custom",
            "payment_succeeded",
            {"payment_id": payment, "amount": 1250, "currency": "EUR", "status": "succeeded"},
            object_type="payment",
            object_id=payment,
            number=number,
        )
    await world.process()
    assert [event.object_id for event in await world.events(merchant)] == [
        "pay_4000121000091237",
        "pay_4000121000171237",
    ]

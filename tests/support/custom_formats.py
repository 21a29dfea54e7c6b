"""Formats of companies, as the API takes them, and an event to write in them."""

from datetime import UTC, datetime
from random import Random
from typing import Final

import msgspec

from payhooks.dialects import custom
from payhooks.dialects.text_key import text_key
from payhooks.ids import DELIVERY, EndpointId, EventId, MerchantId, TimeOrderedIds, delivery_id
from payhooks.ids import to_text as printed
from payhooks.model.custom_dialect import CustomDialect
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.event import Event
from payhooks.model.merchant import CardNumbers, Merchant, Mode, TypeCheck
from payhooks.testing.clock import ManualClock

# Hex over the body, as GitHub signs; the type and the id stand in the body.
HUB: Final = {
    "signature_header": "X-Hub-Signature-256",
    "signature_prefix": "sha256=",
    "id_header": "X-GitHub-Delivery",
    "envelope": '{"event":"{type}","delivery":"{id}","payload":"{data}"}',
}
# A version, the time and the body, with colons between them, as Slack signs.
SLACK: Final = {
    "signature_header": "X-Slack-Signature",
    "signature_prefix": "v0=",
    "signed": "v0:{timestamp}:{body}",
    "timestamp_header": "X-Slack-Request-Timestamp",
    "envelope": '{"type":"{type}","event_time":"{unix}","event_id":"{id}","event":"{data}"}',
}
# Base64 over milliseconds with the body right behind them, as Cashfree signs.
CASHFREE: Final = {
    "signature_header": "x-webhook-signature",
    "encoding": "base64",
    "signed": "{timestamp}{body}",
    "timestamp_header": "x-webhook-timestamp",
    "timestamp_unit": "milliseconds",
    "envelope": '{"data":"{data}","event_time":"{timestamp}","type":"{type}"}',
}

AT = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
IDS = TimeOrderedIds(ManualClock(AT), Random(1))
MERCHANT = Merchant(
    id=MerchantId(IDS.new()),
    name="Corner shop",
    mode=Mode.SANDBOX,
    reference="shop-1",
    families=(),
    provider_ids=(("merchant_id", "m/1"),),
    card_numbers=CardNumbers.REPORT,
    type_check=TypeCheck.WARN,
    account_id=None,
    version=1,
    created_at=AT,
    updated_at=AT,
)
ENDPOINT = Endpoint(
    id=EndpointId(IDS.new()),
    merchant_id=MERCHANT.id,
    number=3,
    label="Ledger",
    url="https://example.com/hooks",
    events=("*",),
    status=EndpointStatus.ACTIVE,
    disabled_reason=None,
    version=1,
    created_at=AT,
    updated_at=AT,
)
DATA_BYTES = b'{ "amount":1.00, "b":{"a":1e3} ,"text":"\\u00e9" }'
EVENT = Event(
    id=EventId(IDS.new_event()),
    merchant_id=MERCHANT.id,
    type="payment_intent.succeeded",
    family="owlpay",
    data=DATA_BYTES,
    object_type="payment",
    object_id='pay "1"',
    occurred_at=AT,
)
BARE = msgspec.structs.replace(EVENT, object_type=None, object_id=None, occurred_at=None)
MESSAGE_ID = printed(DELIVERY, delivery_id(EVENT.id, ENDPOINT.number))
KEY, OLD_KEY = text_key("the-key-of-today"), text_key("the-key-of-yesterday")


def made_format(**members: object) -> CustomDialect:
    """Return a definition with these members."""
    return msgspec.convert({"version": 1, **members}, CustomDialect)


def made_dialect(**members: object) -> custom.Custom:
    """Return the dialect of these members."""
    return custom.bind(made_format(**members))


def sent(dialect: custom.Custom, event: Event = EVENT) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an attempt, signed with both keys."""
    body = dialect.render(event=event, endpoint=ENDPOINT, merchant=MERCHANT).body
    signed = dialect.sign(message_id=MESSAGE_ID, body=body, secrets=[KEY, OLD_KEY], now=AT)
    assert signed.body == body
    return {name.lower(): value for name, value in signed.headers}, body

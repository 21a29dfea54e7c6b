"""A signed request in each dialect, for whoever asks the receiver SDK."""

import base64
from datetime import UTC, datetime
from typing import Final

from payhooks.receiver.samples import body_of, signed
from payhooks.receiver.ways import Request

SENT_AT: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)
HAPPENED_AT: Final = datetime(2029, 12, 31, 23, 59, 58, tzinfo=UTC)
SECRET: Final = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET: Final = "whsec_" + base64.b64encode(bytes(32)).decode()


def signed_body(dialect: str, body: bytes) -> Request:
    """Return a request with any body that the dialect can sign."""
    return signed(dialect, body, SECRET, event_id="evt_1", now=SENT_AT)


def request_of(dialect: str, *, at: datetime = HAPPENED_AT) -> Request:
    """Return a request about a payment to which something happened."""
    data = {"paymentId": "pay_1", "payment_id": "pay_1", "note": "Zürich / 😀"}
    body = body_of(
        dialect,
        event_type="payment.done",
        event_id="evt_1",
        object_type="payment",
        data=data,
        at=at,
    )
    return signed_body(dialect, body)

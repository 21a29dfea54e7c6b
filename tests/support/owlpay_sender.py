"""OwlPay as it sends to a connector: its messages, signed with the secret that it is given."""

import json
from datetime import datetime
from typing import Any, Final

from payhooks.dialects.owlpay import OWLPAY

SECRET: Final = "whs_4e1f0c7a92b3d85f60e1a7c2"
OTHER_SECRET: Final = "whs_a8d27f5b1c90e34676bb01de"


def message(type_: str, members: dict[str, Any], *, uuid: str = "att_1") -> bytes:
    """Return a message about a payment intent with these members."""
    body = {
        "uuid": uuid,
        "api_version": "1.0.0",
        "is_test": 1,
        "observation": type_,
        "data": {"payment_intent": members},
    }
    return json.dumps(body).encode()


def signed(body: bytes, at: datetime, secret: str = SECRET) -> dict[str, str]:
    """Return the headers with which the body is sent."""
    key = OWLPAY.signing_secret(secret)
    made = OWLPAY.sign(message_id="del_1", body=body, secrets=[key], now=at)
    return dict(made.headers)

"""Notifications as Adyen signs them, with the keys that its documentation and libraries use."""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from payhooks.connectors.contract import Incoming

NOW: Final = datetime(2030, 1, 10, tzinfo=UTC)
KEY: Final = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
OTHER_KEY: Final = "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00"
_SIGNED: Final = ("merchantAccountCode", "merchantReference")

PAYMENT: Final[Mapping[str, Any]] = {
    "pspReference": "7914073381342284",
    "merchantAccountCode": "TestMerchant",
    "merchantReference": "TestPayment-1407325143704",
    "amount": {"value": 1130, "currency": "EUR"},
    "eventCode": "AUTHORISATION",
    "success": "true",
    "eventDate": "2019-06-28T18:03:50+01:00",
}


def signature_of(item: Mapping[str, Any], key: str = KEY) -> str:
    """Return what Adyen would sign an item with."""
    amount = item.get("amount", {})
    parts = [
        item["pspReference"],
        item.get("originalReference", ""),
        *(item.get(name, "") for name in _SIGNED),
        str(amount.get("value", "")),
        amount.get("currency", ""),
        item["eventCode"],
        item["success"],
    ]
    made = hmac.digest(bytes.fromhex(key), ":".join(parts).encode(), "sha256")
    return base64.b64encode(made).decode()


def signed(item: Mapping[str, Any], key: str = KEY) -> dict[str, Any]:
    """Return the item with its signature."""
    beside = item.get("additionalData", {})
    return {**item, "additionalData": {**beside, "hmacSignature": signature_of(item, key)}}


def batch(*items: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Incoming:
    """Return a request with these items."""
    wrapped = [{"NotificationRequestItem": item} for item in items]
    body = json.dumps({"live": "false", "notificationItems": wrapped}).encode()
    return Incoming("POST", "", headers or {}, body)

"""What Adyen's own package signs is verified here, and what is verified here it verifies."""

from typing import Any

import pytest
from Adyen.util import (  # type: ignore[import-untyped]  # it ships no types
    generate_notification_sig,
    is_valid_hmac_notification,
)
from tests.connectors.signed_by_adyen import KEY, NOW, OTHER_KEY, PAYMENT, batch, signed

from payhooks.connectors.contract import Incoming, Keys
from payhooks.connectors.registry import PROVIDERS
from payhooks.errors import SignatureError

_ITEMS: dict[str, dict[str, Any]] = {
    "a payment": dict(PAYMENT),
    "a capture of it": {
        **PAYMENT,
        "eventCode": "CAPTURE",
        "originalReference": "7914073381342284",
        "pspReference": "8815329842815468",
    },
    "a reference with what parts the fields": {**PAYMENT, "merchantReference": r"shop:1\2:3"},
    "a reference beyond ASCII": {**PAYMENT, "merchantReference": "Bestellung-Käse-€"},
    "no reference": {**PAYMENT, "merchantReference": ""},
    "nothing": {
        **PAYMENT,
        "amount": {"value": 0, "currency": "EUR"},
        "eventCode": "REPORT_AVAILABLE",
    },
    "a failure": {**PAYMENT, "success": "false"},
}


def _verifies(request: Incoming, key: str) -> bool:
    try:
        PROVIDERS["adyen"].verify(request, Keys((key,)), NOW, {})
    except SignatureError:
        return False
    return True


@pytest.mark.parametrize("name", _ITEMS)
def test_both_sign_alike(name: str) -> None:
    """Fields in their order, colons within them as they are."""
    item = _ITEMS[name]
    theirs = generate_notification_sig(item, KEY).decode()
    assert _verifies(batch({**item, "additionalData": {"hmacSignature": theirs}}), KEY)
    assert is_valid_hmac_notification(signed(item), KEY)


@pytest.mark.parametrize("name", _ITEMS)
def test_both_refuse_another_key(name: str) -> None:
    """And another amount."""
    item = signed(_ITEMS[name])
    other = {**item, "amount": {**item["amount"], "value": 99_999}}
    for forged, key in ((item, OTHER_KEY), (other, KEY)):
        assert not is_valid_hmac_notification(forged, key)
        assert not _verifies(batch(forged), key)

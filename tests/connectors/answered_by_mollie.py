"""Calls and answers of Mollie's, as its reference prints them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from payhooks.connectors.contract import Incoming, Keys

NOW: Final = datetime(2030, 1, 10, tzinfo=UTC)
ID: Final = "tr_WDqYK6vllg"
LIVE: Final = Keys((), "live_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM")
TEST: Final = Keys((), "test_dHar4XY7LxsDOtmnkVtjNVWXLSlXsM")

# As Mollie's reference prints a payment and what is embedded in it.
PAYMENT: Final[Mapping[str, Any]] = {
    "resource": "payment",
    "id": ID,
    "mode": "test",
    "createdAt": "2018-03-20T13:13:37+00:00",
    "amount": {"value": "10.00", "currency": "EUR"},
    "description": "Order #12345",
    "method": None,
    "metadata": {"order_id": "12345"},
    "status": "open",
    "details": None,
    "profileId": "pfl_QkEhN94Ba",
    "_embedded": {},
}
PAID: Final[Mapping[str, Any]] = {
    **PAYMENT,
    "status": "paid",
    "paidAt": "2018-03-20T13:19:15+00:00",
}


def called(form: bytes, query: str = "") -> Incoming:
    """Return a call of Mollie's."""
    return Incoming("POST", query, {}, form)

"""A unified event's data, as the catalogue's family ``owngateway`` has it. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Told
from payhooks.dialects.owngateway import MERCHANT_ID
from payhooks.dialects.printed import iso_milliseconds, merchant_id
from payhooks.model.currencies import digits_of
from payhooks.model.merchant import Merchant

FAMILY: Final = "owngateway"

# The statuses of payments are not spelled as the events that announce them.
_PAYMENT_STATUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "payment_succeeded": "succeeded",
        "payment_failed": "failed",
        "payment_processing": "processing",
        "action_required": "requires_customer_action",
        "payment_authorized": "requires_capture",
        "payment_partially_authorized": "partially_authorized_and_requires_capture",
        "payment_captured": "partially_captured_and_capturable",
        "payment_cancelled": "cancelled",
        "payment_cancelled_post_capture": "cancelled_post_capture",
        "payment_expired": "expired",
        "surcharge_payment_succeeded": "succeeded",
    }
)
_HELD: Final = frozenset({"payment_authorized", "payment_partially_authorized"})
_TAKEN: Final = frozenset({"payment_succeeded", "payment_captured", "surcharge_payment_succeeded"})
# ISO 4217's code for no currency: a message that names none is not given one.
_NO_CURRENCY: Final = "XXX"


def object_of(unified: str) -> str:
    """Return what a unified event is about, such as a payment, a refund or a dispute."""
    type_ = CATALOGUE.find(FAMILY, unified)
    assert type_ is not None, "unified events are the catalogue's"
    assert type_.object_type is not None, "each is about an object"
    return type_.object_type


def written(  # noqa: PLR0913 - what is told, and who tells it to whom
    told: Told,
    unified: str,
    *,
    connector_name: str,
    connector_id_text: str,
    merchant: Merchant,
    at: datetime,
) -> bytes:
    """Return the event's data, valid against its schema, with all that was told in it.

    What a message does not say is not made up: an amount that nobody named is 0 with
    ``amount_known`` false.
    """
    common: dict[str, Any] = {
        "connector": connector_name,
        "merchant_connector_id": connector_id_text,
        "profile_id": connector_id_text,
    }
    time = iso_milliseconds(at.astimezone(UTC))
    match told.object_type:
        case "payment":
            whose = {"merchant_id": merchant_id(merchant, provided=MERCHANT_ID)}
            data = whose | _payment(told, unified, time)
        case "refund":
            data = _refund(told, unified, time)
        case "dispute":
            data = _dispute(told, unified, time)
        case "payout":
            whose = {"merchant_id": merchant_id(merchant, provided=MERCHANT_ID)}
            data = whose | _payout(told, unified, time)
        case "mandate":
            data = _mandate(told, unified)
        case _:
            data = {"id": told.object_id, "status": "active", "customer_id": None}
    return msgspec.json.encode(data | common | dict(told.extra))


def smallest(amount: Decimal, currency: str) -> int:
    """Return an amount in the currency's smallest unit."""
    scaled = amount.scaleb(digits_of(currency))
    assert scaled % 1 == 0, "whoever read the amount saw to that"
    return int(scaled)


def _money(told: Told) -> dict[str, Any]:
    currency = told.currency or _NO_CURRENCY
    if told.amount is None:
        return {"amount": 0, "currency": currency, "amount_known": False}
    return {"amount": smallest(told.amount, currency), "currency": currency}


def _payment(told: Told, unified: str, time: str) -> dict[str, Any]:
    money = _money(told)
    return {
        "payment_id": told.object_id,
        "status": _PAYMENT_STATUS[unified],
        **money,
        "net_amount": money["amount"],
        "amount_capturable": money["amount"] if unified in _HELD else 0,
        "amount_received": money["amount"] if unified in _TAKEN else 0,
        "connector_transaction_id": told.object_id,
        "created": time,
        "updated": time,
    }


def _refund(told: Told, unified: str, time: str) -> dict[str, Any]:
    return {
        "refund_id": told.object_id,
        # Some providers do not say which payment it gives back.
        "payment_id": told.payment_id or "",
        **_money(told),
        "status": unified.rpartition("_")[2],
        "connector_refund_id": told.object_id,
        "created_at": time,
        "updated_at": time,
    }


def _dispute(told: Told, unified: str, time: str) -> dict[str, Any]:
    money = _money(told)
    return {
        "dispute_id": told.object_id,
        "payment_id": told.payment_id or "",
        "attempt_id": told.payment_id or "",
        **money,
        "amount": str(money["amount"]),
        "dispute_stage": "dispute",
        "dispute_status": unified,
        "connector_status": unified.removeprefix("dispute_"),
        "connector_dispute_id": told.object_id,
        "created_at": time,
        "is_already_refunded": False,
    }


def _payout(told: Told, unified: str, time: str) -> dict[str, Any]:
    return {
        "payout_id": told.object_id,
        **_money(told),
        "status": unified.removeprefix("payout_"),
        # Who is paid out is a company: the merchant, or one that sells through it.
        "entity_type": "Company",
        "auto_fulfill": True,
        "recurring": False,
        "connector_transaction_id": told.object_id,
        "created": time,
    }


def _mandate(told: Told, unified: str) -> dict[str, Any]:
    return {
        "mandate_id": told.object_id,
        "status": unified.removeprefix("mandate_"),
        "payment_method_id": "",
        "payment_method": "",
    }

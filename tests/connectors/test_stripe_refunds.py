"""Stripe: a refund that only the charge tells of."""

import json
from typing import Any

import pytest

from payhooks.catalogue import CATALOGUE
from payhooks.connectors.contract import Heard, Incoming
from payhooks.connectors.stripe import STRIPE

_CHARGE = {"id": "ch_1", "object": "charge", "currency": "eur", "amount_refunded": 4000}
_REFUND = {"id": "re_1", "object": "refund", "amount": 4000}


def _heard(**members: object) -> list[Heard]:
    said: dict[str, Any] = {"id": "evt_1", "object": "event", "created": 1893456000}
    said |= {"type": "charge.refunded", "data": {"object": _CHARGE | members}}
    return [*STRIPE.read(Incoming("POST", "", {}, json.dumps(said).encode()), {})]


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="no refunds"),
        pytest.param({"refunds": None}, id="refunds are null"),
        pytest.param({"refunds": {"object": "list", "data": []}}, id="an empty list"),
    ],
)
def test_a_charge_that_does_not_name_its_refund_is_not_understood(
    members: dict[str, object],
) -> None:
    """How much is refunded by now is no refund; but one was, and nobody may take it for nothing."""
    [heard] = _heard(**members)
    assert (heard.word, heard.object_type, heard.object_id) == ("charge.refunded", "charge", "ch_1")
    assert CATALOGUE.find(heard.family, heard.type) is None


def test_a_charge_whose_refund_is_on_its_way_tells_nothing_yet() -> None:
    """It is understood, and no money has moved."""
    assert _heard(refunds={"data": [_REFUND | {"status": "pending"}]}) == []

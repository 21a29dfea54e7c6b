"""Stripe's events in the unified words."""

import json
from decimal import Decimal
from typing import Any

import pytest
from tests.support.heard_histories import KEYS, NOW, SECRET, Written, written_of

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.validation import faults
from payhooks.connectors.contract import Heard, Incoming
from payhooks.connectors.judging import judged
from payhooks.connectors.stripe import STRIPE
from payhooks.dialects.stripe import STRIPE as DIALECT
from payhooks.errors import InvalidError
from payhooks.model.receipt import Verdict

_INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 12550,
    "amount_capturable": 12550,
    "amount_received": 12550,
    "currency": "eur",
    "status": "succeeded",
    "latest_charge": "ch_1",
    "metadata": {"order_id": "ORD-7"},
}
_REFUND = {
    "id": "re_1",
    "object": "refund",
    "amount": 4000,
    "currency": "eur",
    "status": "succeeded",
    "charge": "ch_1",
    "payment_intent": "pi_1",
}
_DISPUTE = {
    "id": "dp_1",
    "object": "dispute",
    "amount": 4000,
    "currency": "eur",
    "status": "needs_response",
    "charge": "ch_1",
    "payment_intent": "pi_1",
    "reason": "fraudulent",
}
_PAYOUT = {"id": "po_1", "object": "payout", "amount": 9900, "currency": "eur", "status": "paid"}


def _request(name: str, about: dict[str, Any], **members: object) -> Incoming:
    said = {"id": f"evt_{name}", "object": "event", "created": 1893456000, "type": name}
    body = json.dumps(said | {"data": {"object": about | members}}).encode()
    key = DIALECT.signing_secret(SECRET)
    signed = DIALECT.sign(message_id="msg_1", body=body, secrets=[key], now=NOW)
    headers = {header.lower(): value for header, value in signed.headers}
    return Incoming("POST", "", headers, body)


def _told(name: str, about: dict[str, Any], **members: object) -> list[Written]:
    request = _request(name, about, **members)
    assert judged(STRIPE, request, KEYS, NOW, {}).verdict is Verdict.VERIFIED
    return written_of(STRIPE, {}, STRIPE.read(request, {}))


@pytest.mark.parametrize(
    ("name", "about", "status", "unified"),
    [
        pytest.param(name, about, status, unified, id=f"{name} {status}".strip())
        for name, about, status, unified in (
            ("payment_intent.processing", _INTENT, "processing", "payment_processing"),
            ("payment_intent.requires_action", _INTENT, "requires_action", "action_required"),
            (
                "payment_intent.amount_capturable_updated",
                _INTENT,
                "requires_capture",
                "payment_authorized",
            ),
            ("payment_intent.succeeded", _INTENT, "succeeded", "payment_succeeded"),
            (
                "payment_intent.payment_failed",
                _INTENT,
                "requires_payment_method",
                "payment_failed",
            ),
            ("payment_intent.canceled", _INTENT, "canceled", "payment_cancelled"),
            ("refund.created", _REFUND, "succeeded", "refund_succeeded"),
            ("refund.created", _REFUND, "pending", None),
            ("refund.updated", _REFUND, "succeeded", "refund_succeeded"),
            ("refund.failed", _REFUND, "failed", "refund_failed"),
            ("charge.dispute.created", _DISPUTE, "needs_response", "dispute_opened"),
            ("charge.dispute.updated", _DISPUTE, "needs_response", None),
            ("charge.dispute.updated", _DISPUTE, "under_review", "dispute_challenged"),
            ("charge.dispute.closed", _DISPUTE, "won", "dispute_won"),
            ("charge.dispute.closed", _DISPUTE, "lost", "dispute_lost"),
            ("charge.dispute.closed", _DISPUTE, "warning_closed", "dispute_cancelled"),
            ("payout.created", _PAYOUT, "pending", "payout_initiated"),
            ("payout.paid", _PAYOUT, "paid", "payout_success"),
            ("payout.failed", _PAYOUT, "failed", "payout_failed"),
            ("payout.canceled", _PAYOUT, "canceled", "payout_cancelled"),
        )
    ],
)
def test_an_event_is_told_as_what_it_means(
    name: str, about: dict[str, Any], status: str, unified: str | None
) -> None:
    """A refund that is on its way is not one that has arrived."""
    told = _told(name, about, status=status)
    assert [one.name for one in told] == ([] if unified is None else [unified])
    for one in told:
        type_ = CATALOGUE.find("owngateway", one.name)
        assert type_ is not None
        assert faults(type_, one.data, at_most=3) == ()
        assert one.told.object_id == about["id"]


def test_a_refund_that_two_events_tell_of_is_told_once() -> None:
    """Older accounts send the charge besides the refund."""
    charge = {"id": "ch_1", "object": "charge", "currency": "eur", "payment_intent": "pi_1"}
    heards: list[Heard] = []
    for request in (
        _request("charge.refunded", charge, refunds={"data": [_REFUND]}),
        _request("refund.updated", _REFUND),
    ):
        heards += STRIPE.read(request, {})
    told = written_of(STRIPE, {}, heards)
    assert [(one.name, one.told.object_id) for one in told] == [("refund_succeeded", "re_1")]


@pytest.mark.parametrize(
    ("currency", "amount"),
    [("eur", "125.50"), ("jpy", "12550"), ("isk", "125.50"), ("kwd", "12.550")],
)
def test_amounts_are_counted_as_stripe_counts_them(currency: str, amount: str) -> None:
    """ISO 4217 has no smaller coin than a krona; Stripe counts its hundredths."""
    [heard] = STRIPE.read(_request("payment_intent.succeeded", _INTENT, currency=currency), {})
    assert Decimal(json.loads(heard.data)["amount"]) == Decimal(amount)


def test_half_a_coin_is_refused_rather_than_rounded() -> None:
    """It would be somebody's money."""
    with pytest.raises(InvalidError):
        _told("payment_intent.succeeded", _INTENT, currency="isk")


def test_an_event_that_is_not_in_the_table_is_kept_and_means_nothing() -> None:
    """Stripe has hundreds, and new ones come."""
    [heard] = STRIPE.read(_request("customer.created", {"id": "cus_1", "object": "customer"}), {})
    assert CATALOGUE.find(heard.family, heard.type) is None
    assert (heard.word, heard.object_id) == ("customer.created", "cus_1")


def test_the_merchants_order_is_a_name_of_the_payment() -> None:
    """Merchants look for their own number."""
    [told] = _told("payment_intent.succeeded", _INTENT)
    assert told.told.references == ("ORD-7", "ch_1")


@pytest.mark.parametrize(
    ("name", "about"),
    [
        pytest.param(name, about, id=name)
        for name, about in (
            ("payment_intent.created", _INTENT),
            ("payment_intent.partially_funded", _INTENT),
            ("charge.dispute.funds_withdrawn", _DISPUTE),
            ("charge.dispute.funds_reinstated", _DISPUTE),
            ("payout.updated", _PAYOUT),
            ("payout.reconciliation_completed", _PAYOUT),
        )
    ],
)
def test_what_comes_with_the_events_of_the_guide_and_says_no_more_tells_nothing(
    name: str, about: dict[str, Any]
) -> None:
    """Each payment has one of these: called unmapped, they would hide what really is unknown."""
    assert STRIPE.read(_request(name, about), {}) == ()

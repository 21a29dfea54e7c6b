"""PayPal: what each of its events tells."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.connectors.signed_by_paypal import AMOUNT, BODY, CAPTURE, OPTIONS
from tests.support.heard_histories import words_of

from payhooks.connectors.contract import Heard, Incoming
from payhooks.connectors.paypal import PAYPAL

REFUND: Mapping[str, Any] = {
    "id": "1JU08902781691411",
    "status": "COMPLETED",
    "amount": AMOUNT,
    "links": [
        {"rel": "self", "href": "https://api.paypal.com/v2/payments/refunds/1JU08902781691411"},
        {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/2GG279541U471931P"},
    ],
}
DISPUTE: Mapping[str, Any] = {
    "dispute_id": "PP-000-042-663-135",
    "disputed_transactions": [
        {"seller_transaction_id": "00D10444LD479031K", "invoice_number": "INV-7"}
    ],
    "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
    "status": "OPEN",
    "dispute_amount": AMOUNT,
}
ITEM: Mapping[str, Any] = {
    "payout_item_id": "8AELMXH8UB2P8",
    "transaction_id": "0C413693MN970190K",
    "payout_item": {"amount": {"currency": "USD", "value": "5.00"}, "sender_item_id": "mine_1"},
}
ORDER: Mapping[str, Any] = {
    "id": "5O190127TN364715T",
    "status": "APPROVED",
    "purchase_units": [{"amount": AMOUNT, "custom_id": "cart-9"}],
}


def event(word: str, resource: Mapping[str, Any], **members: object) -> bytes:
    said = {"id": f"WH-{word}", "create_time": "2019-02-14T21:50:07.940Z"}
    return json.dumps({**said, "event_type": word, "resource": resource, **members}).encode()


def heard(body: bytes) -> Heard:
    (found,) = PAYPAL.read(Incoming("POST", "", {}, body), OPTIONS)
    return found


def test_a_capture_is_told_as_the_payment_of_its_order() -> None:
    """One payment has one name, from the approval to the refund."""
    found = heard(BODY)
    told = PAYPAL.tell(found, found.type, OPTIONS)
    [word] = words_of(PAYPAL, OPTIONS, [found])
    assert (word[0], found.event_id) == ("payment_succeeded", CAPTURE["resource"]["id"])
    assert (told.object_type, told.object_id) == ("payment", "5O190127TN364715T")
    assert (told.amount, told.currency) == (Decimal("5.00"), "USD")
    assert {"2GG279541U471931P", CAPTURE["resource"]["invoice_id"]} <= set(told.references)
    assert found.occurred_at == datetime(2019, 2, 14, 21, 50, 7, 940_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "resource", "unified", "object_id"),
    [
        pytest.param(*row, id=f"{row[0]} {row[1].get('status', '')}".strip())
        for row in [
            ("CHECKOUT.ORDER.APPROVED", ORDER, "action_required", "5O190127TN364715T"),
            ("CHECKOUT.ORDER.VOIDED", ORDER, "payment_cancelled", "5O190127TN364715T"),
            (
                "PAYMENT.AUTHORIZATION.CREATED",
                {"id": "A", "amount": AMOUNT},
                "payment_authorized",
                "A",
            ),
            (
                "PAYMENT.AUTHORIZATION.VOIDED",
                {"id": "A", "amount": AMOUNT},
                "payment_cancelled",
                "A",
            ),
            ("PAYMENT.CAPTURE.PENDING", {"id": "C", "amount": AMOUNT}, "payment_processing", "C"),
            ("PAYMENT.CAPTURE.DENIED", {"id": "C", "amount": AMOUNT}, "payment_failed", "C"),
            ("PAYMENT.CAPTURE.DECLINED", {"id": "C", "amount": AMOUNT}, "payment_failed", "C"),
            (
                "PAYMENT.CAPTURE.COMPLETED",
                {"id": "C", "amount": AMOUNT, "final_capture": False},
                "payment_captured",
                "C",
            ),
            ("PAYMENT.CAPTURE.REFUNDED", REFUND, "refund_succeeded", "1JU08902781691411"),
            ("PAYMENT.CAPTURE.REVERSED", REFUND, "refund_succeeded", "1JU08902781691411"),
            ("PAYMENT.REFUND.FAILED", REFUND, "refund_failed", "1JU08902781691411"),
            ("CUSTOMER.DISPUTE.CREATED", DISPUTE, "dispute_opened", "PP-000-042-663-135"),
            (
                "CUSTOMER.DISPUTE.UPDATED",
                {**DISPUTE, "status": "UNDER_REVIEW"},
                "dispute_challenged",
                "PP-000-042-663-135",
            ),
            ("PAYMENT.PAYOUTS-ITEM.SUCCEEDED", ITEM, "payout_success", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.HELD", ITEM, "payout_processing", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.UNCLAIMED", ITEM, "payout_processing", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.BLOCKED", ITEM, "payout_failed", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.DENIED", ITEM, "payout_failed", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.FAILED", ITEM, "payout_failed", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.CANCELED", ITEM, "payout_cancelled", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.REFUNDED", ITEM, "payout_reversed", "8AELMXH8UB2P8"),
            ("PAYMENT.PAYOUTS-ITEM.RETURNED", ITEM, "payout_reversed", "8AELMXH8UB2P8"),
        ]
    ],
)
def test_an_event_is_told_as_what_happened(
    word: str, resource: Mapping[str, Any], unified: str, object_id: str
) -> None:
    """A merchant who reads one unified event has to find the same money in it."""
    found = heard(event(word, resource))
    told = PAYPAL.tell(found, unified, OPTIONS)
    assert (found.word, found.type, told.object_id) == (word, unified, object_id)
    assert (told.amount, told.currency) == (Decimal("5.00"), "USD")


@pytest.mark.parametrize(
    ("outcome", "unified"),
    [
        ("RESOLVED_BUYER_FAVOUR", "dispute_lost"),
        ("RESOLVED_SELLER_FAVOUR", "dispute_won"),
        ("RESOLVED_WITH_PAYOUT", "dispute_won"),
        ("DENIED", "dispute_won"),
        ("ACCEPTED", "dispute_accepted"),
        ("CANCELED_BY_BUYER", "dispute_cancelled"),
        ("NONE", "dispute_cancelled"),
    ],
)
def test_a_dispute_ends_as_its_outcome_says(outcome: str, unified: str) -> None:
    """Resolved alone says nothing: the money may be on either side."""
    resource = {**DISPUTE, "dispute_outcome": {"outcome_code": outcome}}
    found = heard(event("CUSTOMER.DISPUTE.RESOLVED", resource))
    told = PAYPAL.tell(found, unified, OPTIONS)
    assert (found.type, told.payment_id) == (unified, "00D10444LD479031K")
    assert "INV-7" in told.references


@pytest.mark.parametrize(
    ("word", "resource"),
    [
        pytest.param("CUSTOMER.DISPUTE.UPDATED", DISPUTE, id="somebody wrote"),
        pytest.param("CHECKOUT.ORDER.COMPLETED", ORDER, id="its capture tells"),
        pytest.param("PAYMENT.CAPTURE.REFUNDED", {**REFUND, "status": "PENDING"}, id="not yet"),
        pytest.param("PAYMENT.PAYOUTSBATCH.SUCCESS", {}, id="its items tell"),
    ],
)
def test_what_moves_no_money_tells_nothing(word: str, resource: Mapping[str, Any]) -> None:
    """Heard as news it would be booked twice, or too early."""
    assert PAYPAL.read(Incoming("POST", "", {}, event(word, resource)), OPTIONS) == ()


@pytest.mark.parametrize(
    ("word", "resource"),
    [
        pytest.param("PAYMENT.SALE.COMPLETED", {"id": "80F85758S3080410K"}, id="an older API"),
        pytest.param("CUSTOMER.DISPUTE.RESOLVED", DISPUTE, id="no outcome"),
        pytest.param("payment_succeeded", {"id": "x"}, id="a word of ours"),
    ],
)
def test_what_nobody_knows_is_kept_as_such(word: str, resource: Mapping[str, Any]) -> None:
    """It is acknowledged and can be read again once it is known; it is never guessed at."""
    found = heard(event(word, resource))
    assert (found.family, found.type) == ("paypal", word)


def test_a_refund_names_the_payment_by_whatever_leads_there() -> None:
    """Not every message has the order's id; the capture's is a name of the same payment."""
    by_link = heard(event("PAYMENT.CAPTURE.REFUNDED", REFUND))
    assert PAYPAL.tell(by_link, by_link.type, OPTIONS).payment_id == "2GG279541U471931P"
    related = {"related_ids": {"order_id": "5O190127TN364715T"}}
    by_order = heard(event("PAYMENT.CAPTURE.REFUNDED", {**REFUND, "supplementary_data": related}))
    assert PAYPAL.tell(by_order, by_order.type, OPTIONS).payment_id == "5O190127TN364715T"


def test_an_order_waits_for_the_merchant_and_not_for_the_customer() -> None:
    """The customer has agreed; to ask him again would lose him."""
    found = heard(event("CHECKOUT.ORDER.APPROVED", ORDER))
    told = PAYPAL.tell(found, found.type, OPTIONS)
    assert told.extra == {"status": "requires_merchant_action"}
    assert "cart-9" in told.references
    several = {**ORDER, "purchase_units": [*ORDER["purchase_units"]] * 2}
    found = heard(event("CHECKOUT.ORDER.APPROVED", several))
    assert PAYPAL.tell(found, found.type, OPTIONS).amount is None


def test_a_payment_is_one_story_whichever_way_it_comes() -> None:
    """Approval, pending and capture may overtake each other, and come again."""
    related = {"supplementary_data": {"related_ids": {"order_id": ORDER["id"]}}}
    resource = {"id": "C", "amount": AMOUNT, **related}
    story = [
        heard(event("CHECKOUT.ORDER.APPROVED", ORDER, create_time="2019-02-14T21:50:01Z")),
        heard(event("PAYMENT.CAPTURE.PENDING", resource, create_time="2019-02-14T21:50:02Z")),
        heard(event("PAYMENT.CAPTURE.COMPLETED", resource, create_time="2019-02-14T21:50:03Z")),
    ]
    told = words_of(PAYPAL, OPTIONS, story)
    assert [word[0] for word in told] == [
        "action_required",
        "payment_processing",
        "payment_succeeded",
    ]
    assert {word[1] for word in told} == {f"payment {ORDER['id']}"}
    for shuffled in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        assert sorted(words_of(PAYPAL, OPTIONS, [story[at] for at in shuffled])) == sorted(told)

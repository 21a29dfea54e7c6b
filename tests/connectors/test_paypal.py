"""PayPal: whose certificate it is, what it signed, and what each event tells.

Nobody publishes a signed webhook of PayPal's with its certificate, so the requests here are made
as PayPal's SDK for Python reads them (paypalrestsdk 1.13.3), by an authority of our own.
"""

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from tests.connectors.signed_by_paypal import (
    AMOUNT,
    BODY,
    CAPTURE,
    CERTIFICATE_URL,
    NOW,
    OPTIONS,
    chain,
    keys,
    pem_of,
    provider,
    signed,
)
from tests.support.heard_histories import words_of

from payhooks.connectors.contract import Heard, Incoming, Keys
from payhooks.connectors.paypal import PAYPAL, PayPal
from payhooks.errors import InvalidError, SignatureError

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


def _shipped(name: str) -> bytes:
    return (files("payhooks.connectors") / "paypal_certificates" / name).read_bytes()


def heard(body: bytes) -> Heard:
    (found,) = PAYPAL.read(Incoming("POST", "", {}, body), OPTIONS)
    return found


def test_what_paypals_certificate_signed_for_this_webhook_is_his() -> None:
    """The plain case; every one below differs from it in one thing."""
    sent = signed(BODY)
    assert provider().missing(sent, OPTIONS) is None
    assert provider().needs(sent, OPTIONS) == CERTIFICATE_URL
    provider().verify(sent, keys(), NOW, OPTIONS)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.example/v1/notifications/certs/CERT-1",
        "https://example/https://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@example/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://www.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../../elsewhere",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?next=//example",
        "https://api.paypal.com/v1/notifications/certs/CERT-1\n",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://169.254.169.254/v1/notifications/certs/CERT-1",
    ],
)
def test_a_certificate_is_fetched_from_paypals_own_host_alone(url: str) -> None:
    """Whoever sends a request writes this URL: any other would be a certificate of his own."""
    sent = signed(BODY, url=url)
    with pytest.raises(SignatureError):
        provider().needs(sent, OPTIONS)
    with pytest.raises(SignatureError):
        provider().verify(sent, Keys((), None, {url: chain().pem}), NOW, OPTIONS)


@pytest.mark.parametrize("host", ["api", "api-m", "api.sandbox", "api-m.sandbox"])
def test_both_of_paypals_worlds_are_heard(host: str) -> None:
    """The webhook's id is signed and its own in each, so the sandbox's are not taken for live."""
    url = f"https://{host}.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
    assert provider().needs(signed(BODY, url=url), OPTIONS) == url


@pytest.mark.parametrize(
    ("host", "settings"),
    [
        pytest.param("messageverificationcerts.paypal.com.example", {}, id="another's name"),
        pytest.param("messageverificationcerts.notpaypal.com", {}, id="a name that ends alike"),
        pytest.param("www.paypal.com", {}, id="another of PayPal's hosts"),
        pytest.param("messageverificationcerts.paypal.com", {"days": (-60, -1)}, id="ended"),
        pytest.param("messageverificationcerts.paypal.com", {"days": (1, 60)}, id="not begun"),
        pytest.param("messageverificationcerts.paypal.com", {"bits": 1024}, id="a weak key"),
        pytest.param("messageverificationcerts.paypal.com", {"bits": 0}, id="another kind of key"),
        pytest.param(
            "messageverificationcerts.paypal.com", {"authority": "Stranger"}, id="another's root"
        ),
    ],
)
def test_a_certificate_that_is_not_paypals_signs_nothing(
    host: str, settings: Mapping[str, Any]
) -> None:
    """PayPal's host could be made to give it out; that alone must not be enough."""
    other = chain(host, **settings)
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY, by=other), keys(other.pem), NOW, OPTIONS)


def test_a_chain_needs_all_its_links_and_may_have_them_from_us() -> None:
    """PayPal has sent the last certificate alone; the one between is then taken from here."""
    alone = keys(pem_of(chain().leaf))
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY), alone, NOW, OPTIONS)
    PayPal([chain().root], [chain().between]).verify(signed(BODY), alone, NOW, OPTIONS)


def test_a_root_that_comes_along_is_not_trusted_for_that() -> None:
    """Everybody can send a root; those are trusted that are here."""
    stranger = chain(authority="Stranger")
    whole = pem_of(stranger.leaf, stranger.between, stranger.root)
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY, by=stranger), keys(whole), NOW, OPTIONS)


@pytest.mark.parametrize(
    "material",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>not found</html>", id="a page"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="none"),
        pytest.param(b"\xff" * 100, id="no text"),
        pytest.param(pem_of(chain().root), id="the root itself"),
        pytest.param(pem_of(chain().between, chain().leaf), id="the wrong way round"),
    ],
)
def test_what_is_no_certificate_of_paypals_verifies_nothing(material: bytes) -> None:
    """It was fetched, and whatever came is handed on: nobody else looks at it."""
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY), keys(material), NOW, OPTIONS)


def test_a_certificate_that_was_not_fetched_verifies_nothing() -> None:
    """None is not taken for any."""
    with pytest.raises(SignatureError):
        provider().verify(signed(BODY), Keys(()), NOW, OPTIONS)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("paypal-transmission-id", "another", id="id"),
        pytest.param("paypal-transmission-time", "2030-01-10T12:29:59Z", id="time"),
        pytest.param("paypal-transmission-sig", "AAAA", id="signature"),
        pytest.param("paypal-transmission-sig", "*", id="no base64"),
        pytest.param("paypal-auth-algo", "SHA1withRSA", id="a weak algorithm"),
        pytest.param("paypal-transmission-id", "x" * 5_000, id="too long"),
    ],
)
def test_what_was_signed_may_not_be_changed(header: str, value: str) -> None:
    """Each of them is part of what PayPal's key vouches for, or says how."""
    sent = signed(BODY)
    changed = sent._replace(headers={**sent.headers, header: value})
    with pytest.raises(SignatureError):
        provider().verify(changed, keys(), NOW, OPTIONS)


def test_another_body_and_another_webhook_are_not_his() -> None:
    """Signed for another merchant, or another text: both were PayPal's, and neither is this."""
    sent = signed(BODY)
    with pytest.raises(SignatureError):
        provider().verify(sent._replace(body=BODY.replace(b"5.00", b"9.00")), keys(), NOW, OPTIONS)
    with pytest.raises(SignatureError):
        provider().verify(sent, keys(), NOW, {"webhook_id": "1JE4291016473214C"})
    with pytest.raises(SignatureError):
        provider().verify(sent, keys(), NOW, {})


def test_the_checksum_is_reckoned_over_the_bytes_as_they_came() -> None:
    """Spaces and spelling count: whoever parses first and prints again refuses good requests."""
    body = '{"id": "WH-1",  "summary": "für 5 €"}'.encode()
    assert zlib.crc32(body) != zlib.crc32(json.dumps(json.loads(body)).encode())
    provider().verify(signed(body), keys(), NOW, OPTIONS)


def test_the_shipped_roots_are_those_that_are_named_and_good_for_years() -> None:
    """A root that ends unnoticed refuses every webhook from one hour to the next."""
    text = _shipped("roots.pem")
    roots = x509.load_pem_x509_certificates(text)
    assert len(roots) == 3
    for root in roots:
        assert root.fingerprint(SHA256()).hex().upper().encode() in text
        assert root.not_valid_after_utc > datetime(2031, 1, 1, tzinfo=UTC)
    (between,) = x509.load_pem_x509_certificates(_shipped("intermediates.pem"))
    between.verify_directly_issued_by(roots[0])
    # And of strangers none.
    with pytest.raises(SignatureError):
        PAYPAL.verify(signed(BODY), keys(), NOW, OPTIONS)


def test_a_judged_certificate_ends_all_the_same() -> None:
    """It is remembered for the hour, not for good."""
    hears = provider()
    hears.verify(signed(BODY), keys(), NOW, OPTIONS)
    with pytest.raises(SignatureError):
        hears.verify(signed(BODY), keys(), NOW + timedelta(days=31), OPTIONS)


def test_nothing_is_fetched_for_what_cannot_be_a_signature() -> None:
    """Each fetch costs a connection, and anybody may send such requests."""
    sent = signed(BODY)
    assert provider().needs(Incoming("POST", "", {}, BODY), OPTIONS) is None
    assert "paypal-transmission-id" in (
        provider().missing(Incoming("POST", "", {}, BODY), OPTIONS) or ""
    )
    broken = sent._replace(headers={**sent.headers, "paypal-transmission-sig": "*"})
    with pytest.raises(SignatureError):
        provider().needs(broken, OPTIONS)


def test_a_capture_is_told_as_the_payment_of_its_order() -> None:
    """One payment has one name, from the approval to the refund."""
    found = heard(BODY)
    told = PAYPAL.tell(found, found.type, OPTIONS)
    assert (found.type, found.event_id) == ("payment_succeeded", CAPTURE["id"])
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


def test_the_webhooks_id_is_needed() -> None:
    """Without it PayPal's signature for any other merchant would do."""
    PAYPAL.check(OPTIONS, [], None)
    for options in ({}, {"webhook_id": ""}, {"webhook_id": "a|b"}):
        with pytest.raises(InvalidError) as refused:
            PAYPAL.check(options, [], None)
        assert [fault.pointer for fault in refused.value.faults] == ["/options/webhook_id"]

"""PayPal's webhooks: what they are about, and what they mean. How they are signed is beside this.

Rules: developer.paypal.com/api/rest/webhooks.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from payhooks.catalogue.life_cycle import at
from payhooks.catalogue.object_state import Entry
from payhooks.connectors.contract import Choice, Guide, Heard, Incoming, Keys, Options, Told
from payhooks.connectors.paypal_signature import (
    HEADERS,
    SHIPPED,
    Trust,
    certificate_url,
    is_sandbox,
    signature_of,
)
from payhooks.connectors.said import Said
from payhooks.connectors.translated import Facts, Translated, moment, names
from payhooks.connectors.unified import FAMILY, object_of
from payhooks.errors import Fault, SignatureError

_WEBHOOK_ID: Final = re.compile(r"[A-Za-z0-9]{1,50}")
_CAPTURED: Final = "payment_captured"
_SUCCEEDED: Final = "payment_succeeded"
_FAILED: Final = "payment_failed"
_PART_FAILED: Final = "action_required"
_CAPTURE_LINK: Final = re.compile(r"/captures/([A-Za-z0-9]{1,64})")
_LINKS_MAX: Final = 20

_REFUND: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PAYMENT.CAPTURE.REFUNDED": "refund_succeeded",
        # PayPal itself gave the money back; of a dispute behind it there are words of its own.
        "PAYMENT.CAPTURE.REVERSED": "refund_succeeded",
        "PAYMENT.REFUND.FAILED": "refund_failed",
    }
)
_MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # The customer has agreed; it is for the merchant to capture.
        "CHECKOUT.ORDER.APPROVED": "action_required",
        "CHECKOUT.ORDER.VOIDED": "payment_cancelled",
        "PAYMENT.AUTHORIZATION.CREATED": "payment_authorized",
        "PAYMENT.AUTHORIZATION.VOIDED": "payment_cancelled",
        "PAYMENT.CAPTURE.PENDING": "payment_processing",
        # Told as succeeded, but for one after which more of its authorization may be captured. An
        # order has a capture for each of its units, all of them final: heard as succeeded, the
        # second would be a repeat.
        "PAYMENT.CAPTURE.COMPLETED": _CAPTURED,
        "PAYMENT.CAPTURE.DENIED": "payment_failed",
        "PAYMENT.CAPTURE.DECLINED": "payment_failed",
        **_REFUND,
        "CUSTOMER.DISPUTE.CREATED": "dispute_opened",
        # Of updates this alone is heard: both have said what they had to, and PayPal decides.
        "CUSTOMER.DISPUTE.UPDATED": "dispute_challenged",
        "PAYMENT.PAYOUTS-ITEM.SUCCEEDED": "payout_success",
        # On its way: looked at by PayPal, or waiting for a receiver who has no account yet.
        "PAYMENT.PAYOUTS-ITEM.HELD": "payout_processing",
        "PAYMENT.PAYOUTS-ITEM.UNCLAIMED": "payout_processing",
        "PAYMENT.PAYOUTS-ITEM.BLOCKED": "payout_failed",
        "PAYMENT.PAYOUTS-ITEM.DENIED": "payout_failed",
        "PAYMENT.PAYOUTS-ITEM.FAILED": "payout_failed",
        "PAYMENT.PAYOUTS-ITEM.CANCELED": "payout_cancelled",
        # Both brought the money back to who had sent it.
        "PAYMENT.PAYOUTS-ITEM.REFUNDED": "payout_reversed",
        "PAYMENT.PAYOUTS-ITEM.RETURNED": "payout_reversed",
    }
)
_OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RESOLVED_BUYER_FAVOUR": "dispute_lost",
        "RESOLVED_SELLER_FAVOUR": "dispute_won",
        "RESOLVED_WITH_PAYOUT": "dispute_won",  # PayPal paid; the merchant keeps his money
        "DENIED": "dispute_won",
        "ACCEPTED": "dispute_accepted",
        "CANCELED_BY_BUYER": "dispute_cancelled",
        "NONE": "dispute_cancelled",  # closed, and nobody decided
    }
)
# Known, and no news: a capture tells of a completed order, an item of its batch.
_SILENT: Final = frozenset(
    {
        "CHECKOUT.ORDER.COMPLETED",
        "PAYMENT.PAYOUTSBATCH.DENIED",
        "PAYMENT.PAYOUTSBATCH.PROCESSING",
        "PAYMENT.PAYOUTSBATCH.SUCCESS",
        "PAYMENT.REFUND.PENDING",
    }
)
_ORDER: Final = "/resource/supplementary_data/related_ids/order_id"
_UNITS: Final = "/resource/purchase_units"


class PayPal(Translated):
    """PayPal's webhooks. See Provider for what each member promises."""

    name = "paypal"
    title = "PayPal"
    choices = (
        Choice(
            name="webhook_id",
            words="The id of the webhook at PayPal, and needed: it is part of what PayPal signs, "
            "so that nobody can send you what was meant for another.",
        ),
    )
    guide = Guide(
        where="In the Developer Dashboard, in your app, under Webhooks: add one with this URL.",
        events="Checkout order approved, payment authorization, payment capture, payment refund, "
        "customer dispute and payouts item: all of each.",
        secret="There is no secret to bring back, but the webhook's id: PayPal shows it in "  # noqa: S106 - words # nosec B106
        "the list once the webhook is saved. The certificates that PayPal signs with are fetched "
        "from api.paypal.com, those of its sandbox from api.sandbox.paypal.com: Payhooks has to "
        "reach them.",
        source_url="https://developer.paypal.com/api/rest/webhooks/rest/",
    )
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            "action_required": timedelta(days=1),  # an approved order that you do not capture
            "payment_processing": timedelta(days=7),  # bank payments behind it
            "payment_authorized": timedelta(days=29),  # as long as an authorization is good
        }
    )

    def __init__(self, trust: Trust) -> None:
        """Believe what certificates signed that *trust* finds to be PayPal's."""
        self._trust = trust

    def faults(
        self, options: Options, secrets: Sequence[str], credential: str | None
    ) -> list[Fault]:
        """Return that there is no webhook id."""
        if _WEBHOOK_ID.fullmatch(options.get("webhook_id", "")) is not None:
            return []
        detail = "It is the webhook's id at PayPal: letters and digits."
        return [Fault(pointer="/options/webhook_id", code="required", detail=detail)]

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return which of the five headers is not there."""
        lacking = next((name for name in HEADERS if not incoming.headers.get(name)), None)
        return None if lacking is None else f"The request has no {lacking} header."

    def needs(self, incoming: Incoming, options: Options) -> str | None:
        """Return where the certificate is, if that is with PayPal."""
        if self.missing(incoming, options) is not None:
            return None
        _ = signature_of(incoming)  # nothing is fetched for what cannot be a signature
        return certificate_url(incoming)

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept what PayPal's certificate signed for this webhook."""
        webhook_id = options.get("webhook_id", "")
        if _WEBHOOK_ID.fullmatch(webhook_id) is None:
            raise SignatureError("the connector has no webhook id")
        material = keys.materials.get(certificate_url(incoming))
        if material is None:
            raise SignatureError("the certificate could not be had")
        self._trust.demand_signed(incoming, webhook_id, material, now)

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return what the event says of its resource."""
        said = Said(incoming.body)
        word = said.needed("/event_type")
        if _is_silent(word, said):
            return ()
        unified = _unified(word, said)
        if unified is None:
            object_type = said.text("/resource_type") or "resource"
            about = said.text("/resource/id", "/resource/dispute_id", "/id")
            return (self.unknown(word, object_type, about, incoming.body),)
        object_id, facts = _FACTS[object_of(unified)](said, unified)
        event_id = said.needed("/id")
        if unified == _CAPTURED:
            # Each is told, so it is known by its own id: messages of it may have several.
            event_id = said.text("/resource/id") or event_id
        heard = self.heard_as(
            unified,
            object_id,
            facts,
            word=word,
            event_id=event_id,
            occurred_at=moment(said.text("/create_time")),
        )
        return (msgspec.structs.replace(heard, is_test=is_sandbox(incoming)),)

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return the event that it was heard as; a unit that fails beside captured ones is a part.

        An order has a capture for each of its units: it has not failed where another brought money,
        and each that fails then is news.
        """
        event = entry.event
        if captured and event.family == FAMILY and event.type == _FAILED:
            return _PART_FAILED
        return super().means(entry, options, captured=captured)

    def standing(self, told: Sequence[str], options: Options) -> int:
        """Return the count of captures: what fails at PayPal was never captured."""
        return told.count(_CAPTURED) + told.count(_SUCCEEDED)

    def tell(self, heard: Heard, unified: str, options: Options) -> Told:
        """Return what was kept of the message."""
        told = super().tell(heard, unified, options)
        if heard.type != _FAILED or unified == _FAILED:
            return told
        # What was captured of the other units, no message says.
        part = {"status": "requires_merchant_action", "amount_received": None}
        return msgspec.structs.replace(told, extra={**told.extra, **part})


def _is_silent(word: str, said: Said) -> bool:
    """Return whether it is no news: known, and nothing has happened to anybody's money."""
    status = said.text("/resource/status")
    if word == "CUSTOMER.DISPUTE.UPDATED":
        return status != "UNDER_REVIEW"
    return word in _SILENT or (word in _REFUND and status == "PENDING")


def _unified(word: str, said: Said) -> str | None:
    """Return what it means; None where nobody knows."""
    if word in _REFUND and said.text("/resource/status") in {"FAILED", "CANCELLED"}:
        return "refund_failed"
    if word == "CUSTOMER.DISPUTE.RESOLVED":
        return _OUTCOMES.get(said.text("/resource/dispute_outcome/outcome_code") or "")
    return _MEANINGS.get(word)


def _payment(said: Said, unified: str) -> tuple[str | None, Facts]:
    # What several units of an order come to is told by their captures.
    several = at(said.data, f"{_UNITS}/1") is not None
    wait = {"status": "requires_merchant_action"} if unified == "action_required" else {}
    final = unified == _CAPTURED and at(said.data, "/resource/final_capture") is not False
    # What was captured before it, no message says.
    of_part = {"amount_received": None} if unified == _CAPTURED and not final else {}
    amounts = () if several else ("/resource/amount", f"{_UNITS}/0/amount")
    facts = Facts(
        amount=said.text(*(f"{place}/value" for place in amounts)),
        currency=said.text(*(f"{place}/currency_code" for place in amounts)),
        references=_references(said),
        reason=said.text("/resource/status_details/reason"),
        extra=wait | of_part,
        told_as=_SUCCEEDED if final else "",
        capture=(said.text("/resource/id") or "") if unified in {_CAPTURED, _FAILED} else "",
    )
    return said.text(_ORDER, "/resource/id"), facts


def _refund(said: Said, unified: str) -> tuple[str | None, Facts]:
    facts = Facts(
        amount=said.text("/resource/amount/value"),
        currency=said.text("/resource/amount/currency_code"),
        payment_id=said.text(_ORDER) or _capture_of(said),
        references=_references(said),
        reason=said.text("/resource/status_details/reason"),
    )
    return said.text("/resource/id"), facts


def _dispute(said: Said, unified: str) -> tuple[str | None, Facts]:
    dispute = said.text("/resource/dispute_id")
    first = "/resource/disputed_transactions/0"
    transaction = said.text(f"{first}/seller_transaction_id")
    facts = Facts(
        amount=said.text("/resource/dispute_amount/value"),
        currency=said.text("/resource/dispute_amount/currency_code"),
        payment_id=transaction,
        references=names(dispute, transaction, said.text(f"{first}/invoice_number")),
        reason=said.text("/resource/reason"),
    )
    return dispute, facts


def _payout(said: Said, unified: str) -> tuple[str | None, Facts]:
    item = said.text("/resource/payout_item_id")
    facts = Facts(
        amount=said.text("/resource/payout_item/amount/value"),
        currency=said.text("/resource/payout_item/amount/currency"),
        references=names(
            item,
            said.text("/resource/transaction_id"),
            said.text("/resource/payout_item/sender_item_id"),
        ),
        reason=said.text("/resource/errors/name"),
    )
    return item, facts


_FACTS: Final[Mapping[str, Callable[[Said, str], tuple[str | None, Facts]]]] = MappingProxyType(
    {"payment": _payment, "refund": _refund, "dispute": _dispute, "payout": _payout}
)


def _references(said: Said) -> tuple[str, ...]:
    related = "/resource/supplementary_data/related_ids"
    return names(
        said.text("/resource/id"),
        said.text(_ORDER),
        said.text(f"{related}/authorization_id"),
        said.text(f"{related}/capture_id"),
        said.text("/resource/custom_id", f"{_UNITS}/0/custom_id"),
        said.text("/resource/invoice_id", f"{_UNITS}/0/invoice_id"),
    )


def _capture_of(said: Said) -> str | None:
    """Return the capture that a refund links to, where it does not name it."""
    named = said.text("/resource/supplementary_data/related_ids/capture_id")
    if named is not None:
        return named
    for index in range(_LINKS_MAX):
        if said.text(f"/resource/links/{index}/rel") == "up":
            found = _CAPTURE_LINK.search(said.text(f"/resource/links/{index}/href") or "")
            return None if found is None else found[1]
    return None


PAYPAL: Final = PayPal(SHIPPED)

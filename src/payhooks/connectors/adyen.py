"""Adyen's standard webhooks in JSON: payments and what is done to them, disputes, payouts.

Rules: docs.adyen.com/development-resources/webhooks/webhook-types and
docs.adyen.com/risk-management/disputes-api/dispute-notifications.

What fails after it was captured, and is captured again: docs.adyen.com/online-payments/capture/
failure-reasons. In automatic and manual mode the one capture is the payment, and fails it. With
several a failed part is told as ``action_required`` with the part's amount: one message does not
say what else was captured, there is no event for a part that failed, and Adyen asks the merchant
to look up what he has to do. What it captures again by itself has the capture's reference, so its
date makes it another message. Others with the same code and reference are duplicates to Adyen,
also where their dates differ (development-resources/webhooks/handle-webhook-events).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

import msgspec

from payhooks.connectors.adyen_items import (
    Additional,
    Item,
    demand_basic,
    demand_signed,
    is_test,
    items_of,
)
from payhooks.connectors.contract import (
    Answer,
    Choice,
    Guide,
    Heard,
    Incoming,
    Keys,
    Options,
    SecretWords,
)
from payhooks.connectors.translated import Facts, Translated, moment, names
from payhooks.errors import Fault, InvalidError, SignatureError
from payhooks.model.currencies import digits_of

_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
# Where Adyen counts other digits behind the point than ISO 4217, its own table is leading.
_DIGITS: Final[Mapping[str, int]] = MappingProxyType({"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2})
_TEST: Final = "test_"  # how the references of its test messages begin
_PART_FAILED: Final = "action_required"  # and nothing else of Adyen's means that
_OF_CAPTURES: Final = frozenset({"CAPTURE", "CAPTURE_FAILED"})


class _Meaning(NamedTuple):
    """What an event code means: where it succeeded, and where it did not."""

    done: str | None
    not_done: str | None = None


_PAYMENT: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        "AUTHORISATION": _Meaning("payment_succeeded", "payment_failed"),
        "PENDING": _Meaning("payment_processing"),
        # A request to capture that was refused leaves the payment authorized: no news.
        "CAPTURE": _Meaning(None),
        # The bank refused what was captured: the money does not come.
        "CAPTURE_FAILED": _Meaning("payment_failed"),
        # A request to cancel that was refused leaves the payment as it is.
        "CANCELLATION": _Meaning("payment_cancelled"),
        "TECHNICAL_CANCEL": _Meaning("payment_cancelled"),
        "OFFER_CLOSED": _Meaning("payment_expired"),
        "EXPIRE": _Meaning("payment_expired"),
    }
)
_REFUND: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        "REFUND": _Meaning("refund_succeeded", "refund_failed"),
        "REFUND_FAILED": _Meaning("refund_failed", "refund_failed"),
        # The customer's bank sent it back: the merchant still owes it.
        "REFUNDED_REVERSED": _Meaning("refund_failed"),
    }
)
_DISPUTE: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        # Three ways to hear of it first; whichever comes after another is no news.
        "REQUEST_FOR_INFORMATION": _Meaning("dispute_opened"),
        "NOTIFICATION_OF_CHARGEBACK": _Meaning("dispute_opened"),
        "CHARGEBACK": _Meaning("dispute_opened"),
        "INFORMATION_SUPPLIED": _Meaning("dispute_challenged"),
        # The money is back. The customer's bank may still insist: SECOND_CHARGEBACK corrects it.
        "CHARGEBACK_REVERSED": _Meaning("dispute_won"),
        "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": _Meaning("dispute_won"),
        "PREARBITRATION_WON": _Meaning("dispute_won"),
        "PREARBITRATION_LOST": _Meaning("dispute_lost"),
        "SECOND_CHARGEBACK": _Meaning("dispute_lost"),
        "DISPUTE_DEFENSE_PERIOD_ENDED": _Meaning("dispute_expired"),
    }
)
_PAYOUT: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        "PAYOUT_THIRDPARTY": _Meaning("payout_success", "payout_failed"),
        "PAYOUT_DECLINE": _Meaning("payout_cancelled"),  # by who reviews payouts
        "PAYOUT_EXPIRE": _Meaning("payout_expired"),
        "PAIDOUT_REVERSED": _Meaning("payout_reversed"),
    }
)
# Known, and no money moved: reports, agreements, orders around payments that tell for themselves.
_SILENT: Final = frozenset(
    {
        "AUTHORISATION_ADJUSTMENT",
        "ISSUER_COMMENTS",
        "MANUAL_REVIEW_ACCEPT",
        "MANUAL_REVIEW_REJECT",
        "NOTIFICATION_OF_FRAUD",
        "ORDER_CLOSED",
        "ORDER_OPENED",
        "POSTPONED_REFUND",
        "RECURRING_CONTRACT",
        "REPORT_AVAILABLE",
    }
)
# What is done with an authorized payment. One message does not say whether more captures follow,
# so the merchant says how his account is set up.
_CAPTURES: Final[Mapping[str, Mapping[str, _Meaning]]] = MappingProxyType(
    {
        "automatic": {},
        "manual": {
            "AUTHORISATION": _Meaning("payment_authorized", "payment_failed"),
            "CAPTURE": _Meaning("payment_succeeded"),
        },
        "manual_multiple": {
            "AUTHORISATION": _Meaning("payment_authorized", "payment_failed"),
            "CAPTURE": _Meaning("payment_captured"),
            "CAPTURE_FAILED": _Meaning(_PART_FAILED),
        },
    }
)


class Adyen(Translated):
    """Adyen's standard webhooks. See Provider for what each member promises."""

    name = "adyen"
    title = "Adyen"
    secret = SecretWords(
        label="HMAC key",
        words="The HMAC key of the webhook in Adyen's Customer Area: 64 hexadecimal digits.",
    )
    credential = SecretWords(
        label="Basic authentication",
        words="The user name and the password of the webhook, with a colon between them, where it "
        "was set up with basic authentication.",
        required=False,
    )
    choices = (
        Choice(
            name="capture",
            words="How authorized payments are captured: by themselves, once by request, or in "
            "several parts. One message does not say.",
            values=tuple(_CAPTURES),
            default="automatic",
        ),
    )
    guide = Guide(
        where="In the Customer Area under Developers, Webhooks: add a Standard webhook with this "
        "URL, method JSON.",
        events="The default events, and those of disputes and payouts that you use. Unknown ones "
        "are acknowledged and kept.",
        secret="Under Security, generate an HMAC key and bring it back; if you set a user name "  # noqa: S106 - words # nosec B106
        "and a password there, bring back both.",
        source_url="https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures",
    )
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            "payment_processing": timedelta(days=7),  # bank transfers and direct debits
            "payment_authorized": timedelta(days=7),  # then banks give the money free
        }
    )
    told_each_time = frozenset({"payment_captured", _PART_FAILED})

    def faults(
        self, options: Options, secrets: Sequence[str], credential: str | None
    ) -> list[Fault]:
        """Return what is no HMAC key, and no user name with a password."""
        found = [
            Fault(
                pointer=f"/secrets/{place}",
                code="malformed",
                detail="An HMAC key of Adyen's is 64 hexadecimal digits.",
            )
            for place, secret in enumerate(secrets)
            if _KEY.fullmatch(secret) is None
        ]
        if credential is not None and ":" not in credential:
            detail = "It is a user name and a password with a colon between them."
            found.append(Fault(pointer="/credential", code="malformed", detail=detail))
        return found

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return that an item has no signature."""
        try:
            items = items_of(incoming.body)
        except InvalidError:
            return "The body is not one of Adyen's notifications, so it has no signature."
        if all(item.signature for item in items):
            return None
        return "An item has no hmacSignature in its additionalData."

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept a batch of which one of the keys signed each item."""
        if keys.credential is not None:
            demand_basic(incoming.headers, keys.credential)
        try:
            items = items_of(incoming.body)
        except InvalidError:
            raise SignatureError("the body is no notification", "malformed_body") from None
        hmac_keys = [bytes.fromhex(key) for key in keys.secrets if _KEY.fullmatch(key)]
        for item in items:
            demand_signed(item, hmac_keys)

    def answer(self, *, verified: bool) -> Answer:
        """Return the word that Adyen waits for."""
        return Answer(200, b"[accepted]") if verified else Answer(401)

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return what each item says, but for tests and what moves no money."""
        unreal = is_test(incoming.body)
        found = [self._heard(item, options) for item in items_of(incoming.body)]
        return [
            msgspec.structs.replace(heard, is_test=unreal) for heard in found if heard is not None
        ]

    def standing(self, told: Sequence[str], options: Options) -> int:
        """Return how many were captured and did not fail.

        Where captures go by themselves it is told as succeeded before there is one.
        """
        came, failed = {"payment_captured"}, {_PART_FAILED}
        if options.get("capture", "automatic") != "automatic":
            came, failed = came | {"payment_succeeded"}, failed | {"payment_failed"}
        standing = 0
        for event in told:
            # What failed before any capture took none of them away.
            standing = max(standing + (event in came) - (event in failed), 0)
        return standing

    def _heard(self, item: Item, options: Options) -> Heard | None:
        if item.event_code in _SILENT or item.psp_reference.startswith(_TEST):
            return None
        payment = item.original_reference or item.psp_reference
        meaning = _meaning(item, options.get("capture", "automatic"))
        if meaning is None:
            data = msgspec.json.encode(_facts(item, ""))
            return self.unknown(item.event_code, "payment", payment, data)
        unified = meaning.done if item.succeeded else meaning.not_done
        if unified is None:
            return None
        # A refund and a dispute have references of their own; a capture is the payment's.
        own = unified.startswith(("refund_", "dispute_"))
        occurred_at = moment(item.event_date)
        event_id = _event_id(item, item.event_code)
        if item.recaptured and occurred_at is not None:
            event_id += f":{occurred_at.isoformat()}"
        heard = self.heard_as(
            unified,
            item.psp_reference if own else payment,
            _facts(item, unified),
            word=item.event_code,
            event_id=event_id,
            occurred_at=occurred_at,
        )
        return msgspec.structs.replace(heard, stated=item.stated)


def _meaning(item: Item, capture: str) -> _Meaning | None:
    code = item.event_code
    extra = item.additional_data or Additional()
    if code == "CANCEL_OR_REFUND":
        # Which of the two it became is said beside; where it is not, nobody can know.
        return {"cancel": _PAYMENT["CANCELLATION"], "refund": _REFUND["REFUND"]}.get(
            extra.action or ""
        )
    if code == "DISPUTE_DEFENSE_PERIOD_ENDED" and extra.dispute_status == "Accepted":
        return _Meaning("dispute_accepted")
    captures = _CAPTURES.get(capture, {})
    if item.recaptured and code not in captures:
        return _Meaning("payment_succeeded")
    for table in (captures, _PAYMENT, _REFUND, _DISPUTE, _PAYOUT):
        if code in table:
            return table[code]
    return None


def _event_id(item: Item, event_code: str) -> str:
    """Return what makes it the same message to Adyen, if it has this code."""
    return f"{item.psp_reference}:{event_code}:{item.success}"


def _facts(item: Item, unified: str) -> Facts:
    amount = currency = None
    if item.amount is not None:
        currency = item.amount.currency
        digits = _DIGITS.get(currency, digits_of(currency))
        amount = format(Decimal(item.amount.value).scaleb(-digits), "f")
    part_failed = unified == _PART_FAILED
    # What was captured of the rest, no message says.
    of_part = {"amount_received": None} if part_failed or unified == "payment_captured" else {}
    with_reason = part_failed or unified.startswith("dispute_") or "_failed" in unified
    return Facts(
        amount=amount,
        currency=currency,
        payment_id=item.original_reference or None,
        references=names(item.merchant_reference, item.psp_reference),
        # Of a payment that succeeded it has digits of the card in it, and no reason.
        reason=item.reason if with_reason else None,
        extra={**({"status": "requires_merchant_action"} if part_failed else {}), **of_part},
        # One that failed has the reference of its capture.
        capture=_event_id(item, "CAPTURE") if item.event_code in _OF_CAPTURES else "",
    )


ADYEN: Final = Adyen()

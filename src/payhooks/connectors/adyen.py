"""Adyen's standard webhooks in JSON: payments and what is done to them, disputes, payouts.

Rules: docs.adyen.com/development-resources/webhooks (verify-hmac-signatures, webhook-types) and
docs.adyen.com/risk-management/disputes-api/dispute-notifications. Each item of a batch has its own
signature, over eight of its members; the time and everything in additionalData are not signed.

What fails after it was captured, and is captured again: docs.adyen.com/online-payments/capture/
failure-reasons. In automatic and manual mode the one capture is the payment, and fails it. With
several a failed part is told as ``action_required`` with the part's amount: one message does not
say what else was captured, there is no event for a part that failed, and Adyen asks the merchant
to look up what he has to do. What it captures again by itself has the capture's reference, so its
date makes it another message. Others with the same code and reference are duplicates to Adyen,
also where their dates differ (development-resources/webhooks/handle-webhook-events).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, NamedTuple

import msgspec

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
from payhooks.dialects.reading import decoded
from payhooks.dialects.schemes import no_match, required, spelled
from payhooks.errors import Fault, InvalidError, SignatureError
from payhooks.limits import OBJECT_ID_CHARS_MAX
from payhooks.model.currencies import digits_of

_WANTED: Final = "one of Adyen's notifications"
_KEY: Final = re.compile(r"[0-9A-Fa-f]{64}")
_ITEMS_MAX: Final = 100  # each costs an HMAC per key; Adyen sends one in JSON, six at most
_VALUE_MAX: Final = 10**15
# Where Adyen counts other digits behind the point than ISO 4217, its own table is leading.
_DIGITS: Final[Mapping[str, int]] = MappingProxyType({"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2})
_TEST: Final = "test_"  # how the references of its test messages begin
_RECAPTURED: Final = re.compile(r"Transaction (?:Auto-)?recaptured", re.IGNORECASE)
_PART_FAILED: Final = "action_required"  # and nothing else of Adyen's means that

_Text = Annotated[str, msgspec.Meta(max_length=OBJECT_ID_CHARS_MAX)]


class _Amount(msgspec.Struct, frozen=True):
    value: Annotated[int, msgspec.Meta(ge=0, le=_VALUE_MAX)]
    currency: _Text


class _Additional(msgspec.Struct, frozen=True):
    signature: str | None = msgspec.field(default=None, name="hmacSignature")
    action: str | None = msgspec.field(default=None, name="modification.action")
    dispute_status: str | None = msgspec.field(default=None, name="disputeStatus")


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    psp_reference: _Text
    event_code: _Text
    success: _Text
    merchant_account_code: _Text = ""
    merchant_reference: _Text | None = None
    original_reference: _Text | None = None
    amount: _Amount | None = None
    event_date: str | None = None
    reason: str | None = None
    additional_data: _Additional | None = None

    @property
    def succeeded(self) -> bool:
        return self.success == "true"

    @property
    def recaptured(self) -> bool:
        """Whether Adyen captured by itself what had failed."""
        return self.event_code == "CAPTURE" and _RECAPTURED.match(self.reason or "") is not None

    @property
    def signature(self) -> str | None:
        return None if self.additional_data is None else self.additional_data.signature


class _Wrapped(msgspec.Struct, frozen=True):
    item: _Item = msgspec.field(name="NotificationRequestItem")


class _Notification(msgspec.Struct, frozen=True):
    items: Annotated[list[_Wrapped], msgspec.Meta(min_length=1, max_length=_ITEMS_MAX)] = (
        msgspec.field(name="notificationItems")
    )


_decode = msgspec.json.Decoder(_Notification).decode


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
            items = _items(incoming.body)
        except InvalidError:
            return "The body is not one of Adyen's notifications, so it has no signature."
        if all(item.signature for item in items):
            return None
        return "An item has no hmacSignature in its additionalData."

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept a batch of which one of the keys signed each item."""
        if keys.credential is not None:
            _check_basic(required(incoming.headers, "Authorization"), keys.credential)
        try:
            items = _items(incoming.body)
        except InvalidError:
            raise SignatureError("the body is no notification", "malformed_body") from None
        hmac_keys = [bytes.fromhex(key) for key in keys.secrets if _KEY.fullmatch(key)]
        for item in items:
            _check_item(item, hmac_keys)

    def answer(self, *, verified: bool) -> Answer:
        """Return the word that Adyen waits for."""
        return Answer(200, b"[accepted]") if verified else Answer(401)

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return what each item says, but for tests and what moves no money."""
        found = [self._heard(item, options) for item in _items(incoming.body)]
        return [heard for heard in found if heard is not None]

    def _heard(self, item: _Item, options: Options) -> Heard | None:
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
        event_id = f"{item.psp_reference}:{item.event_code}:{item.success}"
        if item.recaptured and occurred_at is not None:
            event_id += f":{occurred_at.isoformat()}"
        return self.heard_as(
            unified,
            item.psp_reference if own else payment,
            _facts(item, unified),
            word=item.event_code,
            event_id=event_id,
            occurred_at=occurred_at,
        )


def _items(body: bytes) -> list[_Item]:
    return [wrapped.item for wrapped in decoded(_decode, body, wanted=_WANTED).items]


def _check_basic(offered: str, credential: str) -> None:
    """Accept what the webhook was set up with; the name of the scheme in any case."""
    scheme, _, token = offered.partition(" ")
    expected = base64.b64encode(spelled(credential))
    if not hmac.compare_digest(spelled(token.strip()), expected) or scheme.lower() != "basic":
        raise SignatureError("the basic authentication is not the webhook's", "no_match")


def _check_item(item: _Item, keys: Sequence[bytes]) -> None:
    amount = ("", "") if item.amount is None else (str(item.amount.value), item.amount.currency)
    apart = (
        item.psp_reference,
        item.original_reference or "",
        item.merchant_account_code,
        *amount,
        item.event_code,
        item.success,
    )
    # Nothing in them is escaped. The merchant's reference may have colons and stands in the
    # middle: with none in the others, one text can be read in one way only.
    if any(":" in text for text in apart):
        raise SignatureError("a signed member has a colon", "malformed_body")
    signed = spelled(":".join((*apart[:3], item.merchant_reference or "", *apart[3:])))
    try:
        offered = base64.b64decode(spelled(item.signature or ""), validate=True)
    except binascii.Error:
        raise SignatureError("hmacSignature is not base64", "malformed_body") from None
    matched = False
    for key in keys:
        matched |= hmac.compare_digest(hmac.digest(key, signed, "sha256"), offered)
    if not matched:
        raise no_match()


def _meaning(item: _Item, capture: str) -> _Meaning | None:
    code = item.event_code
    extra = item.additional_data or _Additional()
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


def _facts(item: _Item, unified: str) -> Facts:
    amount = currency = None
    if item.amount is not None:
        currency = item.amount.currency
        digits = _DIGITS.get(currency, digits_of(currency))
        amount = format(Decimal(item.amount.value).scaleb(-digits), "f")
    part_failed = unified == _PART_FAILED
    with_reason = part_failed or unified.startswith("dispute_") or "_failed" in unified
    return Facts(
        amount=amount,
        currency=currency,
        payment_id=item.original_reference or None,
        references=names(item.merchant_reference, item.psp_reference),
        # Of a payment that succeeded it has digits of the card in it, and no reason.
        reason=item.reason if with_reason else None,
        # What was captured of the rest, no message says.
        extra={"status": "requires_merchant_action", "amount_received": None}
        if part_failed
        else {},
    )


ADYEN: Final = Adyen()

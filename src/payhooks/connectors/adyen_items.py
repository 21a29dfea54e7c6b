"""What Adyen sends, and how it is signed: in batches, of which each item has its own signature.

Rules: docs.adyen.com/development-resources/webhooks/verify-hmac-signatures. Signed are eight
members of an item; the time, everything in additionalData, and whether it is live are not.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec

from payhooks.dialects.reading import decoded
from payhooks.dialects.schemes import no_match, spelled
from payhooks.errors import SignatureError
from payhooks.limits import OBJECT_ID_CHARS_MAX

_WANTED: Final = "one of Adyen's notifications"
_ITEMS_MAX: Final = 100  # each costs an HMAC per key; Adyen sends one in JSON, six at most
_VALUE_MAX: Final = 10**15
NO_BASIC: Final = "no Authorization header"
OTHER_BASIC: Final = "the basic authentication is not the webhook's"
_RECAPTURED: Final = re.compile(r"Transaction (?:Auto-)?recaptured", re.IGNORECASE)

_Text = Annotated[str, msgspec.Meta(max_length=OBJECT_ID_CHARS_MAX)]


class _Amount(msgspec.Struct, frozen=True):
    value: Annotated[int, msgspec.Meta(ge=0, le=_VALUE_MAX)]
    currency: _Text


class Additional(msgspec.Struct, frozen=True):
    """What stands beside, unsigned."""

    signature: str | None = msgspec.field(default=None, name="hmacSignature")
    action: str | None = msgspec.field(default=None, name="modification.action")
    dispute_status: str | None = msgspec.field(default=None, name="disputeStatus")


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that Adyen says."""

    psp_reference: _Text
    event_code: _Text
    success: _Text
    merchant_account_code: _Text = ""
    merchant_reference: _Text | None = None
    original_reference: _Text | None = None
    amount: _Amount | None = None
    event_date: str | None = None
    reason: str | None = None
    additional_data: Additional | None = None

    @property
    def succeeded(self) -> bool:
        """Whether what its event code names has come about."""
        return self.success == "true"

    @property
    def recaptured(self) -> bool:
        """Whether Adyen captured by itself what had failed."""
        return self.event_code == "CAPTURE" and _RECAPTURED.match(self.reason or "") is not None

    @property
    def stated(self) -> bytes:
        """What it says of money and its fate, whatever an account's options make of that."""
        extra = self.additional_data or Additional()
        fate = (self.event_code, self.success, extra.action, extra.dispute_status)
        return msgspec.json.encode((self.amount, *fate))

    @property
    def signature(self) -> str | None:
        """What was sent as its signature."""
        return None if self.additional_data is None else self.additional_data.signature


class _Wrapped(msgspec.Struct, frozen=True):
    item: Item = msgspec.field(name="NotificationRequestItem")


class _Notification(msgspec.Struct, frozen=True):
    items: Annotated[list[_Wrapped], msgspec.Meta(min_length=1, max_length=_ITEMS_MAX)] = (
        msgspec.field(name="notificationItems")
    )
    live: str = ""


_decode = msgspec.json.Decoder(_Notification).decode


def items_of(body: bytes) -> list[Item]:
    """Return what a batch has.

    Raises:
        InvalidError: It is none of Adyen's.

    """
    return [wrapped.item for wrapped in decoded(_decode, body, wanted=_WANTED).items]


def is_test(body: bytes) -> bool:
    """Whether a batch says that it is of Adyen's test platform, where no money is real."""
    return decoded(_decode, body, wanted=_WANTED).live == "false"


def demand_basic(headers: Mapping[str, str], credential: str) -> None:
    """Accept what the webhook was set up with; the name of the scheme in any case.

    Raises:
        SignatureError: It is another, or none.

    """
    offered = headers.get("authorization")
    if offered is None:
        raise SignatureError(NO_BASIC, "missing_header")
    scheme, _, token = offered.partition(" ")
    expected = base64.b64encode(spelled(credential))
    if not hmac.compare_digest(spelled(token.strip()), expected) or scheme.lower() != "basic":
        raise SignatureError(OTHER_BASIC, "no_match")


def demand_signed(item: Item, keys: Sequence[bytes]) -> None:
    """Accept an item that one of the keys signed.

    Raises:
        SignatureError: None has, or its signature is none.

    """
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

"""The merchant console with Source Key and Signature Key: card sales, refunds and bank payments.

Its messages name no currency, and those of bank payments no amount.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar, Final

from payhooks.connectors.catalogued import Catalogued, Place, choice_faults
from payhooks.connectors.contract import Choice, Guide, Options, SecretWords
from payhooks.dialects.merchant_console import MERCHANT_CONSOLE as DIALECT
from payhooks.dialects.merchant_console import TIME_ZONE
from payhooks.dialects.provider_words import CONSOLE_TIME_ZONE
from payhooks.errors import Fault, InvalidError

CURRENCY: Final = "currency"
_CURRENCY_DEFAULT: Final = "USD"
_CURRENCY: Final = re.compile(r"[A-Z]{3}")

# One word or the other is there, as the event has it; what was approved comes last, because a
# declined sale has 0.00 there.
_AMOUNTS: Final = (
    "/amount",
    "/amount_detail/amount",
    "/amount_detail/original_amount",
    "/auth_amount",
)
_REFERENCES: Final = ("/refnum", "/orderid", "/invoice", "/check/trackingcode")


class MerchantConsole(Catalogued):
    """The merchant console's webhooks. See Provider for what each member promises."""

    name = "merchant-console"
    title = "Merchant console (USAePay)"
    dialect = DIALECT
    family = "merchant-console"
    signed_in = DIALECT.scheme.header
    # As the catalogue says of bank payments: banks settle within some business days.
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {"payment_processing": timedelta(days=5)}
    )
    secret = SecretWords(
        label="Signature Key or Source Key",
        words="The key that the webhook was set up to sign with: the Signature Key stands at the "
        "bottom of the webhook's window, a Source Key is the API key that was chosen there.",
    )
    choices = (
        Choice(
            name=TIME_ZONE,
            words="The zone of the times in its messages, which name none.",
            default=CONSOLE_TIME_ZONE,
        ),
        Choice(
            name=CURRENCY,
            words="The currency of its amounts, which name none: three letters of ISO 4217.",
            default=_CURRENCY_DEFAULT,
        ),
    )
    guide = Guide(
        where="In the merchant console, under Settings, Webhooks: add a webhook with this URL.",
        events="transaction.sale, transaction.refund and ach. Others are acknowledged and tell "
        "of no money.",
        secret="Choose Signature Key or Source Key as the signature, and bring back that key.",  # noqa: S106 - words # nosec B106
        source_url="https://help.usaepay.info/merchant/guide/settings/webhooks/",
    )
    places = MappingProxyType(
        {
            ("transaction.sale", "payment"): Place(
                id=("/key",), amount=_AMOUNTS, needs_amount=False, references=_REFERENCES
            ),
            ("transaction.refund", "refund"): Place(
                id=("/key",), amount=_AMOUNTS, needs_amount=False, references=_REFERENCES
            ),
            ("ach", "payment"): Place(id=("/key",), references=_REFERENCES),
        }
    )

    def option_faults(self, options: Options) -> list[Fault]:
        """Return what is wrong, by the zone database too."""
        faults = choice_faults(self.choices, options)
        currency = options.get(CURRENCY, _CURRENCY_DEFAULT)
        if _CURRENCY.fullmatch(currency) is None:
            detail = "It is three capital letters of ISO 4217."
            faults.append(Fault(pointer=f"/options/{CURRENCY}", code="malformed", detail=detail))
        if TIME_ZONE in options:
            try:
                self.dialect.check_options({TIME_ZONE: options[TIME_ZONE]})
            except InvalidError as error:
                pointer = f"/options/{TIME_ZONE}"
                faults += [
                    Fault(pointer=pointer, code=fault.code, detail=fault.detail)
                    for fault in error.faults
                ]
        return faults

    def currency_of(self, options: Options) -> str | None:
        """Return the connector's currency."""
        return options.get(CURRENCY, _CURRENCY_DEFAULT)


MERCHANT_CONSOLE: Final = MerchantConsole()

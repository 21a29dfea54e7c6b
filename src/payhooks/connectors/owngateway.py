"""OwnGateway and its earlier release, Hyperswitch: who speaks in the unified words already.

Each event means itself. What it says of its object goes on as it came, but for whose account
it is and by which connector it was heard.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec

from payhooks.catalogue.object_state import Entry
from payhooks.connectors.catalogued import Catalogued, Place
from payhooks.connectors.contract import Guide, Options, SecretWords
from payhooks.connectors.said import Said, Unit
from payhooks.connectors.unified import FAMILY
from payhooks.dialects.contract import Dialect
from payhooks.dialects.owngateway import HYPERSWITCH as EARLIER_DIALECT
from payhooks.dialects.owngateway import OWNGATEWAY as DIALECT
from payhooks.dialects.reading import decode_members

# Said of the gateway's own accounts; here they are this merchant's and this connector's.
_OF_ANOTHER_HOUSE: Final = frozenset(
    {"merchant_id", "profile_id", "merchant_connector_id", "connector", "client_secret"}
)


_PAYMENT: Final = Place(
    id=("/payment_id",),
    amount=("/amount",),
    currency=("/currency",),
    unit=Unit.SMALLEST,
    references=("/merchant_order_reference_id", "/connector_transaction_id"),
)
_REFUND: Final = Place(
    id=("/refund_id",),
    amount=("/amount",),
    currency=("/currency",),
    unit=Unit.SMALLEST,
    payment_id=("/payment_id",),
    references=("/connector_refund_id",),
)
_DISPUTE: Final = msgspec.structs.replace(
    _REFUND, id=("/dispute_id",), references=("/connector_dispute_id",)
)
_PAYOUT: Final = msgspec.structs.replace(
    _PAYMENT, id=("/payout_id",), references=("/connector_transaction_id",)
)


class OwnGateway(Catalogued):
    """OwnGateway's webhooks. See Provider for what each member promises."""

    name = "owngateway"
    title = "OwnGateway"
    dialect: Dialect = DIALECT
    family = FAMILY
    signed_in = DIALECT.scheme.header
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            "payment_processing": timedelta(hours=24),
            "payment_authorized": timedelta(days=7),  # then the issuer gives the money free
        }
    )
    secret = SecretWords(
        label="Payment response hash key",
        words="The payment_response_hash_key of the business profile that sends the webhooks.",
    )
    guide = Guide(
        where="Set this URL as webhook_url of the business profile, among its webhook_details.",
        events="Those of payments, refunds, disputes, mandates and payouts that are to be heard; "
        "the profile's webhook_details name which are sent.",
        secret="Bring back the profile's payment_response_hash_key. Without one nothing is "  # noqa: S106 - words # nosec B106
        "signed.",
        source_url="https://api-reference.hyperswitch.io/essentials/webhooks",
    )
    places = MappingProxyType(
        {
            ("payment", "payment"): _PAYMENT,
            # What was captured so far: each capture takes it further, so none looks like another.
            ("payment", "payment_captured"): msgspec.structs.replace(
                _PAYMENT, amount=("/amount_received", "/amount")
            ),
            ("refund", "refund"): _REFUND,
            ("dispute", "dispute"): _DISPUTE,
            ("payout", "payout"): _PAYOUT,
            ("mandate", "mandate"): Place(id=("/mandate_id",)),
            ("subscription", "subscription"): Place(
                id=("/id",),
                amount=("/invoice/amount",),
                currency=("/invoice/currency",),
                unit=Unit.SMALLEST,
                payment_id=("/payment/payment_id",),
                references=("/merchant_reference_id", "/invoice/id"),
            ),
        }
    )

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return the event itself, where it is one that the catalogue knows."""
        return None if entry.kind is None else entry.event.type

    def extra_of(self, said: Said, unified: str) -> Mapping[str, Any]:
        """Return all that is said of the object, each member as it is spelled."""
        members = decode_members(said.spelled)
        return {name: it for name, it in members.items() if name not in _OF_ANOTHER_HOUSE}


class Hyperswitch(OwnGateway):
    """The same from the earlier release."""

    name = "hyperswitch"
    title = "Hyperswitch"
    dialect = EARLIER_DIALECT


OWNGATEWAY: Final = OwnGateway()
HYPERSWITCH: Final = Hyperswitch()

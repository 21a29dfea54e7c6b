"""What providers call things, as far as both server and SDK read it. Standard library only.

Two tables of the same names drift apart, and then one request means one thing to the gateway and
another to the merchant.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

# Of data that is JSON, whatever else it is.
CLOUDEVENTS_JSON_TYPE: Final = re.compile(r"[^/]+/([^/]+\+)?json\Z", re.IGNORECASE)

# Events that an earlier generation named after the status that they brought about.
OWLPAY_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "owlpay.received_order": "order.received",
        "platform.order_cancelled": "order.cancelled",
        "owlpay.payout_succeed": "order.payout.succeed",
    }
)

# The unified names: the document has none for transfers. Delayed ones are pending first.
FOLOOSI_EVENT_OF_STATUS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "success": "payment_succeeded",
        "failed": "payment_failed",
        "pending": "payment_processing",
    }
)

# Its card updater in the list of events, and in what is sent.
CONSOLE_LISTED_PREFIX: Final = "cau"
CONSOLE_SENT_PREFIX: Final = "cardupdate"
# Nothing says which; the company is in Los Angeles, and so may be its clock.
CONSOLE_TIME_ZONE: Final = "America/Los_Angeles"

# Whichever of its states is newer: the documentation orders payments by ``updated``.
OWNGATEWAY_ORDERED_BY: Final = ("updated", "modified", "updated_at")
OWNGATEWAY_DETAILS: Final = "_details"


class TreezorKind(NamedTuple):
    """What the payload's plural key says of everything else."""

    event_prefix: str
    object: str
    id_name: str


_TREEZOR_KINDS: Final[Mapping[str, TreezorKind]] = MappingProxyType(
    {
        "topupCards": TreezorKind("topupCard", "topupCard", "topupCardId"),
        "authorizations": TreezorKind("authorization", "authorization", "authorizationId"),
        "payins": TreezorKind("payin", "payin", "payinId"),
        "payinrefunds": TreezorKind("payinrefund", "payinrefund", "payinrefundId"),
        # A chargeback has no id of its own: it is known by the refund that it made.
        "chargebacks": TreezorKind("card.acquiring.chargeback", "card.acquiring", "payinrefundId"),
    }
)
TREEZOR_PLURAL_OF_EVENT: Final[Mapping[str, str]] = MappingProxyType(
    {kind.event_prefix: plural for plural, kind in _TREEZOR_KINDS.items()}
)
TREEZOR_PLURAL_OF_OBJECT: Final[Mapping[str, str]] = MappingProxyType(
    {kind.object: plural for plural, kind in _TREEZOR_KINDS.items()}
)
# The first of them that an object has; 0000-00-00 is none.
TREEZOR_DATES: Final = ("modifiedDate", "updatedDate", "createdDate", "chargebackCreatedDate")
TREEZOR_TIME_ZONE: Final = "Europe/Paris"


def treezor_kind(plural: str) -> TreezorKind:
    """Return what is known of the payload's plural key, and of a new one what follows from it."""
    singular = plural.removesuffix("s")
    return _TREEZOR_KINDS.get(plural) or TreezorKind(singular, singular, f"{singular}Id")

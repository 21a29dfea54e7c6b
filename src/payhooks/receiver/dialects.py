"""Every dialect that can be verified: its way to sign, and how its body reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from payhooks.dialects.provider_words import CONSOLE_TIME_ZONE, TREEZOR_TIME_ZONE
from payhooks.dialects.schemes import HexOfBody, TimedList
from payhooks.receiver import reading
from payhooks.receiver.standard import StandardWay
from payhooks.receiver.treezor import TreezorWay
from payhooks.receiver.ways import HeaderWay, Way

_NAME_CHARS_MAX: Final = 64  # difflib's time grows with the square of what it is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One sender's language, as a receiver needs it."""

    way: Way
    read: reading.Reader
    wanted: str  # ends the sentence "The body is not …"
    time_zone: str = "UTC"  # whose the times are that name none
    is_zone_chosen: bool = False  # whether the sender lets each endpoint have its own


_STANDARD: Final = StandardWay()
_OWNGATEWAY: Final = Dialect(
    way=HeaderWay(HexOfBody("X-Webhook-Signature-512", "sha512")),
    read=reading.owngateway,
    wanted="a JSON object with event_id, event_type and content.object",
)

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "standard": Dialect(
            way=_STANDARD,
            read=reading.standard,
            wanted="a JSON object with type, timestamp and data",
        ),
        "cloudevents": Dialect(
            way=_STANDARD,
            read=reading.cloudevents,
            wanted="a CloudEvent 1.0 in structured mode",
        ),
        "owlpay": Dialect(
            way=HeaderWay(TimedList("owlpay-signature")),
            read=reading.owlpay,
            wanted="a JSON object with uuid, observation and one object in data",
        ),
        "stripe": Dialect(
            way=HeaderWay(TimedList("Stripe-Signature")),
            read=reading.stripe,
            wanted="a JSON object with id, type and data.object",
        ),
        "treezor": Dialect(
            way=TreezorWay(),
            read=reading.treezor,
            wanted="a JSON object with webhook, webhook_id and one list in object_payload",
            time_zone=TREEZOR_TIME_ZONE,
        ),
        "merchant-console": Dialect(
            way=HeaderWay(HexOfBody("X-Signature", "sha256")),
            read=reading.merchant_console,
            wanted="a JSON object with event_id, event_type and event_body.object",
            time_zone=CONSOLE_TIME_ZONE,
            is_zone_chosen=True,
        ),
        "foloosi": Dialect(
            way=HeaderWay(HexOfBody("X-Foloosi-Signature", "sha256")),
            read=reading.foloosi,
            wanted="a JSON object with data.transfer or data.order",
        ),
        "owngateway": _OWNGATEWAY,
        "hyperswitch": _OWNGATEWAY,
    }
)


def find(name: object) -> Dialect:
    """Return the dialect called *name*.

    Raises:
        TypeError: There is none: a mistake in the calling code, not in a request.

    """
    if not isinstance(name, str):
        raise TypeError("dialect is a name")
    dialect = DIALECTS.get(name)
    if dialect is None:
        near = get_close_matches(name[:_NAME_CHARS_MAX], DIALECTS, n=1)
        choice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(DIALECTS)}."
        raise TypeError(f"no such dialect. {choice}")
    return dialect

"""Senders who use a common format, and whose words are of one of the families that we know.

The format says how a request is signed and where its event stands; whose words those are is
the connector's choice, and that family's own provider then says what they mean.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.object_state import Entry
from payhooks.connectors.catalogued import Catalogued, heard_of
from payhooks.connectors.contract import (
    Choice,
    Guide,
    Heard,
    Incoming,
    Options,
    SecretWords,
    Told,
)
from payhooks.connectors.foloosi import FOLOOSI_SIGNED
from payhooks.connectors.merchant_console import MERCHANT_CONSOLE
from payhooks.connectors.owlpay import OWLPAY
from payhooks.connectors.owngateway import OWNGATEWAY
from payhooks.connectors.said import Said
from payhooks.connectors.treezor import TREEZOR
from payhooks.connectors.unified import FAMILY as UNIFIED
from payhooks.dialects.cloudevents import CLOUDEVENTS as CLOUDEVENTS_DIALECT
from payhooks.dialects.contract import Dialect, Reading
from payhooks.dialects.standard import SIGNATURE
from payhooks.dialects.standard import STANDARD as DIALECT

FAMILY: Final = "family"
_SPEAKERS: Final[Mapping[str, Catalogued]] = MappingProxyType(
    {
        speaker.family: speaker
        for speaker in (OWNGATEWAY, OWLPAY, TREEZOR, MERCHANT_CONSOLE, FOLOOSI_SIGNED)
    }
)


class Common(Catalogued):
    """A format without words of its own. See Provider for what each member promises."""

    family = UNIFIED
    places = MappingProxyType({})
    waits = OWNGATEWAY.waits
    choices = (
        Choice(
            name=FAMILY,
            words="Whose words the event types are.",
            values=tuple(_SPEAKERS),
            default=UNIFIED,
        ),
    )

    def __init__(
        self,
        dialect: Dialect,
        *,
        title: str,
        guide: Guide,
        secret: SecretWords,
        signed_in: str | None,
    ) -> None:
        """Take the format, and what people are told of it."""
        self.name = dialect.name
        self.dialect = dialect
        self.title = title
        self.guide = guide
        self.secret = secret
        self.signed_in = signed_in

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return the one event that the body carries."""
        family = options.get(FAMILY, UNIFIED)
        reading = _about(self.dialect.read(incoming.headers, incoming.body), family)
        return (heard_of(reading, family, event_id=self.event_id_of(reading)),)

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return what it means among its family's."""
        return _speaker(options).means(entry, options, captured=captured)

    def tell(self, heard: Heard, unified: str, options: Options) -> Told:
        """Return what its family's provider would."""
        return _speaker(options).tell(heard, unified, options)


def _speaker(options: Options) -> Catalogued:
    return _SPEAKERS.get(options.get(FAMILY, UNIFIED), OWNGATEWAY)


def _about(reading: Reading, family: str) -> Reading:
    """Return the reading with the object that its data is about, where the format names none."""
    if reading.object_id is not None:
        return reading
    type_ = CATALOGUE.find(family, reading.event_type)
    type_ = type_ or CATALOGUE.meant_by(family, reading.event_type)
    kind = None if type_ is None else CATALOGUE.kind_of(type_)
    if type_ is None or kind is None:
        return reading
    pointers = [pointer for pointer, value in kind.bind.items() if value == "{id}"]
    object_id = Said(reading.payload).text(*pointers)
    return msgspec.structs.replace(reading, object_type=type_.object_type, object_id=object_id)


_WORDS: Final = "At the sender, as the URL of the webhook."
_EVENTS: Final = "Those of payments, refunds, disputes and payouts that are to be heard."
_SECRET: Final = SecretWords(
    label="Secret",
    words="The secret of the webhook at its sender: whsec_…, or the public key whpk_….",
)

STANDARD: Final = Common(
    DIALECT,
    title="Standard Webhooks",
    guide=Guide(
        where=_WORDS,
        events=_EVENTS,
        secret="Bring back the secret that the sender signs with.",  # noqa: S106 - words # nosec B106
        source_url="https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
    ),
    secret=_SECRET,
    signed_in=SIGNATURE,
)
CLOUDEVENTS: Final = Common(
    CLOUDEVENTS_DIALECT,
    title="CloudEvents",
    guide=Guide(
        where=_WORDS,
        events=_EVENTS,
        secret="Bring back the secret that the sender signs with, as Standard Webhooks do.",  # noqa: S106 - words # nosec B106
        source_url="https://github.com/cloudevents/spec/blob/main/cloudevents/spec.md",
    ),
    secret=_SECRET,
    signed_in=SIGNATURE,
)

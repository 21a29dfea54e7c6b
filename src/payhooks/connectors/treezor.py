"""Treezor's card acquiring: authorizations, payins, their refunds and chargebacks.

Once any event of a payin meant that it was accepted; now only VALIDATED does. Which of the two an
account has is the connector's option.

Only the payload is signed. So equal payloads are the same event, whatever webhook_id stands beside
them, and the name of an event counts for no more than the payload's own status bears out.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import START, at
from payhooks.catalogue.object_state import Entry
from payhooks.connectors.catalogued import Catalogued, Place, heard_of
from payhooks.connectors.contract import Choice, Guide, Heard, Incoming, Options, SecretWords
from payhooks.connectors.said import Said
from payhooks.dialects.provider_words import treezor_kind
from payhooks.dialects.reading import decode_members, scalar_text
from payhooks.dialects.treezor import TREEZOR as DIALECT
from payhooks.dialects.treezor_signature import SIGNATURE
from payhooks.errors import InvalidError

PAYINS: Final = "payins"
LEGACY: Final = "legacy"
NEWEST: Final = "newest"

_PAYIN: Final = "payin."
_REFUND_CALLED_OFF: Final = "payinrefund.cancel"
_CALLED_OFF: Final = "CANCELED"
# Each is an object with a history of its own, and all of them end with their receipt.
_ITEMS_MAX: Final = 100
_REFERENCES: Final = ("transactionReference", "transaction_reference")
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _place(plural: str, id_name: str, *, payment: bool = False, reference: str = "") -> Place:
    here = f"/{plural}/0"
    return Place(
        id=(f"{here}/{id_name}",),
        amount=(f"{here}/amount",),
        currency=(f"{here}/currency",),
        payment_id=(f"{here}/payinId",) if payment else (),
        references=(f"{here}/{reference}",) if reference else (),
    )


class Treezor(Catalogued):
    """Treezor's webhooks. See Provider for what each member promises."""

    name = "treezor"
    title = "Treezor"
    dialect = DIALECT
    family = "treezor"
    # The same transition is told again with whatever else has changed of the object.
    repeats = frozenset(type_.name for type_ in CATALOGUE.types if type_.family == "treezor")
    waits: ClassVar[Mapping[str, timedelta]] = MappingProxyType(
        {
            "payment_processing": timedelta(hours=24),
            "payment_authorized": timedelta(days=7),  # what is not captured is freed then
        }
    )
    secret = SecretWords(
        label="webhook_secret",
        words="The webhook_secret of the environment. Treezor's account manager hands it out.",
    )
    choices = (
        Choice(
            name=PAYINS,
            words="legacy: any event of a payin that is not cancelled means that it was accepted. "
            "newest: only the status VALIDATED does.",
            values=(NEWEST, LEGACY),
            default=NEWEST,
        ),
    )
    guide = Guide(
        where="Make a hook with this URL: POST /settings/hooks at Treezor's webhook host of the "
        "environment. It stays PENDING until the subscription was confirmed.",
        events="A hook that names no events gets all of them. Needed are authorization, payin, "
        "payinrefund and card.acquiring.chargeback.",
        secret="Ask your account manager for the webhook_secret: sandbox and production "  # noqa: S106 - words # nosec B106
        "have different ones.",
        source_url="https://docs.treezor.com/guide/webhooks/integrity-checks.html",
    )
    places = MappingProxyType(
        {
            ("authorization", "payment"): _place("authorizations", "authorizationId"),
            ("payin", "payment"): _place("payins", "payinId", reference="payinTag"),
            ("payinrefund", "refund"): _place(
                "payinrefunds", "payinrefundId", payment=True, reference="payinrefundTag"
            ),
            ("chargeback", "dispute"): _place(
                "chargebacks", "payinrefundId", payment=True, reference="transactionReference"
            ),
        }
    )

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return that the body has no signature in it."""
        if SIGNATURE.encode() in incoming.body:
            return None
        return f"The body has no {SIGNATURE}."

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return each object of the payload by itself: there may be several in the list."""
        reading = self.dialect.read(incoming.headers, incoming.body, options)
        plural, items = _items(reading.payload)
        if len(items) < 2:  # noqa: PLR2004 - one, or none that could be told apart
            return (heard_of(reading, self.family, event_id=None),)
        if len(items) > _ITEMS_MAX:
            detail = f"It tells of more than {_ITEMS_MAX} objects at once."
            raise InvalidError.at(f"/object_payload/{plural}", "too_many", detail)
        heards = []
        for item in items:
            number = scalar_text(decode_members(bytes(item)).get(treezor_kind(plural).id_name))
            heards.append(
                heard_of(
                    msgspec.structs.replace(reading, object_id=number),
                    self.family,
                    event_id=None,
                    data=b"{%b:[%b]}" % (msgspec.json.encode(plural), bytes(item)),
                )
            )
        return heards

    def means(self, entry: Entry, options: Options) -> str | None:
        """Return what the message means, in the way of the account's generation.

        That a payin is pending is told by its creation: an update that says nothing newer may
        have any state before it, and means none.
        """
        data = Said(entry.event.data).data
        if entry.event.type == _REFUND_CALLED_OFF:
            status = at(data, "/payinrefunds/0/payinrefundStatus")
            return super().means(entry, options) if status == _CALLED_OFF else None
        if not entry.event.type.startswith(_PAYIN):
            return super().means(entry, options)
        called_off = at(data, "/payins/0/payinStatus") == _CALLED_OFF
        if options.get(PAYINS) == LEGACY and not called_off and entry.event.type != "payin.cancel":
            return "payment_succeeded" if entry.before == START and entry.moved else None
        if entry.event.type == "payin.update":
            assert entry.kind is not None, "the catalogue knows payins"
            row = entry.kind.life_cycle.row(entry.event.type, data, START)
            if row is not None and row.to == "pending":
                return None
        return super().means(entry, options)

    def further_references(self, said: Said) -> Sequence[str | None]:
        """Return the reference of the acquirer's transaction."""
        found = []
        for plural in ("payins", "authorizations"):
            further = at(said.data, f"/{plural}/0/additionalData")
            if isinstance(further, str):
                try:
                    # Its samples have an object in some events and its text in others.
                    further = json.loads(further)
                except (ValueError, RecursionError):
                    continue
            card = at(further, "/card/externalProvider")
            found += [at(card, f"/{name}") for name in _REFERENCES]
        return [one for one in found if isinstance(one, str) and len(one) <= 255]  # noqa: PLR2004 - as stores keep them


TREEZOR: Final = Treezor()


def _items(payload: bytes) -> tuple[str, list[msgspec.Raw]]:
    """Return the payload's plural key and the objects in its list."""
    for name, value in decode_members(payload).items():
        if bytes(value).startswith(b"["):
            items = _decode_items(value)
            if all(bytes(item).startswith(b"{") for item in items):
                return name, items
    return "", []

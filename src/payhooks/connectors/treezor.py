"""Treezor's card acquiring: authorizations, payins, their refunds and chargebacks.

Once any event of a payin meant that it was accepted; now only VALIDATED does. Which of the two an
account has is the connector's option.

Only the payload is signed. So equal payloads are the same event, whatever stands beside them, and
the name of an event counts for no more than the payload's own status bears out. Of one that was
called off only ``cancel`` says so: any other name of the same payload means nothing, and is apart.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.life_cycle import START, at
from payhooks.catalogue.object_state import Entry
from payhooks.connectors.catalogued import Catalogued, Place, heard_of
from payhooks.connectors.contract import Choice, Guide, Heard, Incoming, Keys, Options, SecretWords
from payhooks.connectors.said import Said
from payhooks.dialects.contract import Reading
from payhooks.dialects.provider_words import treezor_kind
from payhooks.dialects.reading import decode_members, scalar_text
from payhooks.dialects.schemes import no_match, spelled
from payhooks.dialects.text_key import keys_of
from payhooks.dialects.treezor import TREEZOR as DIALECT
from payhooks.dialects.treezor_signature import PAYLOAD, SIGNATURE
from payhooks.errors import InvalidError
from payhooks.limits import KIB

PAYINS: Final = "payins"
LEGACY: Final = "legacy"
NEWEST: Final = "newest"

_PAYIN: Final = "payin."
_PAYIN_CANCEL: Final = "payin.cancel"
_CANCEL: Final = ".cancel"
_CALLED_OFF: Final = "CANCELED"
_RELEASE_ASKED: Final = "150175"  # of an authorization that there was before
_STATUS: Final = MappingProxyType(
    {
        "authorizations": "authorizationStatus",
        "payins": "payinStatus",
        "payinrefunds": "payinrefundStatus",
    }
)
# Eight times the largest sample, indented. To spell it as PHP does takes 0.2 ms for each KiB, and
# anybody may ask for that: what is larger is verified as it stands, as all that Treezor sends is.
_SPELLED_BYTES_MAX: Final = 16 * KIB
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

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept what is signed, in the spelling that came, or in PHP's if that is soon made."""
        if len(incoming.body) > _SPELLED_BYTES_MAX:
            secrets = [self.dialect.verifying_secret(secret) for secret in keys.secrets]
            if not _stands_signed(incoming.body, keys_of(secrets)):
                raise no_match()
        super().verify(incoming, keys, now, options)

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return each object of the payload by itself: there may be several in the list."""
        reading = self.dialect.read(incoming.headers, incoming.body, options)
        plural, items = _items(reading.payload)
        # Outside, a kind of object may have any name that is nobody else's: another each time.
        kind = treezor_kind(plural).object or reading.object_type
        reading = msgspec.structs.replace(reading, object_type=kind)
        if len(items) < 2:  # noqa: PLR2004 - one, or none that could be told apart
            return (self._heard(reading, plural, options),)
        if len(items) > _ITEMS_MAX:
            detail = f"It tells of more than {_ITEMS_MAX} objects at once."
            raise InvalidError.at(f"/object_payload/{plural}", "too_many", detail)
        heards = []
        for place, item in enumerate(items):
            number = scalar_text(decode_members(bytes(item)).get(treezor_kind(plural).id_name))
            alone = msgspec.structs.replace(
                reading,
                object_id=number,
                payload=b"{%b:[%b]}" % (msgspec.json.encode(plural), bytes(item)),
            )
            heards.append(self._heard(alone, plural, options, place=f"/{place}"))
        return heards

    def _heard(self, reading: Reading, plural: str, options: Options, *, place: str = "") -> Heard:
        name = _borne_out(reading, plural, options)
        # It is the payload's alone, however that is spelled. A secret that comes to be another one
        # between two attempts makes a second id: the same state once more, which is no news.
        signature = dict(reading.ids).get(SIGNATURE)
        id_ = signature and f"{signature}{place}{_CANCEL if name.endswith(_CANCEL) else ''}"
        named = msgspec.structs.replace(reading, event_type=name)
        return heard_of(named, self.family, event_id=id_)

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return what the message means, in the way of the account's generation.

        That a payin is pending is told by its creation: an update that says nothing newer may
        have any state before it, and means none.
        """
        data = Said(entry.event.data).data
        if not entry.event.type.startswith(_PAYIN):
            return super().means(entry, options, captured=captured)
        called_off = at(data, "/payins/0/payinStatus") == _CALLED_OFF
        if options.get(PAYINS) == LEGACY and not called_off:
            if entry.event.type == _PAYIN_CANCEL:
                return None  # its name and its status disagree: neither is believed
            return "payment_succeeded" if entry.before == START and entry.moved else None
        if entry.event.type == "payin.update":
            assert entry.kind is not None, "the catalogue knows payins"
            row = entry.kind.life_cycle.row(entry.event.type, data, START)
            if row is not None and row.to == "pending":
                return None
        return super().means(entry, options, captured=captured)

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


def _borne_out(reading: Reading, plural: str, options: Options) -> str:
    """Return the event's name, or that of an update where what was signed belies it."""
    name = reading.event_type
    kind, _, what = name.rpartition(".")
    if plural not in _STATUS or what not in {"create", "cancel"}:
        return name
    if name == _PAYIN_CANCEL and options.get(PAYINS) == LEGACY:
        return name  # there an update means that it was accepted
    data = Said(reading.payload).data
    called_off = at(data, f"/{plural}/0/{_STATUS[plural]}") == _CALLED_OFF
    if what == "cancel":
        return name if called_off else f"{kind}.update"
    later = at(data, f"/{plural}/0/codeStatus") == _RELEASE_ASKED
    return f"{kind}.update" if called_off or later else name


def _stands_signed(body: bytes, keys: Sequence[bytes]) -> bool:
    """Whether a key signed the payload as it stands there: soon said, and no more than a hint."""
    try:
        members = decode_members(body)
        signature = scalar_text(members.get(SIGNATURE))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    payload, offered = bytes(members.get(PAYLOAD, b"")), spelled(signature or "")
    stands = False
    for key in keys:
        made = base64.b64encode(hmac.digest(key, payload, "sha256"))
        stands |= hmac.compare_digest(made, offered)
    return stands

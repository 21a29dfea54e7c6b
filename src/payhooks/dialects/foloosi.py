"""Foloosi: a transfer or an order, and nothing else: no id, no time, no signature.

Source: docs.foloosi.com/webhooks, which prints one successful transfer and names two events of
orders, ``order.success`` and ``order.cancel``. What it leaves open is decided here:

- An order is ``{"event":…,"data":{"order":…}}``; where the event's metadata has a ``transfer``,
  that stands beside the order.
- Everything else is ``{"data":{"transfer":…}}``. The name of the event comes first, as
  ``event``, unless it follows from ``transaction_status`` or the family is Foloosi's own, which
  has no names for transfers: so events of other families keep theirs.
- ``X-Foloosi-Signature``, the HMAC-SHA256 of the body in hex, is our extension, sent where an
  endpoint asks for it. Who takes requests without it has to fetch the transaction again.
"""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.ordinary import HeaderSigned
from payhooks.dialects.printed import encode_json, object_beside
from payhooks.dialects.provider_words import FOLOOSI_EVENT_OF_STATUS
from payhooks.dialects.reading import ABSENT, decoded, scalar_text, those_said
from payhooks.dialects.schemes import HexOfBody
from payhooks.errors import InvalidError
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

FAMILY: Final = "foloosi"
ORDER: Final = "order"
TRANSFER: Final = "transfer"


class _Data(msgspec.Struct, frozen=True):
    transfer: msgspec.Raw = ABSENT
    order: msgspec.Raw = ABSENT


class _Envelope(msgspec.Struct, frozen=True):
    data: _Data
    event: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""


class _About(msgspec.Struct, frozen=True):
    """What of a transfer or an order names it. The document has texts; numbers are taken too."""

    transaction_no: msgspec.Raw = ABSENT
    transaction_status: msgspec.Raw = ABSENT
    payment_reference: msgspec.Raw = ABSENT
    id: msgspec.Raw = ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_about = msgspec.json.Decoder(_About).decode


class Foloosi(HeaderSigned):
    """The dialect of Foloosi. See Dialect for what each method promises."""

    name = "foloosi"
    version = 1
    signs_by_default = False
    scheme = HexOfBody("X-Foloosi-Signature", "sha256")

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the publisher's data as a transfer, or as an order where it is one."""
        if event.object_type == ORDER or event.type.startswith("order."):
            transfer = object_beside(event, TRANSFER)
            body = b'{"event":%b,"data":{"order":%b%b}}' % (
                encode_json(event.type),
                event.data,
                b"" if transfer is None else b',"transfer":' + transfer,
            )
        elif event.family == FAMILY or _event_of(_decode_about(event.data)) == event.type:
            body = b'{"data":{"transfer":%b}}' % event.data
        else:
            body = b'{"event":%b,"data":{"transfer":%b}}' % (encode_json(event.type), event.data)
        return Rendered(content_type="application/json", body=body)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the order, with its transfer as metadata, or else the transfer.

        The key to dedupe by is the number of the transaction with what became of it: Foloosi
        prints nothing that names a webhook. Of an order without a transaction it is the order's.
        """
        wanted = "a JSON object with data, and in it transfer or order"
        envelope = decoded(_decode_envelope, body, wanted=wanted)
        order, transfer = bytes(envelope.data.order), bytes(envelope.data.transfer)
        if not (order or transfer):
            raise InvalidError.at("/data", "required", "There is neither transfer nor order.")
        about_order, about_transfer = _about(order, ORDER), _about(transfer, TRANSFER)
        event_type = envelope.event or (None if order else _event_of(about_transfer))
        if not event_type:
            raise _unnamed(about_transfer, of_order=bool(order))
        number = scalar_text(about_transfer.transaction_no)
        object_id = number
        if order:
            object_id = scalar_text(about_order.id) or scalar_text(about_order.transaction_no)
        named = number or object_id
        # Not the status where there is an event: an order tells of the same transaction too.
        became = envelope.event or scalar_text(about_transfer.transaction_status)
        ids = {
            "transaction": named and f"{named}:{became}",
            "payment_reference": scalar_text(about_transfer.payment_reference),
        }
        return Reading(
            event_type=event_type,
            object_type=ORDER if order else TRANSFER,
            object_id=object_id or number,
            ids=those_said(ids),
            occurred_at=None,
            payload=order or transfer,
            metadata=b'{"transfer":%b}' % transfer if order and transfer else None,
        )


FOLOOSI: Final = Foloosi()


def _about(spelled: bytes, name: str) -> _About:
    if not spelled:
        return _About()
    return decoded(_decode_about, spelled, wanted=f"about an object: data.{name} is none")


def _event_of(about: _About) -> str | None:
    """Return the event that a transfer's status means; None where it is none that is known."""
    return FOLOOSI_EVENT_OF_STATUS.get((scalar_text(about.transaction_status) or "").lower())


def _unnamed(about: _About, *, of_order: bool) -> InvalidError:
    if of_order:
        return InvalidError.at("/event", "required", "An order has no event.")
    pointer = "/data/transfer/transaction_status"
    if not scalar_text(about.transaction_status):
        return InvalidError.at(pointer, "required", "There is neither event nor status.")
    return InvalidError.at(pointer, "unknown_status", "What this status means is not known.")

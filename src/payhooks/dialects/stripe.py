"""Stripe's event object, signed as Stripe signs: a time and HMAC-SHA256 signatures in one header.

For merchants whose receiver was made for Stripe: its packages verify and read what is written here.
Rules: docs.stripe.com/webhooks (signature) and docs.stripe.com/api/events/object (members, in the
order printed there). Gateways that answer as Stripe does leave out ``livemode`` and may name the
kind of object in ``data.type``; both are read.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.ordinary import HeaderSigned
from payhooks.dialects.printed import delivery_digest, encode_json, happened_at
from payhooks.dialects.reading import Members, decode_members, decoded, missing, scalar_text
from payhooks.dialects.schemes import TimedList
from payhooks.errors import InvalidError
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant, Mode

SIGNATURE: Final = "Stripe-Signature"

_SNAPSHOT: Final = "event"  # Stripe's other kind carries no object, only where to fetch it.
_ID_DIGITS: Final = 24
_SECONDS_MAX: Final = 253_402_300_799  # the last second that a datetime can be


class _Envelope(msgspec.Struct, frozen=True):
    id: str = ""
    object: str = _SNAPSHOT
    created: msgspec.Raw = msgspec.Raw(b"null")
    data: Members = {}
    livemode: bool | None = None
    type: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_as_seconds = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, le=_SECONDS_MAX)]).decode


class Stripe(HeaderSigned):
    """Stripe's snapshot events. See Dialect for what each method promises."""

    name = "stripe"
    version = 1
    scheme = TimedList(SIGNATURE)
    key_prefix = "whsec_"  # what follows is no base64, unlike in a secret of ``standard``

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the event object with the publisher's data as its object.

        Every member that Stripe's packages take for granted is there, since some refuse an event
        that lacks one: it waits for this one receiver, and no API request of the merchant's
        made it.
        """
        body = (
            b'{"id":"evt_%b","object":"event","api_version":%b,"created":%d,"data":{"object":%b},'
            b'"livemode":%b,"pending_webhooks":1,"request":{"id":null,"idempotency_key":null},'
            b'"type":%b}'
        ) % (
            delivery_digest(event, endpoint).hex()[:_ID_DIGITS].encode(),
            encode_json(endpoint.api_version),
            int(happened_at(event).timestamp()),
            event.data,
            b"true" if merchant.mode is Mode.LIVE else b"false",
            encode_json(event.type),
        )
        return Rendered(content_type="application/json", body=body)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the parts of the event object.

        Its object is a picture of the moment of ``created``, so that orders states of an object,
        to the second.
        """
        envelope = decoded(_decode_envelope, body, wanted="an event object of Stripe's")
        if envelope.object != _SNAPSHOT:
            detail = "This is not an event with its object inside, but a notification of one."
            raise InvalidError.at("/object", "unsupported", detail)
        if not envelope.id:
            raise missing("/id")
        if not envelope.type:
            raise missing("/type")
        raw = envelope.data.get("object")
        if raw is None:
            raise missing("/data/object")
        payload = bytes(raw)
        members = decoded(decode_members, payload, wanted="one whose data.object is an object")
        kind = scalar_text(members.get("object")) or scalar_text(envelope.data.get("type"))
        at = _moment(envelope.created)
        return Reading(
            event_type=envelope.type,
            object_type=kind,
            object_id=scalar_text(members.get("id")),
            ids=(("id", envelope.id),),
            occurred_at=at,
            payload=payload,
            ordered_at=at,
            is_test=None if envelope.livemode is None else not envelope.livemode,
        )


STRIPE: Final = Stripe()


def _moment(created: msgspec.Raw) -> datetime | None:
    """Return a time in seconds; what is none is no reason to refuse the rest."""
    try:
        return datetime.fromtimestamp(_as_seconds(created), UTC)
    except msgspec.DecodeError:
        return None

"""OwlPay: a time and HMAC-SHA256 signatures in one header, made anew for every attempt.

Rules: developers.owlpay.com/docs/check-the-webhook-signature (signature and envelope) and
…/docs/webhook (names of events). Neither says how old a signed time may be: ours is five minutes.
What is read may still have the names of the status that an event brought about, which an earlier
generation sent; what is written has the names of the catalogue.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.ordinary import HeaderSigned
from payhooks.dialects.printed import delivery_digest, encode_json
from payhooks.dialects.provider_words import OWLPAY_ALIASES
from payhooks.dialects.reading import (
    Members,
    decode_members,
    decoded,
    in_utc,
    missing,
    scalar_text,
)
from payhooks.dialects.schemes import TimedList
from payhooks.errors import InvalidError
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant, Mode

SIGNATURE: Final = "owlpay-signature"

_UUID_DIGITS: Final = 40


class _Envelope(msgspec.Struct, frozen=True):
    uuid: str = ""
    observation: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""
    data: Members = {}
    is_test: Literal[0, 1] | bool | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_as_moment = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)]).decode


class OwlPay(HeaderSigned):
    """OwlPay's webhooks. See Dialect for what each method promises."""

    name = "owlpay"
    version = 1
    timeout_s = 10.0  # It prints none, nor when it tries again.
    scheme = TimedList(SIGNATURE)
    key_prefix = "whs_"

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data under the name of its object.

        An event without an object is about what its type begins with.
        """
        kind = event.object_type or event.type.partition(".")[0]
        body = (
            b'{"uuid":"att_%b","api_version":"1.0.0","is_test":%d,"observation":%b,"data":{%b:%b}}'
        ) % (
            delivery_digest(event, endpoint).hex()[:_UUID_DIGITS].encode(),
            merchant.mode is Mode.SANDBOX,
            encode_json(event.type),
            encode_json(kind),
            event.data,
        )
        return Rendered(content_type="application/json", body=body)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the parts of the envelope, under today's name of the event.

        The only time is the object's ``updated_at``. The signed one is no time of the event:
        every attempt has its own, so an old state that is sent again would look like the newest.
        ``uuid`` may be the attempt's rather than the event's, so a second id is made of what
        happened to which object when, as far as that is said.
        """
        wanted = "a JSON object with uuid, observation, data and is_test 0 or 1"
        envelope = decoded(_decode_envelope, body, wanted=wanted)
        if not envelope.uuid:
            raise missing("/uuid")
        if not envelope.observation:
            raise missing("/observation")
        if len(envelope.data) != 1:
            detail = "There is one member in data, named after the object that it is."
            raise InvalidError.at("/data", "required", detail)
        [(kind, raw)] = envelope.data.items()
        payload = bytes(raw)
        members = decoded(decode_members, payload, wanted="one whose data holds an object")
        event_type = OWLPAY_ALIASES.get(envelope.observation, envelope.observation)
        object_id = scalar_text(members.get("uuid"))
        updated_at = scalar_text(members.get("updated_at"))
        ids = [("uuid", envelope.uuid)]
        if object_id is not None and updated_at is not None:
            ids.append(("state", f"{event_type} {object_id} {updated_at}"))
        at = _moment(members.get("updated_at"))
        return Reading(
            event_type=event_type,
            object_type=kind,
            object_id=object_id,
            ids=tuple(ids),
            occurred_at=at,
            payload=payload,
            ordered_at=at,
            is_test=None if envelope.is_test is None else bool(envelope.is_test),
        )


OWLPAY: Final = OwlPay()


def _moment(raw: msgspec.Raw | None) -> datetime | None:
    """Return a time that says its zone; what is none is no reason to refuse the rest."""
    if raw is None:
        return None
    try:
        return in_utc(_as_moment(raw))
    except (msgspec.DecodeError, InvalidError):
        return None

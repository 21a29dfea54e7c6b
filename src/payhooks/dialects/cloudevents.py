"""CloudEvents 1.0.2 in structured mode, signed as ``standard`` signs.

Rules: the specification's ``cloudevents/spec.md`` (attributes), ``formats/json-format.md``
(envelope) and ``bindings/http-protocol-binding.md`` (modes). CloudEvents knows no signature, so the
headers and secrets are those of Standard Webhooks.

``id`` is the delivery's, the same as in ``webhook-id``: equal on every attempt and unlike any
other's, so whoever dedupes by ``source`` and ``id``, as the specification has it, and whoever
dedupes by the header that is signed come to the same. ``source`` is the merchant by the id that
never changes.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.printed import encode_json, happened_at, iso_microseconds
from payhooks.dialects.provider_words import CLOUDEVENTS_JSON_TYPE
from payhooks.dialects.reading import ABSENT, decoded, in_utc, missing
from payhooks.dialects.standard import Standard
from payhooks.errors import InvalidError
from payhooks.ids import DELIVERY, MERCHANT, delivery_id, to_text
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

CONTENT_TYPE: Final = "application/cloudevents+json"

_SPECVERSION: Final = "1.0"  # of every 1.0.x
_ANY_STRUCTURED: Final = "application/cloudevents"
_BATCHED: Final = "application/cloudevents-batch"
_BINARY_MARK: Final = "ce-specversion"
# What an attribute must not hold: control characters, and code points that are no characters.
_NOT_IN_STRINGS: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\ufdd0-\\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


class _Envelope(msgspec.Struct, frozen=True):
    specversion: str = ""
    id: str = ""
    source: str = ""
    type: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""
    subject: str | None = None
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = ABSENT
    data_base64: msgspec.Raw = ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class CloudEvents(Standard):
    """One CloudEvent in one JSON body. See Dialect for what each method promises."""

    name = "cloudevents"
    version = 1

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data inside, byte for byte."""
        delivery = to_text(DELIVERY, delivery_id(event.id, endpoint.number))
        body = (
            b'{"specversion":"1.0","id":"%b","source":"/merchants/%b","type":%b%b,"time":"%b",'
            b'"datacontenttype":"application/json","data":%b}'
        ) % (
            delivery.encode(),
            to_text(MERCHANT, merchant.id).encode(),
            encode_json(event.type),
            _subject_member(event),
            iso_microseconds(happened_at(event)).encode(),
            event.data,
        )
        return Rendered(content_type=CONTENT_TYPE, body=body)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the attributes and the data of one event in structured mode.

        A subject of another form than ``type/id`` names no object: what it means is its sender's.
        """
        _refuse_other_modes(headers)
        envelope = decoded(_decode_envelope, body, wanted="a CloudEvent in JSON")
        _check(envelope)
        kind, _, number = (envelope.subject or "").partition("/")
        has_object = bool(kind and number)
        at = None if envelope.time is None else in_utc(envelope.time)
        return Reading(
            event_type=envelope.type,
            object_type=kind if has_object else None,
            object_id=number if has_object else None,
            # Neither alone is unique. A URI reference has no space, so the two cannot run together.
            ids=(("source id", f"{envelope.source} {envelope.id}"), ("id", envelope.id)),
            occurred_at=at,
            payload=bytes(envelope.data),
            ordered_at=at,
        )


CLOUDEVENTS: Final = CloudEvents()


def _subject_member(event: Event) -> bytes:
    if event.object_id is None:
        return b""
    subject = f"{event.object_type}/{event.object_id}"
    # The attribute may be left out, so an id that it cannot hold is no reason to refuse the event.
    if _NOT_IN_STRINGS.search(subject):
        return b""
    return b',"subject":' + encode_json(subject)


def _refuse_other_modes(headers: Mapping[str, str]) -> None:
    """Refuse what the headers say is not one event in one JSON body.

    A JSON body under any other content type is looked at: not every sender sets it.
    """
    said = headers.get("content-type", "").partition(";")[0].strip().lower()
    if said.startswith(_BATCHED):
        raise _unsupported("A batch of CloudEvents is not read; send one event in each request.")
    if said == CONTENT_TYPE:
        return
    if said.startswith(_ANY_STRUCTURED):
        raise _unsupported("Of the formats of a structured CloudEvent only JSON is read.")
    if _BINARY_MARK in headers:
        raise _unsupported("A CloudEvent in binary mode is not read; send it in structured mode.")


def _check(envelope: _Envelope) -> None:
    for name in ("specversion", "id", "source", "type"):
        if not getattr(envelope, name):
            raise missing(f"/{name}")
    if envelope.specversion != _SPECVERSION:
        raise InvalidError.at("/specversion", "unsupported", "Only CloudEvents 1.0 are read.")
    media_type = (envelope.datacontenttype or "application/json").partition(";")[0].strip()
    if bytes(envelope.data_base64) or not CLOUDEVENTS_JSON_TYPE.match(media_type):
        raise InvalidError.at("/datacontenttype", "unsupported", "Only data in JSON is read.")
    if not bytes(envelope.data):
        raise missing("/data")


def _unsupported(detail: str) -> InvalidError:
    return InvalidError.at("", "unsupported", detail)

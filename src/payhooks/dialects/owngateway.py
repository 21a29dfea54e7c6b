"""OwnGateway, and Hyperswitch, whose earlier release it is: HMAC-SHA512 of the body in a header.

One body for all attempts, compact as its original's encoder writes, so one signature for all of
them as long as the key stays. Facts: the original's ``api-reference/essentials/webhooks.mdx`` (its
words), ``crates/api_models/src/webhooks.rs`` (the body and the order of its members) and
``crates/router/src/core/webhooks/`` (the signature and the ids).
"""

import base64
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import msgspec

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.ordinary import HeaderSigned
from payhooks.dialects.printed import (
    delivery_digest,
    encode_json,
    happened_at,
    iso_milliseconds,
    merchant_id,
)
from payhooks.dialects.provider_words import OWNGATEWAY_DETAILS, OWNGATEWAY_ORDERED_BY
from payhooks.dialects.reading import (
    ABSENT,
    Members,
    decode_members,
    decoded,
    in_utc,
    missing,
    scalar_text,
)
from payhooks.dialects.schemes import HexOfBody
from payhooks.errors import InvalidError
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

SIGNATURE: Final = "X-Webhook-Signature-512"
EVENT_ID: Final = "event_id"
MERCHANT_ID: Final = "merchant_id"  # of a merchant's provider_ids

EVENT_IDS: Final = "event_ids"
EACH: Final = "each"
OBJECT: Final = "object"

# Types whose first word does not say what their object is.
_OBJECT_OF_WORD: Final = MappingProxyType({"action": "payment", "invoice": "subscription"})


class _Content(msgspec.Struct, frozen=True):
    type: str = ""
    object: msgspec.Raw = ABSENT


class _Envelope(msgspec.Struct, frozen=True):
    event_id: msgspec.Raw = ABSENT
    event_type: str = ""
    content: _Content = _Content()
    timestamp: msgspec.Raw = ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class OwnGateway(HeaderSigned):
    """The dialect of OwnGateway. See Dialect for what each method promises."""

    name = "owngateway"
    version = 1
    retry_policy = "owngateway"
    timeout_s = 30.0  # the original's client waits as long
    scheme = HexOfBody(SIGNATURE, "sha512")

    def check_options(self, options: Options) -> None:
        """Accept ``event_ids``: ``each`` event its own, or one for each ``object`` and type.

        The original never tells the same twice of an object, so its id does not say which time it
        was; receivers that dedupe by it would drop a second capture. So ``each`` is the default.
        """
        for name, value in options.items():
            if name != EVENT_IDS:
                detail = f"The only option of this dialect is {EVENT_IDS}."
                raise InvalidError.at("/dialect_options", "unknown_option", detail)
            if value not in (EACH, OBJECT):
                detail = f"It is {EACH} or {OBJECT}."
                raise InvalidError.at(f"/dialect_options/{EVENT_IDS}", "invalid_choice", detail)

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data, only the space between tokens removed."""
        body = (
            b'{"merchant_id":%b,"event_id":"%b","event_type":%b,'
            b'"content":{"type":%b,"object":%b},"timestamp":"%b"}'
        ) % (
            encode_json(merchant_id(merchant, provided=MERCHANT_ID)),
            _event_id(event, endpoint).encode(),
            encode_json(event.type),
            encode_json(_object_word(event) + OWNGATEWAY_DETAILS),
            # Reformats without decoding: numbers and strings keep their spelling.
            msgspec.json.format(event.data, indent=-1),
            iso_milliseconds(happened_at(event)).encode(),
        )
        return Rendered(content_type="application/json", body=body)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the parts of the envelope; contents of kinds unknown today are read as well."""
        wanted = "a JSON object with event_id, event_type, content and timestamp"
        envelope = decoded(_decode_envelope, body, wanted=wanted)
        content = envelope.content
        event_id = scalar_text(envelope.event_id)
        occurred_at = _moment(envelope.timestamp)
        # A named member each, so that whoever wrote the sender knows what to mend.
        if not event_id:
            raise missing("/event_id")
        if not envelope.event_type:
            raise missing("/event_type")
        if not content.type:
            raise missing("/content/type")
        if not bytes(content.object):
            raise missing("/content/object")
        if occurred_at is None:
            raise missing("/timestamp")
        payload = bytes(content.object)
        members = decoded(decode_members, payload, wanted="one whose content/object is an object")
        kind = content.type.removesuffix(OWNGATEWAY_DETAILS)
        return Reading(
            event_type=envelope.event_type,
            object_type=kind,
            # A subscription calls its own id just that.
            object_id=scalar_text(members.get(f"{kind}_id")) or scalar_text(members.get("id")),
            ids=((EVENT_ID, event_id),),
            occurred_at=occurred_at,
            payload=payload,
            ordered_at=_ordered_at(members),
        )


class Hyperswitch(OwnGateway):
    """The same from the earlier release, which tries for longer."""

    name = "hyperswitch"
    retry_policy = "hyperswitch"


OWNGATEWAY: Final = OwnGateway()
HYPERSWITCH: Final = Hyperswitch()


def _object_word(event: Event) -> str:
    if event.object_type is not None:
        return event.object_type
    word = event.type.partition("_")[0].partition(".")[0]
    return _OBJECT_OF_WORD.get(word, word)


def _event_id(event: Event, endpoint: Endpoint) -> str:
    if dict(endpoint.dialect_options).get(EVENT_IDS) == OBJECT and event.object_id is not None:
        said = f"{event.object_id}_{event.type}".encode()
        return base64.urlsafe_b64encode(hashlib.sha256(said).digest()).rstrip(b"=").decode()
    return f"evt_{_uuid7(event.id, delivery_digest(event, endpoint))}"


def _uuid7(made: bytes, digest: bytes) -> str:
    """Return a UUID of version 7 without hyphens: the moment an id was made, then the digest."""
    drawn = digest.hex()
    # The two bits that say which layout this is leave four digits to choose from.
    return f"{made[:6].hex()}7{drawn[:3]}{'89ab'[digest[31] & 3]}{drawn[3:18]}"


def _ordered_at(members: Members) -> datetime | None:
    for name in OWNGATEWAY_ORDERED_BY:
        at = _moment(members.get(name))
        if at is not None:
            return at
    return None


def _moment(raw: msgspec.Raw | None) -> datetime | None:
    """Return the time that *raw* spells; the original's times are UTC, with or without a Z."""
    text = scalar_text(raw)
    if text is None:
        return None
    with suppress(msgspec.ValidationError, InvalidError):
        at = msgspec.convert(text, datetime)
        return in_utc(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
    return None

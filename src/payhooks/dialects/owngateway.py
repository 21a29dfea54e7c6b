"""OwnGateway, and Hyperswitch, whose earlier release it is: HMAC-SHA512 of the body in a header.

One body for all attempts, compact as its original's encoder writes, so one signature for all of
them as long as the key stays. Facts: the original's ``api-reference/essentials/webhooks.mdx`` (its
words), ``crates/api_models/src/webhooks.rs`` (the body and the order of its members) and
``crates/router/src/core/webhooks/`` (the signature and the ids).
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import ClassVar, Final

import msgspec

from payhooks.dialects.contract import (
    NO_OPTIONS,
    SECRET_RANDOM_BYTES,
    Carried,
    HmacSecret,
    Options,
    Reading,
    Rendered,
    Signed,
    SigningSecret,
    VerifyingSecret,
)
from payhooks.dialects.printed import delivery_digest, happened_at, iso_milliseconds
from payhooks.dialects.reading import decoded, in_utc, scalar_text
from payhooks.dialects.schemes import HexOfBody
from payhooks.dialects.text_key import keys_of, text_key
from payhooks.errors import InvalidError
from payhooks.ids import MERCHANT, to_text
from payhooks.limits import CONNECT_TIMEOUT_S, IN_FLIGHT_PER_LANE
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

SIGNATURE: Final = "X-Webhook-Signature-512"
EVENT_ID: Final = "event_id"
MERCHANT_ID: Final = "merchant_id"  # of a merchant's provider_ids

EVENT_IDS: Final = "event_ids"
EACH: Final = "each"
OBJECT: Final = "object"

_SCHEME: Final = HexOfBody(SIGNATURE, "sha512")
_DETAILS: Final = "_details"
# Types whose first word does not say what their object is.
_OBJECT_OF_WORD: Final = MappingProxyType({"action": "payment", "invoice": "subscription"})
# Whichever of its states is newer: the documentation orders payments by ``updated``.
_ORDERED_BY: Final = ("updated", "modified", "updated_at")

_encode_json = msgspec.json.Encoder().encode


_ABSENT: Final = msgspec.Raw()  # an empty Raw is not JSON, so nobody can send it


class _Content(msgspec.Struct, frozen=True):
    type: str = ""
    object: msgspec.Raw = _ABSENT


class _Envelope(msgspec.Struct, frozen=True):
    event_id: msgspec.Raw = _ABSENT
    event_type: str = ""
    content: _Content = _Content()
    timestamp: msgspec.Raw = _ABSENT


_WANTED: Final = "a JSON object with event_id, event_type, content and timestamp"
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGateway:
    """The dialect under one of its names. See Dialect for what each method promises."""

    name: str
    retry_policy: str

    version: ClassVar[int] = 1
    timeout_s: ClassVar[float] = 30.0  # the original's client waits as long
    connect_timeout_s: ClassVar[float] = CONNECT_TIMEOUT_S
    in_flight_max: ClassVar[int] = IN_FLIGHT_PER_LANE
    signs_by_default: ClassVar[bool] = True
    own_headers: ClassVar[frozenset[str]] = frozenset({SIGNATURE.lower()})
    carries_everything: ClassVar[bool] = True

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
                raise InvalidError.at(f"/dialect_options/{EVENT_IDS}", "invalid", detail)

    def refusal(self, said: Carried) -> None:
        """Carry everything."""

    def new_secret(self, random_bytes: bytes) -> str:
        """Return 64 letters and digits, as many as the original draws."""
        assert len(random_bytes) == SECRET_RANDOM_BYTES
        return random_bytes.hex()

    def signing_secret(self, text: str) -> HmacSecret:
        """Return the secret whose key is *text*."""
        return text_key(text)

    def verifying_secret(self, text: str) -> HmacSecret:
        """Return the secret whose key is *text*."""
        return text_key(text)

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data, only the space between tokens removed."""
        body = (
            b'{"merchant_id":%b,"event_id":"%b","event_type":%b,'
            b'"content":{"type":%b,"object":%b},"timestamp":"%b"}'
        ) % (
            _encode_json(_merchant_id(merchant)),
            _event_id(event, endpoint).encode(),
            _encode_json(event.type),
            _encode_json(_object_word(event) + _DETAILS),
            # Reformats without decoding: numbers and strings keep their spelling.
            msgspec.json.format(event.data, indent=-1),
            iso_milliseconds(happened_at(event)).encode(),
        )
        return Rendered(content_type="application/json", body=body)

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Return the signature made with the newest secret, and the body as it is."""
        return Signed(_SCHEME.sign(body, keys_of(secrets), now=now), body)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if some secret signed it, whenever that was."""
        _SCHEME.verify(headers, body, keys_of(secrets), now=now)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the parts of the envelope; contents of kinds unknown today are read as well."""
        envelope = decoded(_decode_envelope, body, wanted=_WANTED)
        content = envelope.content
        event_id = scalar_text(envelope.event_id)
        occurred_at = _moment(envelope.timestamp)
        # A named member each, so that whoever wrote the sender knows what to mend.
        if not event_id:
            raise _missing("event_id")
        if not envelope.event_type:
            raise _missing("event_type")
        if not content.type:
            raise _missing("content/type")
        if not bytes(content.object):
            raise _missing("content/object")
        if occurred_at is None:
            raise _missing("timestamp")
        payload = bytes(content.object)
        members = decoded(_decode_object, payload, wanted="one whose content/object is an object")
        kind = content.type.removesuffix(_DETAILS)
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


OWNGATEWAY: Final = OwnGateway(name="owngateway", retry_policy="owngateway")
HYPERSWITCH: Final = OwnGateway(name="hyperswitch", retry_policy="hyperswitch")


def _merchant_id(merchant: Merchant) -> str:
    provided = dict(merchant.provider_ids).get(MERCHANT_ID)
    return provided or merchant.reference or to_text(MERCHANT, merchant.id)


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


def _ordered_at(members: Mapping[str, msgspec.Raw]) -> datetime | None:
    for name in _ORDERED_BY:
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


def _missing(pointer: str) -> InvalidError:
    return InvalidError.at(f"/{pointer}", "required", f"The body has no {pointer}.")

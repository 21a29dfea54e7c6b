"""The merchant console with Source Key and Signature Key: USAePay's webhooks.

Envelope, throughput and time-outs: "Webhook Responses" of its REST reference,
help.usaepay.info/api/rest; keys and events: help.usaepay.info/merchant/guide/settings/webhooks.

What changed stands beside the object, so here it comes from the event's metadata, member
``changes``. Its times name no zone: an option does. Its card updater is ``cau`` in the list of
events and ``cardupdate`` in what is sent: we write the one chosen and read both as ``cau``.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from payhooks.dialects.contract import NO_OPTIONS, Options, Reading, Rendered
from payhooks.dialects.ordinary import HeaderSigned
from payhooks.dialects.printed import (
    delivery_digest,
    encode_json,
    happened_at,
    merchant_id,
    object_beside,
)
from payhooks.dialects.provider_words import (
    CONSOLE_LISTED_PREFIX,
    CONSOLE_SENT_PREFIX,
    CONSOLE_TIME_ZONE,
)
from payhooks.dialects.reading import ABSENT, decoded, in_utc, missing, scalar_text, those_said
from payhooks.dialects.schemes import HexOfBody
from payhooks.errors import InvalidError
from payhooks.limits import EVENT_TYPE_CHARS_MAX, TIMEOUT_S_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

TIME_ZONE: Final = "time_zone"
CARD_UPDATER_PREFIX: Final = "card_updater_prefix"
MERCH_KEY: Final = "merch_key"
CHANGES: Final = "changes"

# As the zone database spells its names; what else lies in its folder begins in lower case.
_ZONE_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_ZONE_NAME_CHARS_MAX: Final = 64


class _Object(msgspec.Struct, frozen=True):
    type: msgspec.Raw = ABSENT
    key: msgspec.Raw = ABSENT
    refnum: msgspec.Raw = ABSENT


class _Merchant(msgspec.Struct, frozen=True):
    merch_key: msgspec.Raw = ABSENT


class _Body(msgspec.Struct, frozen=True):
    object: msgspec.Raw = ABSENT
    merchant: _Merchant = _Merchant()
    changes: msgspec.Raw = ABSENT


class _Envelope(msgspec.Struct, frozen=True):
    event_type: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""
    event_triggered: str = ""
    event_body: _Body = _Body()
    event_id: str = ""


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_object = msgspec.json.Decoder(_Object).decode


class MerchantConsole(HeaderSigned):
    """The dialect of the merchant console. See Dialect for what each method promises."""

    name = "merchant-console"
    version = 1
    retry_policy = "merchant-console"
    timeout_s = TIMEOUT_S_MAX
    in_flight_max = 20  # Its reference names this many connections for each endpoint.
    scheme = HexOfBody("X-Signature", "sha256")

    def check_options(self, options: Options) -> None:
        """Accept a zone of the zone database and one of the two prefixes."""
        for name, value in options.items():
            if name == TIME_ZONE:
                _check_zone(value)
            elif name == CARD_UPDATER_PREFIX:
                if value not in (CONSOLE_LISTED_PREFIX, CONSOLE_SENT_PREFIX):
                    detail = f"It is {CONSOLE_LISTED_PREFIX} or {CONSOLE_SENT_PREFIX}."
                    raise InvalidError.at(f"/dialect_options/{name}", "invalid_choice", detail)
            else:
                detail = f"This dialect has the options {TIME_ZONE} and {CARD_UPDATER_PREFIX}."
                raise InvalidError.at("/dialect_options", "unknown_option", detail)

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data as the object of the event's body."""
        options = dict(endpoint.dialect_options)
        zone = _zone(options.get(TIME_ZONE, CONSOLE_TIME_ZONE))
        triggered = happened_at(event).astimezone(zone).replace(tzinfo=None)
        event_type = event.type
        if options.get(CARD_UPDATER_PREFIX) == CONSOLE_SENT_PREFIX:
            event_type = _renamed(event_type, CONSOLE_LISTED_PREFIX, CONSOLE_SENT_PREFIX)
        changes = object_beside(event, CHANGES)
        body = (
            b'{"type":"event","event_triggered":"%b","event_type":%b,"event_body":'
            b'{"merchant":{"merch_key":%b},"object":%b%b},"event_id":"%b"}'
        ) % (
            triggered.isoformat(" ", "seconds").encode(),
            encode_json(event_type),
            encode_json(merchant_id(merchant, provided=MERCH_KEY)),
            event.data,
            b"" if changes is None else b',"changes":' + changes,
            delivery_digest(event, endpoint).hex().encode(),
        )
        return Rendered(content_type="application/json", body=body)

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the event's object, with what changed of it as metadata."""
        wanted = "a JSON object with event_type, event_triggered, event_body and event_id"
        envelope = decoded(_decode_envelope, body, wanted=wanted)
        said = envelope.event_body
        for name, value in (
            ("event_type", envelope.event_type),
            ("event_triggered", envelope.event_triggered),
            ("event_id", envelope.event_id),
            ("event_body/object", payload := bytes(said.object)),
        ):
            if not value:
                raise missing(f"/{name}")
        about = decoded(
            _decode_object, payload, wanted="about an object: event_body.object is none"
        )
        triggered = _triggered(envelope.event_triggered, options)
        ids = {
            "event_id": envelope.event_id,
            MERCH_KEY: scalar_text(said.merchant.merch_key),
            "refnum": scalar_text(about.refnum),
        }
        return Reading(
            event_type=_renamed(envelope.event_type, CONSOLE_SENT_PREFIX, CONSOLE_LISTED_PREFIX),
            object_type=scalar_text(about.type),
            object_id=scalar_text(about.key),
            ids=those_said(ids),
            occurred_at=triggered,
            ordered_at=triggered,
            payload=payload,
            metadata=b'{"changes":%b}' % changes if (changes := bytes(said.changes)) else None,
        )


MERCHANT_CONSOLE: Final = MerchantConsole()


def _renamed(event_type: str, old: str, new: str) -> str:
    family, dot, name = event_type.partition(".")
    return f"{new}.{name}" if dot and family == old else event_type


def _triggered(text: str, options: Options) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        detail = "It is not a time like 2021-04-07 15:14:26."
        raise InvalidError.at("/event_triggered", "malformed", detail) from None
    if at.tzinfo is None:
        # In the hour that autumn repeats it is the first, and in the one that spring leaves
        # out what clocks showed that had not been put forward: both is what fold 0 means.
        at = at.replace(tzinfo=_zone(options.get(TIME_ZONE, CONSOLE_TIME_ZONE)))
    return in_utc(at)


def _check_zone(name: str) -> None:
    try:
        if len(name) <= _ZONE_NAME_CHARS_MAX and _ZONE_NAME.fullmatch(name):
            _zone(name)
            return
    # An unknown name, one that is not even a name, and a folder of zones.
    except (KeyError, ValueError, OSError):
        pass
    detail = f"There is no such time zone; one is {CONSOLE_TIME_ZONE}."
    raise InvalidError.at(f"/dialect_options/{TIME_ZONE}", "unknown_time_zone", detail)


# There are some six hundred; ZoneInfo's own cache forgets all but eight that nobody holds.
@lru_cache(maxsize=1_024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)

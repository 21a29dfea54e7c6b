"""OwlPay: a time and HMAC-SHA256 signatures in one header, made anew for every attempt.

Rules: developers.owlpay.com/docs/check-the-webhook-signature (signature and envelope) and
…/docs/webhook (names of events). Neither says how old a signed time may be: ours is five minutes.
What is read may still have the names of the status that an event brought about, which an earlier
generation sent; what is written has the names of the catalogue.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal

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
    refuse_options,
)
from payhooks.dialects.printed import delivery_digest
from payhooks.dialects.reading import decoded, in_utc, missing, scalar_text
from payhooks.dialects.schemes import TimedList
from payhooks.dialects.text_key import keys_of, text_key
from payhooks.errors import InvalidError
from payhooks.limits import CONNECT_TIMEOUT_S, EVENT_TYPE_CHARS_MAX, IN_FLIGHT_PER_LANE
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant, Mode

SIGNATURE: Final = "owlpay-signature"
SECRET_PREFIX: Final = "whs_"  # noqa: S105 - what secrets begin with, not one
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "owlpay.received_order": "order.received",
        "platform.order_cancelled": "order.cancelled",
        "owlpay.payout_succeed": "order.payout.succeed",
    }
)

_UUID_DIGITS: Final = 40
_SCHEME: Final = TimedList(SIGNATURE)

_encode_json = msgspec.json.Encoder().encode


class _Envelope(msgspec.Struct, frozen=True):
    uuid: str = ""
    observation: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""
    data: dict[str, msgspec.Raw] = {}
    is_test: Literal[0, 1] | bool | None = None


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_as_moment = msgspec.json.Decoder(Annotated[datetime, msgspec.Meta(tz=True)]).decode


class OwlPay:
    """OwlPay's webhooks. See Dialect for what each method promises."""

    name: Final = "owlpay"
    version: Final = 1
    # OwlPay prints neither: the platform's own policy, and an answer within ten seconds.
    retry_policy: Final = "standard"
    timeout_s: Final = 10.0
    connect_timeout_s: Final = CONNECT_TIMEOUT_S
    in_flight_max: Final = IN_FLIGHT_PER_LANE
    signs_by_default: Final = True
    own_headers: Final = frozenset({SIGNATURE.lower()})
    carries_everything: Final = True

    def new_secret(self, random_bytes: bytes) -> str:
        """Return ``whs_`` and 64 letters and digits."""
        assert len(random_bytes) == SECRET_RANDOM_BYTES
        return SECRET_PREFIX + random_bytes.hex()

    def signing_secret(self, text: str) -> HmacSecret:
        """Return the secret whose key is *text*, prefix included."""
        return text_key(text)

    def verifying_secret(self, text: str) -> HmacSecret:
        """Return the secret whose key is *text*, prefix included."""
        return text_key(text)

    def check_options(self, options: Options) -> None:
        """Refuse every option: there is nothing to choose."""
        refuse_options(options)

    def refusal(self, said: Carried) -> None:
        """Carry everything."""

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
            _encode_json(event.type),
            _encode_json(kind),
            event.data,
        )
        return Rendered(content_type="application/json", body=body)

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Return the attempt's time with a ``v1`` for every secret."""
        return Signed(_SCHEME.sign(body, keys_of(secrets), now=now), body)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if some secret signed it within the last five minutes."""
        _SCHEME.verify(headers, body, keys_of(secrets), now=now)

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
        members = decoded(_decode_object, payload, wanted="one whose data holds an object")
        event_type = ALIASES.get(envelope.observation, envelope.observation)
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

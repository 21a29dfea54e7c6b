"""Treezor's acquiring webhooks, printed as PHP prints JSON, with the signature in the body.

Rules: docs.treezor.com/guide/webhooks/introduction.html (envelope) and
…/guide/acquiring/events.html (names and samples). What signs is in ``treezor_signature``.

The samples come from four generations of the envelope; read are all, by the names of members:

- *numbered*: ``webhook_id`` and ``object_id`` are numbers as text.
- *half-numbered*: only ``webhook_id`` is one; objects have UUIDs from here on.
- *keyed*: a UUID too, and ``auth_key``.
- *timed*: also ``webhook_created_at``, in ten-thousandths of a second. It is what is written.

Where there is no time, the date of the payload's last change stands in for it, as the clocks of
Paris show it. Nothing says what ``auth_key`` means: it is written as the samples have it, and not
read.

Only the payload is signed. So what stands outside has to agree with it: the names of the event
and the object with the payload's plural key, ``object_id`` with the ids inside. ``webhook_id``
and the time cannot be checked so; the signature, an id of the content, is read beside them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from payhooks.dialects import php_json, treezor_signature
from payhooks.dialects.contract import (
    NO_OPTIONS,
    Carried,
    Options,
    Reading,
    Rendered,
    Signed,
    SigningSecret,
    VerifyingSecret,
)
from payhooks.dialects.ordinary import TextKeyed
from payhooks.dialects.printed import delivery_digest, happened_at
from payhooks.dialects.provider_words import (
    TREEZOR_DATES,
    TREEZOR_PLURAL_OF_EVENT,
    TREEZOR_PLURAL_OF_OBJECT,
    TREEZOR_TIME_ZONE,
    treezor_kind,
)
from payhooks.dialects.reading import (
    ABSENT,
    Members,
    decode_members,
    decoded,
    in_utc,
    missing,
    scalar_text,
    those_said,
)
from payhooks.dialects.text_key import keys_of
from payhooks.errors import InvalidError
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

TICK: Final = timedelta(microseconds=100)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_DIGITS_MAX: Final = 15  # the year 5138, which a datetime still holds
_VARIANTS: Final = "89ab"  # of a UUID: two bits that are set, two that are not
_OTHER_KIND: Final = "The payload that was signed is of another kind."

_decode_objects = msgspec.json.Decoder(list[Members]).decode


class _Envelope(msgspec.Struct, frozen=True):
    webhook: Annotated[str, msgspec.Meta(max_length=EVENT_TYPE_CHARS_MAX)] = ""
    webhook_id: msgspec.Raw = ABSENT
    webhook_created_at: msgspec.Raw = ABSENT
    object: msgspec.Raw = ABSENT
    object_id: msgspec.Raw = ABSENT
    object_payload: msgspec.Raw = ABSENT
    object_payload_signature: msgspec.Raw = ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class Treezor(TextKeyed):
    """The dialect of Treezor. See Dialect for what each method promises."""

    name = "treezor"
    version = 1
    retry_policy = "treezor"
    timeout_s = 10.0  # It prints none; each minute brings the next attempt.
    carries_everything = False

    def refusal(self, said: Carried) -> str | None:
        """Refuse data that is no ``object_payload``: one plural key with a list."""
        members = decode_members(said.data)
        if len(members) == 1 and all(_is_list(value) for value in members.values()):
            return None
        return 'For treezor, data has exactly one member and that is a list, as {"payins":[…]} has.'

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the timed envelope around the publisher's data, its signature empty."""
        kind, number = event.object_type, event.object_id
        if kind is None or number is None:
            kind, number = _object_in(event.data)
        head = (
            f'{{"webhook":{php_json.string(event.type)}'
            f',"webhook_created_at":{(happened_at(event) - _EPOCH) // TICK}'
            f',"object_id":{php_json.string(number)}'
            f',"object":{php_json.string(kind)}'
        )
        body = treezor_signature.unsigned(
            head=head,
            payload=php_json.encode(event.data.decode()),
            webhook_id=_uuid(delivery_digest(event, endpoint)),
        )
        return Rendered(content_type="text/plain", body=body)

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Return the body with the newest secret's signature in it; nothing in the headers."""
        return Signed((), treezor_signature.sign(body, keys_of(secrets)))

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if some secret signed its payload, whenever that was."""
        treezor_signature.verify(body, keys_of(secrets))

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the payload, and of the rest what agrees with it."""
        wanted = "a JSON object with webhook, webhook_id and object_payload"
        envelope = decoded(_decode_envelope, body, wanted=wanted)
        webhook_id = scalar_text(envelope.webhook_id)
        for name, value in (
            ("webhook", envelope.webhook),
            ("webhook_id", webhook_id),
            ("object_payload", bytes(envelope.object_payload)),
        ):
            if not value:
                raise missing(f"/{name}")
        plural, objects = _payload(bytes(envelope.object_payload))
        kind = _agreed_kind(envelope, plural)
        at = _created_at(envelope) or _changed_at(objects)
        ids = {
            "webhook_id": webhook_id,
            treezor_signature.SIGNATURE: scalar_text(envelope.object_payload_signature),
        }
        return Reading(
            event_type=envelope.webhook,
            object_type=kind,
            object_id=_agreed_id(envelope, plural, objects),
            ids=those_said(ids),
            occurred_at=at,
            ordered_at=at,
            payload=bytes(envelope.object_payload),
        )


TREEZOR: Final = Treezor()


def _uuid(digest: bytes) -> str:
    """Return the form of a random UUID: of its 128 bits, six are fixed."""
    digits = digest.hex()
    variant = _VARIANTS[digest[8] & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _is_list(value: msgspec.Raw) -> bool:
    return bytes(value).startswith(b"[")


def _object_in(data: bytes) -> tuple[str, str]:
    """Return what kind of thing *data* is about and which, as far as it says so."""
    plural, objects = _payload(data)
    ids = _ids_in(objects, plural)
    return treezor_kind(plural).object, ids[0] if ids else ""


def _payload(spelled: bytes) -> tuple[str, list[Members]]:
    """Return the plural key and what it holds; nothing where that is not objects.

    Raises:
        InvalidError: At ``/object_payload``; there is no one such key.

    """
    try:
        members = decode_members(spelled)
    except (msgspec.DecodeError, RecursionError):
        members = {}
    plurals = [name for name, value in members.items() if _is_list(value)]
    if len(plurals) != 1:
        detail = "It is not an object with one list in it."
        raise InvalidError.at("/object_payload", "malformed", detail)
    try:
        return plurals[0], _decode_objects(members[plurals[0]])
    except (msgspec.DecodeError, RecursionError):
        return plurals[0], []


def _ids_in(objects: Sequence[Members], plural: str) -> list[str]:
    name = treezor_kind(plural).id_name
    spelled = [scalar_text(members.get(name)) for members in objects]
    return [text for text in spelled if text]


def _agreed_kind(envelope: _Envelope, plural: str) -> str | None:
    """Return the name of the object.

    Raises:
        InvalidError: The payload is of another kind than the event or the object outside.

    """
    prefix = envelope.webhook.rpartition(".")[0]
    if TREEZOR_PLURAL_OF_EVENT.get(prefix, plural) != plural:
        raise InvalidError.at("/webhook", "disagrees", _OTHER_KIND)
    outside = scalar_text(envelope.object)
    if not outside:
        return treezor_kind(plural).object or None
    if TREEZOR_PLURAL_OF_OBJECT.get(outside, plural) != plural:
        raise InvalidError.at("/object", "disagrees", _OTHER_KIND)
    return outside


def _agreed_id(envelope: _Envelope, plural: str, objects: Sequence[Members]) -> str | None:
    """Return which object it is; none of the two places need say so.

    Raises:
        InvalidError: It stands outside, and others stand inside.

    """
    outside = scalar_text(envelope.object_id)
    inside = _ids_in(objects, plural)
    if not outside:
        return inside[0] if inside else None
    if inside and outside not in inside:
        detail = "The object that was signed is another one."
        raise InvalidError.at("/object_id", "disagrees", detail)
    return outside


def _created_at(envelope: _Envelope) -> datetime | None:
    spelled = bytes(envelope.webhook_created_at)
    if not spelled or spelled == b"null":
        return None
    ticks = scalar_text(envelope.webhook_created_at) or ""
    # isdecimal() alone accepts digits of other scripts, which int() would take too.
    if not (ticks.isascii() and ticks.isdecimal()) or len(ticks) > _TICKS_DIGITS_MAX:
        detail = "It is not a time in ten-thousandths of a second."
        raise InvalidError.at("/webhook_created_at", "malformed", detail)
    return _EPOCH + int(ticks) * TICK


def _changed_at(objects: Sequence[Members]) -> datetime | None:
    """Return when the last of the objects changed, as far as their dates say so."""
    dates = [_date(members) for members in objects]
    return max((date for date in dates if date is not None), default=None)


def _date(members: Members) -> datetime | None:
    for name in TREEZOR_DATES:
        try:
            at = datetime.fromisoformat(scalar_text(members.get(name)) or "")
        except ValueError:
            continue
        return in_utc(at if at.tzinfo else at.replace(tzinfo=ZoneInfo(TREEZOR_TIME_ZONE)))
    return None

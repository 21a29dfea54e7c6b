"""The dialect ``custom``: a company's own format, as the data on its merchant says, both ways.

``bind`` makes a dialect of a definition, once; what a definition may say is decided there. A
merchant without one speaks UNDEFINED, which refuses every event: it is what remains if a
definition is removed in the moment in which an endpoint chooses it.
"""

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from payhooks.dialects import custom_template
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
from payhooks.dialects.custom_values import DATA, PRINTED
from payhooks.dialects.ordinary import TextKeyed
from payhooks.dialects.reading import decode_members, decoded, in_utc, scalar_text
from payhooks.dialects.schemes import TOLERANCE, check_age, no_match, required, spelled
from payhooks.dialects.text_key import keys_of
from payhooks.errors import Fault, InvalidError, SignatureError
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.custom_dialect import CustomDialect, SignatureEncoding, TimestampUnit
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant, Mode

NAME: Final = "custom"
# A few KiB each. Merchants of one company mostly share their format, which is then bound once for
# each version.
BOUND_MAX: Final = 2_048

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_UNIX: Final = re.compile(r"[0-9]{1,12}")
_PREFIX: Final = re.compile(r"(?:[\x21-\x7e][\x20-\x7e]{0,63})?")
_CONTENT_TYPE: Final = re.compile(r"[\x21-\x7e]+/[\x21-\x7e](?:[\x20-\x7e]{0,100}[\x21-\x7e])?")

_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Undefined(TextKeyed):
    """The custom dialect of a merchant that has not said what it is."""

    name = NAME
    version = 0
    carries_everything = False

    def refusal(self, said: Carried) -> str:
        """Refuse every event."""
        return "The merchant's custom_dialect is not set."

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Not asked: every event is refused."""
        raise AssertionError("refused events are not rendered")

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Not asked: nothing was rendered."""
        raise AssertionError("refused events are not signed")

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Refuse everything."""
        raise no_match()

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Refuse everything."""
        raise InvalidError.at("", "undefined", "The merchant's custom_dialect is not set.")


UNDEFINED: Final = Undefined()


class Custom(TextKeyed):
    """One definition, ready to write and read. Made by ``bind``."""

    name = NAME

    def __init__(
        self,
        definition: CustomDialect,
        signed: custom_template.SignedTemplate,
        envelope: custom_template.Envelope,
    ) -> None:
        """Take a checked definition with its two templates."""
        self._definition = definition
        self._signed = signed
        self._first, *rest = envelope.texts
        self._rest = tuple(
            (PRINTED[name], text) for name, text in zip(envelope.names, rest, strict=True)
        )
        self._paths = envelope.paths
        # Of the event and of its object, in the body.
        self.id_paths = tuple(
            self._paths[name] for name in (custom_template.ID, "object_id") if name in self._paths
        )

    @property
    def version(self) -> int:
        """That of the definition."""
        return self._definition.version

    @property
    def own_headers(self) -> frozenset[str]:
        """Those of the definition."""
        it = self._definition
        names = (it.signature_header, it.timestamp_header, it.id_header)
        return frozenset(name.lower() for name in names if name is not None)

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data inside; what an event lacks is null."""
        parts = [self._first]
        for print_, text in self._rest:
            parts += (print_(event, endpoint, merchant), text)
        return Rendered(content_type=self._definition.content_type, body=b"".join(parts))

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Return id and time where the format has them, and the newest secret's signature."""
        definition = self._definition
        headers: list[tuple[str, str]] = []
        milliseconds = definition.timestamp_unit is TimestampUnit.MILLISECONDS
        time = str(int(now.timestamp() * (1_000 if milliseconds else 1)))
        if definition.id_header is not None:
            headers.append((definition.id_header, message_id))
        if definition.timestamp_header is not None:
            headers.append((definition.timestamp_header, time))
        if secrets:
            values = {custom_template.ID: message_id, custom_template.TIMESTAMP: time}
            before, after = self._signed.around_body(values)
            signature = self._signature(keys_of(secrets)[0], before + body + after)
            headers.append((definition.signature_header, signature))
        return Signed(tuple(headers), body)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if some secret signed it, within five minutes where the time is signed."""
        offered = spelled(required(headers, self._definition.signature_header))
        before, after = self._signed.around_body(self._signed_values(headers, now))
        signed = before + body + after
        matched = False
        for key in keys_of(secrets):
            expected = self._signature(key, signed).encode()
            matched |= hmac.compare_digest(expected, offered)
        if self._signed.body_ends_a_value:
            # One that did not begin so could have lent its beginning to the time before it.
            matched &= body.startswith(b"{")
        if not matched:
            raise no_match()

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return what stands where the template has its placeholders; more may stand beside."""
        decoded(decode_members, body, wanted="a JSON object")
        event_type = self._event_type(body)
        payload = self._raw(DATA, body)
        if payload is None or not payload.startswith(b"{"):
            raise self._malformed(DATA, "Here stands the event's data, an object.")
        mode = self._text("mode", body)
        occurred_at = self._time(body)
        return Reading(
            event_type=event_type,
            object_type=self._text("object_type", body),
            object_id=self._text("object_id", body),
            ids=self._ids(headers, body),
            occurred_at=occurred_at,
            payload=payload,
            ordered_at=occurred_at,
            is_test=None if mode not in tuple(Mode) else mode == Mode.SANDBOX,
        )

    def _signature(self, key: bytes, signed: bytes) -> str:
        digest = hmac.digest(key, signed, self._definition.algorithm.value)
        if self._definition.encoding is SignatureEncoding.HEX:
            return self._definition.signature_prefix + digest.hex()
        return self._definition.signature_prefix + base64.b64encode(digest).decode()

    def _signed_values(self, headers: Mapping[str, str], now: datetime) -> dict[str, str]:
        """Return the time and the id that were signed, where the format signs them."""
        values = {}
        if custom_template.TIMESTAMP in self._signed.names:
            assert self._definition.timestamp_header is not None
            time = required(headers, self._definition.timestamp_header)
            seconds = time
            if self._definition.timestamp_unit is TimestampUnit.MILLISECONDS:
                seconds = time[:-3]
                check_age(time[-3:], now, None)  # is a number
            check_age(seconds, now, TOLERANCE)
            values[custom_template.TIMESTAMP] = time
        if custom_template.ID in self._signed.names:
            assert self._definition.id_header is not None
            message_id = required(headers, self._definition.id_header)
            if not _ID.fullmatch(message_id):
                raise SignatureError("the id is empty, too long or not plain", "malformed_header")
            values[custom_template.ID] = message_id
        return values

    def _event_type(self, body: bytes) -> str:
        if "type" not in self._paths:
            detail = "This format does not say what happened: its envelope has no {type}."
            raise InvalidError.at("", "no_type", detail)
        raw = self._raw("type", body) or b""
        text = scalar_text(msgspec.Raw(raw)) if raw.startswith(b'"') else None
        if text is None or not 0 < len(text) <= EVENT_TYPE_CHARS_MAX:
            raise self._malformed("type", "Here stands the event type.")
        return text

    def _raw(self, name: str, body: bytes) -> bytes | None:
        """Return what stands at a placeholder, spelled as it came; None where nothing does."""
        path = self._paths.get(name)
        if path is None:
            return None
        found = body
        for step in path:
            try:
                if isinstance(step, str):
                    found = bytes(decode_members(found)[step])
                else:
                    found = bytes(_decode_items(found)[step])
            except (msgspec.DecodeError, KeyError, IndexError):
                return None
        return found

    def _text(self, name: str, body: bytes) -> str | None:
        raw = self._raw(name, body)
        return None if raw is None else scalar_text(msgspec.Raw(raw))

    def _time(self, body: bytes) -> datetime | None:
        text = self._text("timestamp", body)
        if text is not None:
            try:
                return in_utc(msgspec.convert(text, _Time))
            except msgspec.ValidationError:
                raise self._malformed("timestamp", "Here stands a time of RFC 3339.") from None
        text = self._text("unix", body)
        if text is None:
            return None
        try:
            if _UNIX.fullmatch(text):
                return datetime.fromtimestamp(int(text), UTC)
        except (ValueError, OverflowError):
            pass  # after the year 9999
        raise self._malformed("unix", "Here stands a time in seconds since 1970.")

    def _ids(self, headers: Mapping[str, str], body: bytes) -> tuple[tuple[str, str], ...]:
        header = self._definition.id_header
        asked = [("id", self._text("id", body))]
        if header is not None:
            asked.append((header.lower(), headers.get(header.lower())))
        return tuple((name, text) for name, text in asked if text)

    def _malformed(self, name: str, detail: str) -> InvalidError:
        at = custom_template.pointer(self._paths[name])
        return InvalidError.at(at, "malformed", detail)


@lru_cache(maxsize=BOUND_MAX)
def bind(definition: CustomDialect) -> Custom:
    """Return the dialect that *definition* describes.

    Raises:
        InvalidError: At ``/custom_dialect/…``; it names every member that is wrong.

    """
    faults = _plain_faults(definition)
    signed = envelope = None
    try:
        signed = custom_template.signed_template(definition.signed)
        faults += _header_faults(definition, signed)
    except InvalidError as error:
        faults += error.faults
    try:
        envelope = custom_template.envelope(definition.envelope)
    except InvalidError as error:
        faults += error.faults
    if faults:
        raise InvalidError(faults)
    assert signed is not None
    assert envelope is not None
    return Custom(definition, signed, envelope)


def _plain_faults(definition: CustomDialect) -> list[Fault]:
    faults = []
    if not _PREFIX.fullmatch(definition.signature_prefix):
        detail = "At most 64 characters of printable ASCII, no space at the beginning."
        faults.append(_fault("signature_prefix", "malformed", detail))
    if not _CONTENT_TYPE.fullmatch(definition.content_type):
        detail = "This is a media type, like application/json."
        faults.append(_fault("content_type", "malformed", detail))
    return faults


def _header_faults(
    definition: CustomDialect, signed: custom_template.SignedTemplate
) -> list[Fault]:
    wanted = {
        "timestamp_header": (custom_template.TIMESTAMP, definition.timestamp_header),
        "id_header": (custom_template.ID, definition.id_header),
    }
    faults = []
    taken = {definition.signature_header.lower()}
    for member, (name, header) in wanted.items():
        if header is None:
            if name in signed.names:
                detail = f"{{{name}}} is signed, so whoever verifies needs it in a header."
                faults.append(_fault(member, "required", detail))
        elif header.lower() in taken:
            faults.append(_fault(member, "duplicate", "Another part has this header."))
        else:
            taken.add(header.lower())
    return faults


def _fault(member: str, code: str, detail: str) -> Fault:
    return Fault(pointer=f"/custom_dialect/{member}", code=code, detail=detail)

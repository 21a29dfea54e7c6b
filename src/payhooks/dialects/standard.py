"""Standard Webhooks 1.0: v1 (HMAC-SHA256) and v1a (Ed25519).

What is signed is ``id.timestamp.body``. The id must not contain a dot: ``a`` + ``1`` +
``2.x`` and ``a.1`` + ``2`` + ``x`` would be the same signed bytes.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, assert_never

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from payhooks.dialects import secret_text
from payhooks.dialects.contract import (
    NO_OPTIONS,
    SECRET_RANDOM_BYTES,
    Ed25519Public,
    Ed25519Secret,
    HmacSecret,
    Options,
    Reading,
    Rendered,
    Signed,
    SigningSecret,
    VerifyingSecret,
)
from payhooks.dialects.ordinary import Ordinary
from payhooks.dialects.printed import encode_json, iso_microseconds
from payhooks.dialects.reading import decoded, in_utc
from payhooks.dialects.schemes import SIGNATURES_MAX, TOLERANCE, check_age, no_match, spelled
from payhooks.dialects.secret_text import (
    ED25519_BYTES,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    SOURCE_KEY_PREFIX,
    SYMMETRIC_BYTES,
    SYMMETRIC_PREFIX,
)
from payhooks.errors import InvalidError, SignatureError
from payhooks.ids import made_at_text
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

MESSAGE_ID_CHARS_MAX: Final = 255

# Some write a private key as seed and public key in one.
ED25519_PAIR_BYTES: Final = 64


class _Envelope(msgspec.Struct, frozen=True):
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=EVENT_TYPE_CHARS_MAX)]
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    data: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode


class Standard(Ordinary):
    """The dialect of endpoints that name none. See Dialect for what each method promises."""

    name = "standard"
    version = 1

    def new_secret(self, random_bytes: bytes) -> str:
        """Return a symmetric secret: every receiver's library knows those."""
        assert len(random_bytes) == SECRET_RANDOM_BYTES
        return SYMMETRIC_PREFIX + base64.b64encode(random_bytes).decode()

    def signing_secret(self, text: str) -> SigningSecret:
        """Return what ``whsec_…``, ``whsk_…`` or the text of a Source Key signs with."""
        if text.startswith(PRIVATE_PREFIX):
            return Ed25519Secret(private=_private_key(text.removeprefix(PRIVATE_PREFIX)))
        return _symmetric(text, beside=f"{PRIVATE_PREFIX}, an Ed25519 key")

    def verifying_secret(self, text: str) -> VerifyingSecret:
        """Return what ``whsec_…``, ``whpk_…`` or the text of a Source Key verifies with."""
        if text.startswith(PUBLIC_PREFIX):
            return Ed25519Public(public=_public_key(text.removeprefix(PUBLIC_PREFIX)))
        return _symmetric(text, beside=f"{PUBLIC_PREFIX}, an Ed25519 public key")

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the envelope with the publisher's data inside, byte for byte."""
        if event.occurred_at is None:
            timestamp = f"{made_at_text(event.id)}000Z"
        else:
            timestamp = iso_microseconds(event.occurred_at.astimezone(UTC))
        # Spliced, not encoded: decoding data would change the spelling of its numbers.
        body = b'{"type":%b,"timestamp":"%b","data":%b}' % (
            encode_json(event.type),
            timestamp.encode(),
            event.data,
        )
        return Rendered(content_type="application/json", body=body)

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Return id, time and, where there are secrets, one signature for each."""
        assert "." not in message_id, "a dot separates the parts of what is signed"
        timestamp = str(int(now.timestamp()))
        if not secrets:
            return Signed(((ID, message_id), (TIMESTAMP, timestamp)), body)
        signed = f"{message_id}.{timestamp}.".encode("ascii") + body
        signatures = " ".join([_signature(secret, signed) for secret in secrets])
        return Signed(((ID, message_id), (TIMESTAMP, timestamp), (SIGNATURE, signatures)), body)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if some secret signed it within the last five minutes."""
        assert secrets
        try:
            message_id = headers[ID]
            timestamp = headers[TIMESTAMP]
            signatures = headers[SIGNATURE].split(" ")
        except KeyError as error:
            raise SignatureError(f"no {error.args[0]} header", "missing_header") from None
        if not message_id or len(message_id) > MESSAGE_ID_CHARS_MAX or "." in message_id:
            raise SignatureError("message id is empty, too long or has a dot", "malformed_header")
        check_age(timestamp, now, TOLERANCE)
        if len(signatures) > SIGNATURES_MAX:
            raise SignatureError("too many signatures", "malformed_header")
        signed = spelled(f"{message_id}.{timestamp}.") + body
        offered = [spelled(signature) for signature in signatures]
        # No early return: how long we take must not say which secret or signature matched.
        matched = False
        for secret in secrets:
            matched |= _matches(secret, signed, offered)
        if not matched:
            raise no_match()

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return the parts of the envelope; Standard Webhooks names no object."""
        wanted = "a JSON object with type, timestamp and data"
        envelope = decoded(_decode_envelope, body, wanted=wanted)
        return Reading(
            event_type=envelope.type,
            object_type=None,
            object_id=None,
            ids=((ID, headers[ID]),) if ID in headers else (),
            occurred_at=in_utc(envelope.timestamp),
            payload=bytes(envelope.data),
        )


STANDARD: Final = Standard()


def _signature(secret: SigningSecret, signed: bytes) -> str:
    match secret:
        case HmacSecret():
            return _v1(secret.key, signed).decode()
        case Ed25519Secret():
            return "v1a," + base64.b64encode(secret.private.sign(signed)).decode()
        case _:
            assert_never(secret)


def _matches(secret: VerifyingSecret, signed: bytes, offered: Sequence[bytes]) -> bool:
    matched = False
    match secret:
        case HmacSecret():
            # Text with text: base64 that merely decodes to the same bytes is not ours.
            expected = _v1(secret.key, signed)
            for signature in offered:
                matched |= hmac.compare_digest(expected, signature)
        case Ed25519Public():
            for signature in offered:
                matched |= _is_v1a(secret.public, signed, signature)
        case _:
            assert_never(secret)
    return matched


def _v1(key: bytes, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))


def _is_v1a(public: Ed25519PublicKey, signed: bytes, signature: bytes) -> bool:
    version, _, encoded = signature.partition(b",")
    if version != b"v1a":
        return False
    try:
        raw = base64.b64decode(encoded, validate=True)
        public.verify(raw, signed)
    except (binascii.Error, InvalidSignature):
        return False
    return base64.b64encode(raw) == encoded


def _symmetric(text: str, *, beside: str) -> HmacSecret:
    """Return the shared secret; *beside* says what else may stand in its place."""
    if text.startswith(SOURCE_KEY_PREFIX) and text.isascii():
        return HmacSecret(key=text.encode())
    if not text.startswith(SYMMETRIC_PREFIX):
        detail = f"A secret begins with {SYMMETRIC_PREFIX} (or {beside})."
        raise InvalidError.at("/secret", "malformed", detail)
    key = _decode_secret(text.removeprefix(SYMMETRIC_PREFIX))
    if len(key) not in SYMMETRIC_BYTES:
        raise InvalidError.at(
            "/secret", "wrong_length", "A whsec_ secret is base64 of 24 to 64 bytes."
        )
    return HmacSecret(key=key)


def _private_key(encoded: str) -> Ed25519PrivateKey:
    raw = _decode_secret(encoded)
    if len(raw) not in (ED25519_BYTES, ED25519_PAIR_BYTES):
        raise InvalidError.at(
            "/secret", "wrong_length", "A whsk_ secret is base64 of 32 bytes, or of both keys' 64."
        )
    private = Ed25519PrivateKey.from_private_bytes(raw[:ED25519_BYTES])
    public = private.public_key().public_bytes_raw()
    if raw[ED25519_BYTES:] not in (b"", public):
        raise InvalidError.at("/secret", "malformed", "The two halves are not one key pair.")
    return private


def _public_key(encoded: str) -> Ed25519PublicKey:
    raw = _decode_secret(encoded)
    if len(raw) != ED25519_BYTES:
        raise InvalidError.at("/secret", "wrong_length", "A whpk_ key is base64 of 32 bytes.")
    return Ed25519PublicKey.from_public_bytes(raw)


def _decode_secret(encoded: str) -> bytes:
    try:
        return secret_text.decode(encoded)
    except ValueError:
        raise InvalidError.at(
            "/secret", "malformed", "What follows the prefix is not base64."
        ) from None

"""Secrets at rest: AES-256-GCM, each bound to the one place it belongs to.

A sealed secret is ``format, key id, nonce, ciphertext and tag``. What it belongs to is
authenticated with it, so a row copied over another merchant's, or into another column, does
not open there. The key id lets several keys live side by side while rows are sealed again.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from payhooks.errors import DamagedError, InvalidError, UnavailableError

KEY_BYTES: Final = 32
KEYS_MAX: Final = 10  # one in use, the rest only until everything is sealed again
SEALED_PLAIN_BYTES_MAX: Final = 64 * 1024  # far above any password or key

_FORMAT: Final = 1
_KEY_ID_BYTES: Final = 8
# Random nonces of 96 bits: 2^32 seals under one key keep a repeat below one in 2^32.
_NONCE_BYTES: Final = 12
_HEAD: Final = struct.Struct(f">B{_KEY_ID_BYTES}s{_NONCE_BYTES}s")
# A key drawn at random has about 30 different bytes of 32; examples and typed ones few.
_DISTINCT_BYTES_MIN: Final = 16
_GENERATE: Final = "Make one with: payhooks keys generate-secret"
# Nothing heals by itself here; a person must act, so asking often helps nobody.
_RETRY_AFTER_S: Final = 60.0


class SealContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a secret is bound to. Opening needs the same values as sealing."""

    purpose: str
    table: str
    column: str
    merchant_id: bytes  # empty for what belongs to the installation
    row_id: bytes


class Keyring:
    """Seals with the first key, opens with any. Safe to share between threads."""

    def __init__(self, keys: Sequence[bytes], *, random_bytes: Callable[[int], bytes]) -> None:
        assert 1 <= len(keys) <= KEYS_MAX
        assert all(len(key) == KEY_BYTES for key in keys)
        # Kept: expanding a key costs more than opening a secret with it.
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        assert len(self._ciphers) == len(keys), "a key is listed twice"
        self._primary_id = _key_id(keys[0])
        self._random_bytes = random_bytes

    @property
    def primary_id(self) -> str:
        """The id of the key that seals; rows under any other id wait for rotation."""
        return self._primary_id.hex()

    @property
    def sealed_prefix(self) -> bytes:
        """What everything sealed now begins with; by it the store finds what is older."""
        return bytes([_FORMAT]) + self._primary_id

    def seal(self, plain: bytes, *, context: SealContext) -> bytes:
        """Return *plain* sealed under the first key; every call gives other bytes."""
        assert len(plain) <= SEALED_PLAIN_BYTES_MAX
        nonce = self._random_bytes(_NONCE_BYTES)
        head = _HEAD.pack(_FORMAT, self._primary_id, nonce)
        sealed = self._ciphers[self._primary_id].encrypt(nonce, plain, _bound_to(context))
        return head + sealed

    def open(self, sealed: bytes, *, context: SealContext) -> bytes:
        """Return what was sealed.

        Raises:
            UnavailableError: The key is not in the ring, or the bytes were not sealed for
                this place. Our side is at fault, so nothing is decided on the caller's: an
                operator has to act.

        """
        format_number, key_id, nonce = _parse_head(sealed)
        if format_number != _FORMAT:
            raise UnavailableError(
                f"a secret in {context.table} is sealed in a format this version does not know",
                retry_after_s=_RETRY_AFTER_S,
            )
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnavailableError(
                f"a secret in {context.table} is sealed with key {key_id.hex()}, which is not in"
                " PAYHOOKS_SECRET_KEY; add that key after the first one",
                retry_after_s=_RETRY_AFTER_S,
            )
        try:
            return cipher.decrypt(nonce, sealed[_HEAD.size :], _bound_to(context))
        except InvalidTag:
            raise DamagedError(
                f"a secret in {context.table} was changed or moved since it was sealed",
                retry_after_s=_RETRY_AFTER_S,
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """Return whether rotation has nothing left to do for *sealed*."""
        return key_id_of(sealed) == self.primary_id


def key_id_of(sealed: bytes) -> str:
    """Return which key sealed it, as ``Keyring.primary_id`` spells them.

    Raises:
        UnavailableError: It is too short to be a sealed secret.

    """
    return _parse_head(sealed)[1].hex()


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys in a setting: the one in use first, older ones after commas.

    Each is 32 bytes, as base64 or as hex.

    Raises:
        InvalidError: At ``/secret_key``, without saying what was there.

    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > KEYS_MAX:
        raise InvalidError.at("/secret_key", "too_many", f"At most {KEYS_MAX} keys.")
    keys = tuple(_parse_key(part) for part in parts)
    if len(set(keys)) != len(keys):
        raise InvalidError.at("/secret_key", "duplicate", "A key is listed twice.")
    return keys


def new_key_text(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new key as the setting takes it."""
    return base64.b64encode(random_bytes(KEY_BYTES)).decode()


def _parse_key(text: str) -> bytes:
    key = _decode(text)
    if key is None or len(key) != KEY_BYTES:
        raise InvalidError.at(
            "/secret_key", "malformed", f"A key is 32 bytes, as base64 or hex. {_GENERATE}"
        )
    if len(set(key)) < _DISTINCT_BYTES_MIN:
        raise InvalidError.at(
            "/secret_key", "weak", f"The key was not drawn at random. {_GENERATE}"
        )
    return key


def _decode(text: str) -> bytes | None:
    try:
        # 64 hex digits would be 48 bytes of base64, so the two cannot be confused.
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded.translate({45: 43, 95: 47}), validate=True)  # URL-safe too
    except (binascii.Error, ValueError):
        return None


def _key_id(key: bytes) -> bytes:
    # Keyed, so that the id in every row says nothing else about the key.
    return hmac.digest(key, b"payhooks key id", hashlib.sha256)[:_KEY_ID_BYTES]


def _parse_head(sealed: bytes) -> tuple[int, bytes, bytes]:
    if len(sealed) < _HEAD.size:
        raise DamagedError("a sealed secret is cut off; restore it", retry_after_s=_RETRY_AFTER_S)
    format_number, key_id, nonce = _HEAD.unpack_from(sealed)
    return format_number, key_id, nonce


def _bound_to(context: SealContext) -> bytes:
    # Lengths before parts: ("ab", "c") and ("a", "bc") must not be the same place.
    parts = (
        context.purpose.encode(),
        context.table.encode(),
        context.column.encode(),
        context.merchant_id,
        context.row_id,
    )
    return b"".join([len(part).to_bytes(2, "big") + part for part in parts])

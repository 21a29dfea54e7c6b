"""Secrets as the console shows them, made ready to check signatures with."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import Any, Protocol

from payhooks.dialects import secret_text
from payhooks.dialects.secret_text import (
    ED25519_BYTES,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    SOURCE_KEY_PREFIX,
    SYMMETRIC_BYTES,
    SYMMETRIC_PREFIX,
    TEXT_KEY_CHARS,
)
from payhooks.receiver.errors import Code, VerificationError


class Secret(Protocol):
    """One secret and the one signature scheme it checks."""

    @property
    def scheme(self) -> str:
        """The version in front of the signatures that it can check."""
        ...

    def matches(self, signed: bytes, signature: bytes) -> bool:
        """Return whether *signature*, as text without its version, is one of *signed*."""
        ...

    def sign(self, signed: bytes) -> bytes:
        """Return the one signature that matches; a public key has none to give: TypeError."""
        ...


@dataclass(frozen=True, slots=True)
class _Symmetric:
    key: bytes = field(repr=False)
    scheme: str = "v1"

    def matches(self, signed: bytes, signature: bytes) -> bool:
        # Text with text: base64 that merely decodes to the same bytes is not the sender's.
        return hmac.compare_digest(self.sign(signed), signature)

    def sign(self, signed: bytes) -> bytes:
        return base64.b64encode(hmac.digest(self.key, signed, "sha256"))


@dataclass(frozen=True, slots=True)
class _Public:
    key: Any  # Ed25519PublicKey, of a package that may not be there
    mismatch: type[Exception]
    scheme: str = "v1a"

    def matches(self, signed: bytes, signature: bytes) -> bool:
        try:
            decoded = base64.b64decode(signature, validate=True)
            self.key.verify(decoded, signed)
        except (binascii.Error, self.mismatch):
            return False
        return base64.b64encode(decoded) == signature

    def sign(self, signed: bytes) -> bytes:
        raise TypeError("a public key verifies; it cannot sign")


def parse_secret(text: str) -> Secret:
    """Return what ``whsec_…``, ``whpk_…`` or the text of a Source Key verifies with.

    Raises:
        VerificationError: It is none of these, or ``whpk_`` without the package it needs.

    """
    if text != text.strip():
        raise _malformed("The secret has spaces or a line feed around it. Strip them.")
    if text.startswith(PRIVATE_PREFIX):
        raise _malformed("This is the sender's private key. Verify with the one named whpk_.")
    if text.startswith(PUBLIC_PREFIX):
        return _public(_decode(text.removeprefix(PUBLIC_PREFIX)))
    if text.startswith(SOURCE_KEY_PREFIX) and text.isascii():
        return _Symmetric(text.encode())
    # Without its prefix too, as the common libraries take it.
    key = _decode(text.removeprefix(SYMMETRIC_PREFIX))
    if len(key) not in SYMMETRIC_BYTES:
        raise _malformed("A secret is whsec_ and base64 of 24 to 64 bytes. Copy all of it.")
    return _Symmetric(key)


def parse_key(text: str) -> bytes:
    """Return the key of a dialect whose secrets are keys as they stand.

    Raises:
        VerificationError: It is too short or too long, or not printable ASCII, or of another kind.

    """
    if text != text.strip():
        raise _malformed("The secret has spaces or a line feed around it. Strip them.")
    if text.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):
        raise _malformed("This is half of an Ed25519 key pair; this dialect has shared secrets.")
    if len(text) not in TEXT_KEY_CHARS:
        least, most = TEXT_KEY_CHARS.start, TEXT_KEY_CHARS.stop - 1
        raise _malformed(f"A secret has {least} to {most} characters. Copy all of it.")
    if not secret_text.is_plain(text):
        raise _malformed("A secret is printable ASCII without spaces.")
    return text.encode()


def _public(raw: bytes) -> Secret:
    if len(raw) != ED25519_BYTES:
        raise _malformed("A public key is whpk_ and base64 of 32 bytes. Copy all of it.")
    try:
        # Here and not above: whoever verifies v1 needs the standard library alone.
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - see above
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - see above
            Ed25519PublicKey,
        )
    except ImportError:
        raise VerificationError(
            Code.UNSUPPORTED_SCHEME,
            "A whpk_ key needs the cryptography package: pip install cryptography",
        ) from None
    return _Public(Ed25519PublicKey.from_public_bytes(raw), InvalidSignature)


def _decode(encoded: str) -> bytes:
    try:
        return secret_text.decode(encoded)
    except ValueError:
        raise _malformed("The secret is not base64 behind its prefix. Copy all of it.") from None


def _malformed(hint: str) -> VerificationError:
    return VerificationError(Code.MALFORMED_SECRET, hint)

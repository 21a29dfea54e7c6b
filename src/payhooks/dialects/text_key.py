"""Secrets whose text, as it stands, is the key: those of every dialect but ``standard``."""

from collections.abc import Sequence

from payhooks.dialects.contract import HmacSecret, SigningSecret, VerifyingSecret
from payhooks.dialects.secret_text import (
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    TEXT_KEY_CHARS,
    is_plain,
)
from payhooks.errors import InvalidError


def text_key(text: str) -> HmacSecret:
    """Return the secret whose key is *text* in ASCII.

    Raises:
        InvalidError: At ``/secret``; it is too short, too long or not printable ASCII, or half of
            an Ed25519 key pair, which must not become a shared secret.

    """
    if text.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):
        raise InvalidError.at("/secret", "malformed", "This dialect signs with shared secrets.")
    if len(text) not in TEXT_KEY_CHARS:
        detail = f"A secret has {TEXT_KEY_CHARS.start} to {TEXT_KEY_CHARS.stop - 1} characters."
        raise InvalidError.at("/secret", "wrong_length", detail)
    if not is_plain(text):
        detail = "A secret is printable ASCII without spaces."
        raise InvalidError.at("/secret", "malformed", detail)
    return HmacSecret(key=text.encode())


def keys_of(secrets: Sequence[SigningSecret | VerifyingSecret]) -> list[bytes]:
    """Return the keys of secrets that ``text_key`` made, in their order."""
    keys = []
    for secret in secrets:
        assert isinstance(secret, HmacSecret), "text_key made it"
        keys.append(secret.key)
    return keys

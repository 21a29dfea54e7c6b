"""API keys as text: ``phk_sandbox_``, ``phk_live_`` or ``phk_operator_`` and 49 characters.

43 of them are 256 random bits, six a checksum over all before them. The prefix lets scanners
for leaked secrets find a key, the checksum lets them, and us, tell one from a look-alike
without asking the store.
"""

import hashlib
import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final

RANDOM_BYTES: Final = 32
HINT_CHARS: Final = 4

_PREFIX: Final = "phk"
# Letters and digits only, so that a double click selects the whole key.
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = frozenset(_ALPHABET)
_SECRET_CHARS: Final = 43  # 62^43 > 2^256
_CHECKSUM_CHARS: Final = 6  # 62^6 > 2^32


class KeyKind(StrEnum):
    """Whose key it is: a merchant's in one mode, or the operator's. Readable in its text."""

    SANDBOX = "sandbox"
    LIVE = "live"
    OPERATOR = "operator"


def new_key(kind: KeyKind, random_bytes: Callable[[int], bytes]) -> str:
    """Return the text of a new key. It is shown once and not kept."""
    drawn = random_bytes(RANDOM_BYTES)
    assert len(drawn) == RANDOM_BYTES
    secret = _base62(int.from_bytes(drawn, "big"), _SECRET_CHARS)
    text = f"{_PREFIX}_{kind}_{secret}"
    return text + _checksum(text)


def digest(text: str) -> bytes:
    """Return what is stored and looked up: SHA-256, enough for 256 random bits."""
    # surrogatepass: header bytes that were not UTF-8 must not raise here.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def hint(text: str) -> str:
    """Return the last characters, by which people tell their keys apart."""
    return text[-HINT_CHARS:]


def kind_of(text: str) -> KeyKind | None:
    """Return whose key *text* is, or None if no key can read so."""
    for kind in KeyKind:
        if text.startswith(f"{_PREFIX}_{kind}_"):
            break
    else:
        return None
    body = text.removeprefix(f"{_PREFIX}_{kind}_")
    if len(body) != _SECRET_CHARS + _CHECKSUM_CHARS or not _VALUES.issuperset(body):
        return None
    # Anybody can make a checksum: it is no secret, so an ordinary comparison will do.
    if _checksum(text[:-_CHECKSUM_CHARS]) != text[-_CHECKSUM_CHARS:]:
        return None
    return kind


def looks_like(text: str) -> bool:
    """Return whether *text* is spelled as a key is; whether it *is* one, the store knows."""
    return kind_of(text) is not None


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_CHARS)


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, value = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[value])
    assert number == 0
    return "".join(reversed(characters))

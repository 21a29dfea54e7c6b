"""Texts that only we can have written: the token of a form, and what is carried to the next page.

Both are keyed with a secret of the installation and need no row in the store.
"""

import base64
import hashlib
import hmac
from enum import StrEnum
from typing import Final

_MAC_BYTES: Final = 24
_CARRIED_CHARS_MAX: Final = 300


class Use(StrEnum):
    """What a text is carried for; none counts as another."""

    SAID = "said"  # the result of what was done
    CHAIN = "chain"  # how far a check of the audit log came


class Tokens:
    """Makes and judges them. One per process; every process of an installation has equal keys."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, cookie: str) -> str:
        """Return what forms carry that belong to this cookie, and to no other."""
        return self._mac(cookie.encode(), b"form").hex()

    def holds(self, cookie: str, token: str) -> bool:
        """Whether the form's token belongs to the cookie."""
        return hmac.compare_digest(self.token(cookie).encode(), token.encode())

    def seal(self, use: Use, text: str) -> str:
        """Return what a cookie or a URL can carry of a text of ours."""
        carried = text[:_CARRIED_CHARS_MAX].encode()
        return base64.urlsafe_b64encode(self._mac(carried, use.encode()) + carried).decode()

    def unseal(self, use: Use, sealed: str) -> str:
        """Return the text; empty where somebody else wrote it, or it was carried for other use."""
        try:
            raw = base64.urlsafe_b64decode(sealed.encode())
            carried = raw[_MAC_BYTES:]
            genuine = hmac.compare_digest(raw[:_MAC_BYTES], self._mac(carried, use.encode()))
            return carried.decode() if genuine else ""
        except ValueError:
            return ""

    def _mac(self, content: bytes, use: bytes) -> bytes:
        made = hashlib.blake2b(content, key=self._key[:64], person=use, digest_size=_MAC_BYTES)
        return made.digest()

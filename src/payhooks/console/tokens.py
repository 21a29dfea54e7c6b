"""Texts that only we can have written: the token of a form, and the word carried to the next page.

Both are keyed with a secret of the installation and need no row in the store.
"""

import base64
import hashlib
import hmac
from typing import Final

_MAC_BYTES: Final = 24
_SAID_CHARS_MAX: Final = 300


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

    def seal(self, sentence: str) -> str:
        """Return a cookie's text that carries a sentence of ours over a redirect."""
        said = sentence[:_SAID_CHARS_MAX].encode()
        return base64.urlsafe_b64encode(self._mac(said, b"said") + said).decode()

    def unseal(self, text: str) -> str:
        """Return the sentence; empty where somebody else wrote the text."""
        try:
            raw = base64.urlsafe_b64decode(text.encode())
            said = raw[_MAC_BYTES:]
            genuine = hmac.compare_digest(raw[:_MAC_BYTES], self._mac(said, b"said"))
            return said.decode() if genuine else ""
        except ValueError:
            return ""

    def _mac(self, content: bytes, use: bytes) -> bytes:
        made = hashlib.blake2b(content, key=self._key[:64], person=use, digest_size=_MAC_BYTES)
        return made.digest()

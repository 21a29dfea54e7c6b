"""How secrets are spelled. Standard library only: whoever receives reads them by the same rules.

A secret of ``standard`` begins with a prefix that says what it is; that of any other dialect is
the key as its text stands.
"""

import base64
from typing import Final

SYMMETRIC_PREFIX: Final = "whsec_"
PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"
# A Source Key signs with its text as it stands: its merchant has nothing else of it.
SOURCE_KEY_PREFIX: Final = "phk_"
SYMMETRIC_BYTES: Final = range(24, 65)
ED25519_BYTES: Final = 32

# The shortest that anybody hands out, and more than any provider's.
TEXT_KEY_CHARS: Final = range(8, 257)


def decode(encoded: str) -> bytes:
    """Return what follows a prefix as bytes.

    Raises:
        ValueError: It is not base64.

    """
    # Padding is optional because the common libraries take secrets without it.
    stripped = encoded.rstrip("=")
    return base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)


def is_plain(text: str) -> bool:
    """Return whether *text* is printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text

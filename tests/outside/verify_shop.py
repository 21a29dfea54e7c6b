"""Is this request signed, ``sha256=<hex>`` over ``<timestamp>.<body>``? Standard library only.

A format that a company may have today, which tests give to the dialect ``custom``. Imports
nothing of the product.
"""

import hashlib
import hmac
from collections.abc import Mapping


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the signature was made with *secret*; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    signed = named.get("x-shop-timestamp", "").encode() + b"." + body
    expected = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, named.get("x-shop-signature", ""))

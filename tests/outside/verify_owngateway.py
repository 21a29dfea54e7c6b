"""Does this request carry a right X-Webhook-Signature-512? Written from the documentation alone.

Imports nothing of the product: what is proven with the product's own code proves only that
it agrees with itself. Standard library only.

    verify_owngateway.py --secret … < captured.ndjson
"""

import hashlib
import hmac
import runpy
from collections.abc import Mapping
from pathlib import Path


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the header is the hex HMAC-SHA512 of the body under *secret*."""
    named = {name.lower(): value for name, value in headers.items()}
    offered = named.get("x-webhook-signature-512", "")
    expected = hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()
    return hmac.compare_digest(expected.encode(), offered.encode())


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

"""Does this request carry a right Stripe-Signature? Written from Stripe's page alone.

docs.stripe.com/webhooks. Imports nothing of the product: what is proven with the product's own
code proves only that it agrees with itself. Standard library only.

    verify_stripe.py --secret whsec_… < captured.ndjson
"""

import hashlib
import hmac
import runpy
from collections.abc import Mapping
from pathlib import Path


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether one of the v1 signatures was made with *secret*; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    timestamp, signatures = "", []
    for element in named.get("stripe-signature", "").split(","):
        prefix, _, value = element.partition("=")
        if prefix == "t":
            timestamp = value
        elif prefix == "v1":
            signatures.append(value)
    if not timestamp.isdecimal():
        return False
    # The whole text of the secret is the key, its prefix too.
    made = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return any(hmac.compare_digest(made.hexdigest().encode(), one.encode()) for one in signatures)


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

"""Does this request carry a right Stripe-Signature? Written from Stripe's page alone.

docs.stripe.com/webhooks. Imports nothing of the product: what is proven with the product's own
code proves only that it agrees with itself. Standard library only.

    verify_stripe.py --secret whsec_… < captured.ndjson

One request per line: {"headers": {"Stripe-Signature": …}, "body_base64": "…"}.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Mapping


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


def main() -> int:
    """Return 0 if there was a request and all of them verified."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret", required=True)
    secret = parser.parse_args().secret
    right = wrong = 0
    for line in sys.stdin:
        request = json.loads(line)
        if is_signed_by(secret, request["headers"], base64.b64decode(request["body_base64"])):
            right += 1
        else:
            wrong += 1
    sys.stdout.write(f"verified {right} refused {wrong}\n")
    return 0 if right and not wrong else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Does this request carry a right owlpay-signature? Written from OwlPay's page alone.

developers.owlpay.com/docs/check-the-webhook-signature. Imports nothing of the product: what is
proven with the product's own code proves only that it agrees with itself. Standard library only.

    verify_owlpay.py --secret whs_… < captured.ndjson

One request per line: {"headers": {"owlpay-signature": …}, "body_base64": "…"}.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Mapping


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether one of the signatures was made with *secret*; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    pairs = [part.split("=", 1) for part in named.get("owlpay-signature", "").split(",")]
    times = [pair[1] for pair in pairs if len(pair) == 2 and pair[0].strip() == "t"]
    if len(times) != 1:
        return False
    signed_payload = times[0].encode() + b"." + body
    expected = hmac.new(secret.encode(), signed_payload, hashlib.sha256).hexdigest()
    offered = [pair[1] for pair in pairs if len(pair) == 2 and pair[0].strip() == "v1"]
    return any(hmac.compare_digest(expected.encode(), one.encode()) for one in offered)


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

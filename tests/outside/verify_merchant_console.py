"""Did the merchant console sign this? Written from USAePay's documentation alone.

Imports nothing of the product: what is proven with the product's own code proves only that
it agrees with itself. Standard library only.

    verify_merchant_console.py --secret … < captured.ndjson

One request per line: {"headers": {"x-signature": …}, "body_base64": "…"}.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Mapping


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the one signature is the HMAC of the body with the text of *secret*."""
    offered = [value for name, value in headers.items() if name.lower() == "x-signature"]
    if len(offered) != 1:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), offered[0].encode("utf-8", "surrogatepass"))


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

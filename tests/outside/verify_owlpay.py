"""Does this request carry a right owlpay-signature? Written from OwlPay's page alone.

developers.owlpay.com/docs/check-the-webhook-signature. Imports nothing of the product: what is
proven with the product's own code proves only that it agrees with itself. Standard library only.

    verify_owlpay.py --secret whs_… < captured.ndjson
"""

import hashlib
import hmac
import runpy
from collections.abc import Mapping
from pathlib import Path


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


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

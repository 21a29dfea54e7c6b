"""Did the merchant console sign this? Written from USAePay's documentation alone.

Imports nothing of the product: what is proven with the product's own code proves only that
it agrees with itself. Standard library only.

    verify_merchant_console.py --secret … < captured.ndjson
"""

import hashlib
import hmac
import runpy
from collections.abc import Mapping
from pathlib import Path


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the one signature is the HMAC of the body with the text of *secret*."""
    offered = [value for name, value in headers.items() if name.lower() == "x-signature"]
    if len(offered) != 1:
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), offered[0].encode("utf-8", "surrogatepass"))


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

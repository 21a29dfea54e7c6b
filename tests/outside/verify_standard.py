"""Does this request carry a right v1 signature? Written from the specification alone.

Imports nothing of the product: what is proven with the product's own code proves only that
it agrees with itself. Standard library only.

    verify_standard.py --secret whsec_… < captured.ndjson
"""

import base64
import binascii
import hashlib
import hmac
import runpy
from collections.abc import Mapping
from pathlib import Path


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether one of the v1 signatures was made with *secret*; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    message_id = named.get("webhook-id", "")
    timestamp = named.get("webhook-timestamp", "")
    if not message_id or "." in message_id or not timestamp.isdecimal():
        return False
    content = b".".join([message_id.encode(), timestamp.encode(), body])
    expected = hmac.new(_key(secret), content, hashlib.sha256).digest()
    for entry in named.get("webhook-signature", "").split():
        version, _, encoded = entry.partition(",")
        if version != "v1":
            continue
        try:
            offered = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            continue
        if hmac.compare_digest(expected, offered):
            return True
    return False


def _key(secret: str) -> bytes:
    prefix, _, encoded = secret.rpartition("_")
    if prefix == "whsec":
        return base64.b64decode(encoded, validate=True)
    # A Source Key is used as the text that it is.
    return secret.encode()


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

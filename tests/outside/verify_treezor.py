r"""Does this body carry a right object_payload_signature? Written from Treezor's page alone.

docs.treezor.com/guide/webhooks/integrity-checks.html: flatten object_payload, write what is not
ASCII as \u and lowercase hex and / as \/, make its HMAC-SHA256 with the secret, and compare the
base64 of it. Imports nothing of the product: what is proven with the product's own code proves
only that it agrees with itself. Standard library only.

    verify_treezor.py --secret … < captured.ndjson
"""

import base64
import hashlib
import hmac
import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path

# Python would spell a fraction in its own way: kept as text between two of these.
MARK = "\ue000"
MARKED = re.compile(r'"\\ue000([0-9eE.+-]+)\\ue000"')
DELETE = re.compile(r"(?<!\\)((?:\\\\)*)\\u007f")


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether the payload was signed with *secret*; headers say nothing."""
    try:
        message = json.loads(body, parse_float=lambda text: f"{MARK}{text}{MARK}")
        payload = message["object_payload"]
        offered = message["object_payload_signature"].encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
    flat = json.dumps(payload, separators=(",", ":")).replace("/", "\\/")
    flat = DELETE.sub("\\1\x7f", MARKED.sub(r"\1", flat))
    made = base64.b64encode(hmac.new(secret.encode(), flat.encode(), hashlib.sha256).digest())
    return hmac.compare_digest(made, offered)


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

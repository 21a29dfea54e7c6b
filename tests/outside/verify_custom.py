"""Verifies the requests of three companies whose format is well known.

Written from what those companies publish for their receivers:
GitHub, "Validating webhook deliveries": X-Hub-Signature-256, hex over the body;
Slack, "Verifying requests from Slack": X-Slack-Signature, hex over v0:time:body;
Cashfree, "Signature verification": x-webhook-signature, base64 over time and body.

Imports nothing of the product. Standard library only.

    verify_custom.py --secret … < captured.ndjson
"""

import base64
import hashlib
import hmac
import runpy
from collections.abc import Mapping
from pathlib import Path


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether *secret* signed it, in the format that the headers show; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    if "x-hub-signature-256" in named:
        offered = named["x-hub-signature-256"]
        expected = "sha256=" + _mac(secret, body).hex()
    elif "x-slack-signature" in named:
        offered = named["x-slack-signature"]
        time = named.get("x-slack-request-timestamp", "")
        expected = "v0=" + _mac(secret, b"v0:" + time.encode() + b":" + body).hex()
    elif "x-webhook-signature" in named:
        offered = named["x-webhook-signature"]
        time = named.get("x-webhook-timestamp", "")
        expected = base64.b64encode(_mac(secret, time.encode() + body)).decode()
    else:
        return False
    return hmac.compare_digest(expected.encode(), offered.encode())


def _mac(secret: str, signed: bytes) -> bytes:
    return hmac.new(secret.encode(), signed, hashlib.sha256).digest()


if __name__ == "__main__":
    # By path: neither the product nor this folder can be imported from where it may run.
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

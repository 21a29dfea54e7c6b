"""Is this one CloudEvent in JSON, signed as Standard Webhooks? Written from their texts alone.

CloudEvents 1.0.2, HTTP binding and JSON format; the signature is judged by verify_standard.py
beside it. Imports nothing of the product: what is proven with the product's own code proves only
that it agrees with itself. Standard library only.

    verify_cloudevents.py --secret whsec_… < captured.ndjson

One request per line: {"headers": {"webhook-id": …}, "body_base64": "…"}.
"""

import argparse
import base64
import json
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path

# By path: neither the product nor this folder can be imported from where it may run.
_STANDARD = runpy.run_path(str(Path(__file__).with_name("verify_standard.py")))


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether it is a CloudEvent, signed with *secret*; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    return bool(_STANDARD["is_signed_by"](secret, headers, body)) and _is_event(named, body)


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


def _is_event(named: Mapping[str, str], body: bytes) -> bool:
    if named.get("content-type", "").partition(";")[0].strip() != "application/cloudevents+json":
        return False
    event = json.loads(body)
    required = [event.get(name) for name in ("specversion", "id", "source", "type")]
    return event.get("specversion") == "1.0" and all(
        isinstance(value, str) and value for value in required
    )


if __name__ == "__main__":
    raise SystemExit(main())

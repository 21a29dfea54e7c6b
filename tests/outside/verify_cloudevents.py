"""Is this one CloudEvent in JSON, signed as Standard Webhooks? Written from their texts alone.

CloudEvents 1.0.2, HTTP binding and JSON format; the signature is judged by verify_standard.py
beside it. Imports nothing of the product: what is proven with the product's own code proves only
that it agrees with itself. Standard library only.

    verify_cloudevents.py --secret whsec_… < captured.ndjson
"""

import json
import runpy
from collections.abc import Mapping
from pathlib import Path

# By path: neither the product nor this folder can be imported from where it may run.
_STANDARD = runpy.run_path(str(Path(__file__).with_name("verify_standard.py")))


def is_signed_by(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether it is a CloudEvent, signed with *secret*; age is not judged."""
    named = {name.lower(): value for name, value in headers.items()}
    return bool(_STANDARD["is_signed_by"](secret, headers, body)) and _is_event(named, body)


def _is_event(named: Mapping[str, str], body: bytes) -> bool:
    if named.get("content-type", "").partition(";")[0].strip() != "application/cloudevents+json":
        return False
    event = json.loads(body)
    required = [event.get(name) for name in ("specversion", "id", "source", "type")]
    return event.get("specversion") == "1.0" and all(
        isinstance(value, str) and value for value in required
    )


if __name__ == "__main__":
    command = runpy.run_path(str(Path(__file__).with_name("command.py")))
    raise SystemExit(command["main"](is_signed_by))

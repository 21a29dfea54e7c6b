"""The command line that the verifiers beside it have in common. Standard library only.

    verify_<dialect>.py --secret … < captured.ndjson

One request per line: {"headers": {"webhook-id": …}, "body_base64": "…"}.
"""

import argparse
import base64
import json
import sys
from collections.abc import Callable, Mapping

SignedBy = Callable[[str, Mapping[str, str], bytes], bool]


def main(is_signed_by: SignedBy) -> int:
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

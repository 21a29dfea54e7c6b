"""The providers' own code, asked whether a request is signed."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Final

import standardwebhooks
import stripe
from usaepay.middleware.webhook import (  # type: ignore[import-untyped] # It ships no types.
    verify as usaepay_verify,
)

_PHP: Final = r"""
$said = json_decode(stream_get_contents(STDIN), true);
$hook = json_decode(base64_decode($said['body']));
$made = hash_hmac('sha256', json_encode($hook->object_payload), $said['secret'], true);
echo hash_equals(base64_encode($made), $hook->object_payload_signature) ? 'yes' : 'no';
"""
_PHP_PATH: Final = shutil.which("php") or "/usr/bin/php"
_S_MAX: Final = 20

Foreign = Callable[[str, Mapping[str, str], bytes], bool]


def _standard(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    key = secret if secret.startswith("whsec_") else secret.encode()
    try:
        standardwebhooks.Webhook(key).verify(body, dict(headers))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def _stripe(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        stripe.Webhook.construct_event(body, headers.get("stripe-signature", ""), secret)
    except stripe.SignatureVerificationError:
        return False
    return True


def _usaepay(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    return bool(usaepay_verify(body.decode(), headers.get("x-signature", ""), secret))


def php_verifies(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether PHP, with its own encoder, finds the signature in the body right."""
    said = json.dumps({"secret": secret, "body": base64.b64encode(body).decode()})
    found = subprocess.run(
        [_PHP_PATH, "-r", _PHP],
        input=said.encode(),
        capture_output=True,
        check=True,
        timeout=_S_MAX,
    )
    return found.stdout == b"yes"


FOREIGN: Final[Mapping[str, Foreign]] = {
    "standard": _standard,
    "cloudevents": _standard,
    "stripe": _stripe,
    "merchant-console": _usaepay,
    "treezor": php_verifies,
}

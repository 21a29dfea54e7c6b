"""Treezor's signature: in the body, of one member of it. Standard library only.

``object_payload_signature`` is the base64 HMAC-SHA256 of ``object_payload`` as PHP's json_encode
prints it; nothing else of the request is signed. Rule:
docs.treezor.com/guide/webhooks/integrity-checks.html.

A sender's body comes from the same encoder, so the member is signed as it stands there; that is
tried first. Where something on the way has spelled it anew, PHP's spelling of it counts. As a PHP
array has no name for its emptiness, so do that spelling with all that is empty as ``[]`` and with
all as ``{}``.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from json import JSONDecoder
from typing import Final, NoReturn

from payhooks.dialects import php_json
from payhooks.dialects.schemes import no_match, spelled
from payhooks.errors import SignatureError
from payhooks.limits import MIB

PAYLOAD: Final = "object_payload"
SIGNATURE: Final = "object_payload_signature"
# Four times what is published, for whoever prints with indentation.
BODY_BYTES_MAX: Final = 1 * MIB

# How a body ends that is to be signed. What stands before it has no such bytes: inside of a JSON
# string the quotes would have backslashes.
_PAYLOAD_NAME: Final = b',"object_payload":'
_WEBHOOK_ID_NAME: Final = b',"webhook_id":"'
_WEBHOOK_ID_CHARS: Final = 36
_BEFORE_SIGNATURE: Final = b'","object_payload_signature":"'
_AFTER_SIGNATURE: Final = b'","auth_key":"true"}'
_UNSIGNED: Final = _BEFORE_SIGNATURE + _AFTER_SIGNATURE
_AFTER_PAYLOAD: Final = len(_WEBHOOK_ID_NAME) + _WEBHOOK_ID_CHARS + len(_UNSIGNED)

_SPACE: Final = re.compile(r"[ \t\n\r]*+")


def _refused_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


# len stands for "keep nothing": int() refuses 4,301 digits, and the spelling is what counts.
_scan_value: Final = JSONDecoder(
    parse_int=len, parse_float=len, parse_constant=_refused_constant
).raw_decode


def unsigned(*, head: str, payload: str, webhook_id: str) -> bytes:
    """Return the body that ``sign`` signs.

    Args:
        head: Its members before the payload, without the last comma, beginning with ``{``.
        payload: In PHP's spelling.
        webhook_id: 36 characters.

    """
    assert len(webhook_id) == _WEBHOOK_ID_CHARS
    parts = (
        head.encode(),
        _PAYLOAD_NAME,
        payload.encode(),
        _WEBHOOK_ID_NAME,
        webhook_id.encode(),
        _UNSIGNED,
    )
    return b"".join(parts)


def sign(body: bytes, keys: Sequence[bytes]) -> bytes:
    """Return what ``unsigned`` returned with the signature of the newest key in its place."""
    assert body.endswith(_UNSIGNED)
    if not keys:
        return body
    payload = body[body.index(_PAYLOAD_NAME) + len(_PAYLOAD_NAME) : -_AFTER_PAYLOAD]
    # Base64 has slashes, and this encoder escapes them.
    signature = _signature(keys[0], payload).replace(b"/", b"\\/")
    return body[: -len(_AFTER_SIGNATURE)] + signature + _AFTER_SIGNATURE


def verify(body: bytes, keys: Sequence[bytes]) -> None:
    """Accept *body* if one of the keys signed its payload.

    Raises:
        SignatureError: In every other case.

    """
    if len(body) > BODY_BYTES_MAX:
        raise SignatureError("the body is too long", "body_too_large")
    try:
        text = body.decode()
        payload, signature = _signed_parts(text)
    # Not UTF-8, not JSON, or nested without end.
    except (ValueError, RecursionError):
        raise SignatureError("the body is not a JSON object", "not_json") from None
    if not signature:
        raise SignatureError(f"no {SIGNATURE} in the body", "missing_header")
    offered = spelled(signature)
    forms = _forms(payload)
    matched = False
    for key in keys:
        for form in forms:
            matched |= hmac.compare_digest(_signature(key, form), offered)
    if not matched:
        raise no_match()


def _signature(key: bytes, payload: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, payload, "sha256"))


def _forms(payload: str) -> list[bytes]:
    """Return every spelling of the payload that may have been signed, each once."""
    encoded = php_json.encode(payload)
    forms = [payload, encoded, *(php_json.with_empty(encoded, empty) for empty in ("[]", "{}"))]
    return [form.encode() for form in dict.fromkeys(forms)]


def _signed_parts(text: str) -> tuple[str, str]:
    """Return the payload as it is spelled and the signature, empty where there is none.

    Raises:
        ValueError: It is no JSON object.
        SignatureError: It lacks a payload, or parsers could disagree which one that is.

    """
    members = _members(text)
    if PAYLOAD not in members:
        raise SignatureError(f"no {PAYLOAD} in the body", "not_json")
    signature, _ = members.get(SIGNATURE, ("", ""))
    if not isinstance(signature, str):
        raise SignatureError(f"{SIGNATURE} is not text", "malformed_header")
    return members[PAYLOAD][1], signature


def _members(text: str) -> dict[str, tuple[object, str]]:
    """Return the members of a JSON object: each value, and how it is spelled."""
    members: dict[str, tuple[object, str]] = {}
    position = _expected(text, _after_space(text, 0), "{")
    while True:
        position = _after_space(text, position)
        _expected(text, position, '"')
        # Names are compared as they read: a name has many spellings.
        name, position = _scan_value(text, position)
        begin = _after_space(text, _expected(text, _after_space(text, position), ":"))
        value, end = _scan_value(text, begin)
        if name in members:
            raise SignatureError("the body has a member twice", "not_json")
        members[name] = (value, text[begin:end])
        position = _after_space(text, end)
        if text[position : position + 1] != ",":
            break
        position += 1
    position = _after_space(text, _expected(text, position, "}"))
    if position != len(text):
        raise ValueError(position)
    return members


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    assert found is not None, "nothing is space enough"
    return found.end()


def _expected(text: str, position: int, character: str) -> int:
    if text[position : position + 1] != character:
        raise ValueError(position)
    return position + 1

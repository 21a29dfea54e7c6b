"""Treezor's signature: a member of the body, over another member of it as PHP encodes that.

Source: docs.treezor.com/guide/webhooks/integrity-checks. The bytes of ``object_payload`` as they
stand are tried first; then, for bodies that something reformatted, what PHP would print of them.
"""

import base64
import hmac
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, NoReturn

from payhooks.dialects import php_json
from payhooks.dialects.schemes import spelled
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.secrets import parse_key
from payhooks.receiver.ways import NO_MATCH_HINT, Request, Values

SIGNATURE: Final = "object_payload_signature"
PAYLOAD: Final = "object_payload"

_SPACE: Final = re.compile(r"[ \t\n\r]*")


class _Signed(NamedTuple):
    payload: str  # as it is spelled in the body
    signature: str


class TreezorWay:
    """See Way for what each member promises."""

    headers: Final = ()
    place: Final = SIGNATURE
    signs_time: Final = False

    def secret(self, text: str) -> bytes:
        """See Way."""
        return parse_key(text)

    def sent_at_s(self, values: Values) -> None:
        """See Way; nothing says when it was signed."""

    def check_signature(self, values: Values, body: bytes, secrets: Sequence[bytes]) -> None:
        """See Way."""
        found = _find(body)
        canonical = php_json.encode(found.payload)
        candidates = {
            found.payload,
            canonical,
            php_json.with_empty(canonical, "{}"),
            php_json.with_empty(canonical, "[]"),
        }
        offered = spelled(found.signature)
        # No early return: how long it takes must not say which secret or spelling matched.
        matched = False
        for secret in secrets:
            for candidate in candidates:
                digest = hmac.digest(secret, candidate.encode(), "sha256")
                matched |= hmac.compare_digest(base64.b64encode(digest), offered)
        if not matched:
            raise VerificationError(Code.NO_MATCH, NO_MATCH_HINT)

    def sign(self, body: bytes, secret: str, *, message_id: str, now: datetime) -> Request:
        """See Way; the signature takes the place of the empty one in *body*."""
        payload = _find(body).payload.encode()
        digest = hmac.digest(parse_key(secret), payload, "sha256")
        signature = php_json.string(base64.b64encode(digest).decode()).encode()
        empty, made = f'"{SIGNATURE}":""'.encode(), f'"{SIGNATURE}":'.encode() + signature
        return Request(made.join(body.rsplit(empty, 1)), {})


def _find(body: bytes) -> _Signed:
    try:
        members = _members(body.decode())
    except (ValueError, RecursionError):
        hint = f"The body is not a JSON object with {PAYLOAD} and {SIGNATURE}."
        raise VerificationError(Code.NOT_JSON, hint) from None
    for name in (PAYLOAD, SIGNATURE):
        # Of two, one would be checked and the other read.
        if len(members.get(name, [])) != 1:
            raise VerificationError(Code.MISSING_HEADER, f"There is not one {name} in the body.")
    signature = json.loads(members[SIGNATURE][0])
    if not isinstance(signature, str):
        raise VerificationError(Code.MALFORMED_HEADER, f"{SIGNATURE} is not text.")
    return _Signed(members[PAYLOAD][0], signature)


def _members(text: str) -> dict[str, list[str]]:
    """Return the members of a JSON object as they are spelled; names may be there twice.

    Raises:
        ValueError: It is no JSON object.
        RecursionError: It is nested too deeply to be one.

    """
    decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse).raw_decode
    at = _after_space(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("no object")
    members: dict[str, list[str]] = {}
    while text[at : at + 1] in ("{", ","):
        name, at = decode(text, _after_space(text, at + 1))
        at = _after_space(text, at)
        if text[at : at + 1] != ":" or not isinstance(name, str):
            raise ValueError("no member")
        start = _after_space(text, at + 1)
        _, end = decode(text, start)
        members.setdefault(name, []).append(text[start:end])
        at = _after_space(text, end)
    if text[at : at + 1] != "}" or _after_space(text, at + 1) != len(text):
        raise ValueError("no end")
    return members


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None, "it matches nothing too"
    return found.end()


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's

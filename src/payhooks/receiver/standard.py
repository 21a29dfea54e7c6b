"""Standard Webhooks 1.0: three headers, ``v1`` and ``v1a``. CloudEvents is signed the same way."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from payhooks.dialects.schemes import SIGNATURES_MAX, spelled
from payhooks.receiver.errors import Code, VerificationError
from payhooks.receiver.secrets import Secret, parse_secret
from payhooks.receiver.ways import NO_MATCH_HINT, Request, Values, read_seconds, required

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

_ID_CHARS_MAX: Final = 255


class StandardWay:
    """See Way for what each member promises."""

    headers: Final = (ID, TIMESTAMP, SIGNATURE)
    place: Final = SIGNATURE
    signs_time: Final = True

    def secret(self, text: str) -> Secret:
        """See Way."""
        return parse_secret(text)

    def sent_at_s(self, values: Values) -> int:
        """See Way."""
        return read_seconds(required(values, TIMESTAMP), where=TIMESTAMP)

    def check_signature(self, values: Values, body: bytes, secrets: Sequence[Secret]) -> None:
        """See Way."""
        message_id = read_id(values)
        timestamp = required(values, TIMESTAMP)
        offered = _signatures(values)
        schemes = {secret.scheme for secret in secrets}
        if not any(version in schemes for version, _ in offered):
            raise VerificationError(
                Code.UNSUPPORTED_SCHEME,
                f"The secrets given check {' and '.join(sorted(schemes))};"
                " no signature here is of that kind.",
            )
        if not _any_match(secrets, spelled(f"{message_id}.{timestamp}.") + body, offered):
            raise VerificationError(Code.NO_MATCH, NO_MATCH_HINT)

    def sign(self, body: bytes, secret: str, *, message_id: str, now: datetime) -> Request:
        """See Way."""
        timestamp = str(int(now.timestamp()))
        signature = parse_secret(secret).sign(f"{message_id}.{timestamp}.".encode() + body)
        return Request(
            body, {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: f"v1,{signature.decode()}"}
        )


def read_id(values: Values) -> str:
    """Return the message id.

    Raises:
        VerificationError: There is none, or it is not one.

    """
    message_id = required(values, ID)
    # A dot separates the parts of what is signed; one in the id would blur where they end.
    if not message_id or len(message_id) > _ID_CHARS_MAX or "." in message_id:
        raise VerificationError(
            Code.MALFORMED_HEADER, f"{ID} is empty, longer than {_ID_CHARS_MAX} or has a dot."
        )
    return message_id


def _signatures(values: Values) -> list[tuple[str, bytes]]:
    parts = [part for part in required(values, SIGNATURE).split(" ") if part]
    if not parts or len(parts) > SIGNATURES_MAX or not all("," in part for part in parts):
        raise VerificationError(
            Code.MALFORMED_HEADER,
            f"{SIGNATURE} is not a list of at most {SIGNATURES_MAX} such as v1,…",
        )
    offered = []
    for part in parts:
        version, _, signature = part.partition(",")
        offered.append((version, spelled(signature)))
    return offered


def _any_match(
    secrets: Sequence[Secret], signed: bytes, offered: Sequence[tuple[str, bytes]]
) -> bool:
    # No early return: how long it takes must not say which secret or signature matched.
    matched = False
    for secret in secrets:
        for version, signature in offered:
            if version == secret.scheme:
                matched |= secret.matches(signed, signature)
    return matched

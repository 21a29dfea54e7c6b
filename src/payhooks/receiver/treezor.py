"""Treezor's way to sign: a member of the body, over another member of it as PHP prints that."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from payhooks.dialects import treezor_signature
from payhooks.errors import SignatureError
from payhooks.receiver.secrets import parse_key
from payhooks.receiver.ways import Request, Values, refused


class TreezorWay:
    """See Way for what each member promises."""

    headers: Final = ()
    place: Final = treezor_signature.SIGNATURE
    signs_time: Final = False

    def secret(self, text: str) -> bytes:
        """See Way."""
        return parse_key(text)

    def sent_at_s(self, values: Values) -> None:
        """See Way; nothing says when it was signed."""

    def check_signature(self, values: Values, body: bytes, secrets: Sequence[bytes]) -> None:
        """See Way."""
        try:
            treezor_signature.verify(body, secrets)
        except SignatureError as error:
            raise refused(error) from None

    def sign(self, body: bytes, secret: str, *, message_id: str, now: datetime) -> Request:
        """See Way; the signature takes the place that ``treezor_signature.unsigned`` left."""
        return Request(treezor_signature.sign(body, [parse_key(secret)]), {})

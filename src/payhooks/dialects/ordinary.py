"""What dialects have in common, for each to derive from: its file then says what is its own.

A dialect's name, version, ``render`` and ``read`` are always its own, so they are not here.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from payhooks.dialects.contract import (
    SECRET_RANDOM_BYTES,
    Carried,
    HmacSecret,
    Options,
    Signed,
    SigningSecret,
    VerifyingSecret,
)
from payhooks.dialects.schemes import Scheme
from payhooks.dialects.text_key import keys_of, text_key
from payhooks.errors import InvalidError
from payhooks.limits import CONNECT_TIMEOUT_S, IN_FLIGHT_PER_LANE, TIMEOUT_S_DEFAULT


class Ordinary:
    """A dialect that carries everything, has no options and keeps the platform's own pace.

    See Dialect for what each member promises.
    """

    retry_policy: str = "standard"
    timeout_s: float = TIMEOUT_S_DEFAULT
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    in_flight_max: int = IN_FLIGHT_PER_LANE
    signs_by_default: bool = True
    carries_everything: bool = True

    @property
    def own_headers(self) -> frozenset[str]:
        """None but those that begin with ``webhook-``."""
        return frozenset()

    def check_options(self, options: Options) -> None:
        """Refuse every option: there is nothing to choose."""
        for _ in options:
            # Not named: it is the caller's text, and may be long.
            detail = "This dialect has no options."
            raise InvalidError.at("/dialect_options", "unknown_option", detail)

    def refusal(self, said: Carried) -> str | None:
        """Carry everything."""
        return None


class TextKeyed(Ordinary):
    """A dialect whose secrets are keys as their text stands, a prefix included."""

    key_prefix: str = ""  # of a new one; an imported one may begin as it likes

    def new_secret(self, random_bytes: bytes) -> str:
        """Return the prefix and 64 hexadecimal digits, which every configuration takes."""
        assert len(random_bytes) == SECRET_RANDOM_BYTES
        return self.key_prefix + random_bytes.hex()

    def signing_secret(self, text: str) -> HmacSecret:
        """Return the secret whose key is *text*."""
        return text_key(text)

    def verifying_secret(self, text: str) -> HmacSecret:
        """Return the same: both sides hold it."""
        return text_key(text)


class HeaderSigned(TextKeyed):
    """A dialect whose signature stands in one header, made of the body and at most the time."""

    scheme: Scheme

    @property
    def own_headers(self) -> frozenset[str]:
        """The one of the signature."""
        return frozenset({self.scheme.header.lower()})

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> Signed:
        """Return the header that the scheme makes, and the body as it is."""
        return Signed(self.scheme.sign(body, keys_of(secrets), now=now), body)

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if the scheme finds that some secret signed it."""
        self.scheme.verify(headers, body, keys_of(secrets), now=now)

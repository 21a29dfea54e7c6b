"""What every dialect promises, and the few values that pass between a dialect and the rest.

Writing has two halves because they have two lives. ``render`` makes the body: once per
delivery, the same bytes on every attempt, storable. ``sign`` makes the headers: afresh for
every attempt, because they carry its time and whichever secrets live then.

Reading meets bytes from outside, so both halves are total: ``verify`` returns or raises
SignatureError, ``read`` returns or raises InvalidError, whatever arrives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from payhooks.model.endpoint import Endpoint
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant

# What new_secret is given: 256 bits, so that no dialect's secret can be guessed.
SECRET_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacSecret:
    """A secret both sides hold."""

    key: bytes = field(repr=False)  # reprs end up in logs and in failing tests

    def __post_init__(self) -> None:
        assert self.key, "an empty key lets anybody sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Secret:
    """A private key. Loading one costs more than a signature, so keep the object."""

    private: Ed25519PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Public:
    """The half of an Ed25519 key that verifies."""

    public: Ed25519PublicKey


SigningSecret = HmacSecret | Ed25519Secret
VerifyingSecret = HmacSecret | Ed25519Public


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A body as it goes on the wire, and what kind of body it is."""

    content_type: str
    body: bytes


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified body says, in its provider's words."""

    event_type: str
    object_type: str | None
    object_id: str | None
    # By name; the first is the one that a redelivery repeats.
    ids: tuple[tuple[str, str], ...]
    occurred_at: datetime | None
    payload: bytes  # raw JSON


class Dialect(Protocol):
    """One provider's webhook language."""

    @property
    def name(self) -> str:
        """What an endpoint or connector calls it."""
        ...

    @property
    def version(self) -> int:
        """Goes up when the bytes it writes change; deliveries are pinned to one."""
        ...

    @property
    def retry_policy(self) -> str:
        """The policy of an endpoint that names none."""
        ...

    @property
    def timeout_s(self) -> float:
        """The whole attempt, where the endpoint does not say."""
        ...

    @property
    def connect_timeout_s(self) -> float:
        """The part of it that connecting may take."""
        ...

    @property
    def in_flight_max(self) -> int:
        """Requests one endpoint gets at once."""
        ...

    def new_secret(self, random_bytes: bytes) -> str:
        """Return the text of a new secret made of SECRET_RANDOM_BYTES random bytes."""
        ...

    def signing_secret(self, text: str) -> SigningSecret:
        """Return what *text*, ours or imported, signs with.

        Raises:
            InvalidError: At ``/secret``; it is not a secret of this dialect.

        """
        ...

    def verifying_secret(self, text: str) -> VerifyingSecret:
        """Return what *text* verifies with.

        Raises:
            InvalidError: At ``/secret``; it is not a secret of this dialect.

        """
        ...

    def render(self, *, event: Event, endpoint: Endpoint, merchant: Merchant) -> Rendered:
        """Return the body, equal for equal arguments whenever and wherever it is made."""
        ...

    def sign(
        self, *, message_id: str, body: bytes, secrets: Sequence[SigningSecret], now: datetime
    ) -> tuple[tuple[str, str], ...]:
        """Return the headers of one attempt: signed with every secret, newest first.

        No secrets means an endpoint that wants no signature, and no signature header.
        """
        ...

    def verify(
        self,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[VerifyingSecret],
        now: datetime,
    ) -> None:
        """Accept *body* if one of the secrets signed it, recently where the dialect says when.

        Args:
            headers: Names in lower case, as ASGI gives them.
            body: The bytes as they came; read them only after this returns.
            secrets: Every one that may still be in use, in any order.
            now: The time to judge the signed time by.

        Raises:
            SignatureError: In every other case, hostile headers included.

        """
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> Reading:
        """Return what a verified *body* says.

        Raises:
            InvalidError: It is not a message of this dialect.

        """
        ...

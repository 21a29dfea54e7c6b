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
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

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


class Signed(NamedTuple):
    """One attempt's request, but for the headers that every dialect has."""

    headers: tuple[tuple[str, str], ...]
    body: bytes  # as rendered, or with the signature in its place where the body carries it


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified body says, in its provider's words."""

    event_type: str
    object_type: str | None
    object_id: str | None
    # By name; the first is the one that a redelivery repeats: the key to dedupe by.
    ids: tuple[tuple[str, str], ...]
    occurred_at: datetime | None
    payload: bytes  # raw JSON
    # What stands beside the payload and tells of it: a raw JSON object, as an event's metadata is.
    metadata: bytes | None = None
    # What tells an older state of the object from a newer one, where the provider says so.
    ordered_at: datetime | None = None
    is_test: bool | None = None  # None: this dialect does not say


class Carried(Protocol):
    """What of an event decides whether a dialect can carry it: a publication has it already."""

    @property
    def type(self) -> str:
        """Its name."""
        ...

    @property
    def data(self) -> bytes:
        """A JSON object, as published."""
        ...

    @property
    def object_type(self) -> str | None:
        """What kind of thing it is about."""
        ...

    @property
    def object_id(self) -> str | None:
        """Which one."""
        ...


# An endpoint's or connector's choices within its dialect, by name: dialect_options in the API.
Options = Mapping[str, str]
NO_OPTIONS: Final[Options] = MappingProxyType({})


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

    @property
    def signs_by_default(self) -> bool:
        """Whether an endpoint that does not choose has its requests signed."""
        ...

    @property
    def own_headers(self) -> frozenset[str]:
        """Names of headers that ``sign`` may write, in lower case: no endpoint may set them too.

        Those that begin with ``webhook-`` need not be named; nobody may set them anywhere.
        """
        ...

    def check_options(self, options: Options) -> None:
        """Accept an endpoint's ``dialect_options``.

        Raises:
            InvalidError: At ``/dialect_options/…``; it has no such option, or not this value.

        """
        ...

    @property
    def carries_everything(self) -> bool:
        """Whether ``refusal`` always returns None, so that nobody need ask."""
        ...

    def refusal(self, said: Carried) -> str | None:
        """Return why this dialect cannot carry the event, as a sentence; None where it can.

        Asked before every ``render``, which then succeeds; also at publish, so that whoever
        publishes hears of it first.
        """
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
    ) -> Signed:
        """Return one attempt: signed with every secret, newest first.

        Where the format has room for one signature, the newest secret makes it. No secrets
        means an endpoint that wants no signature: no signature header, or an empty one in the
        body.
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

    def read(
        self, headers: Mapping[str, str], body: bytes, options: Options = NO_OPTIONS
    ) -> Reading:
        """Return what a verified *body* says; *options* are its connector's.

        Raises:
            InvalidError: It is not a message of this dialect.

        """
        ...

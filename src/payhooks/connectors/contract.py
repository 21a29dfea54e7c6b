"""What every provider that we hear promises, and the few values that pass between it and the rest.

A provider is one file: how a request is known to be his, what he wants to be answered, what he
says, and what that means in the unified events. It does no I/O: what has to be fetched it names,
and whoever hears fetches it. Everything that meets bytes from outside is total: it returns, or
raises the one error that is named, whatever arrives.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from payhooks.catalogue.object_state import Entry

Options = Mapping[str, str]
NO_OPTIONS: Final[Options] = MappingProxyType({})


class Source(StrEnum):
    """How one knows that a request is the provider's."""

    SIGNATURE = "signature"
    CREDENTIALS = "credentials"  # he shows a password; nothing binds it to the body
    FETCH = "fetch"  # by nothing: what the request points at is fetched from him


class Incoming(NamedTuple):
    """One request, as it came."""

    method: str
    query: str  # as in the URL, without the question mark
    headers: Mapping[str, str]  # names in lower case; of several the first
    body: bytes


class Answer(NamedTuple):
    """What the provider wants to be answered."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


class Keys(NamedTuple):
    """What verifies: every secret that may still be in use, newest first."""

    secrets: Sequence[str]
    credential: str | None = None
    # Public things that ``needs`` asked for, by URL: a certificate.
    materials: Mapping[str, bytes] = MappingProxyType({})


class Asked(NamedTuple):
    """A GET that has to be made with the provider, and shows who asks."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()


class SecretWords(msgspec.Struct, frozen=True, kw_only=True):
    """A secret in words: what the provider calls it, and where one finds it."""

    label: str
    words: str
    required: bool = True


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One option of a connector."""

    name: str
    words: str
    values: tuple[str, ...] = ()  # empty: any text
    default: str = ""


class Guide(msgspec.Struct, frozen=True, kw_only=True):
    """What a person has to do at the provider, a sentence or two each."""

    where: str  # to paste the URL
    events: str  # to switch on
    secret: str  # to bring back
    source_url: str  # the provider's page that says so


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a verified request says about one object of the provider's."""

    word: str  # the event, in the provider's word
    family: str  # of the catalogue, whose life cycle the object is folded over …
    type: str  # … and the type there
    object_type: str  # the provider's object
    object_id: str
    data: bytes  # raw JSON: what is folded, and what ``tell`` reads
    # What a redelivery repeats; None: the provider has none, and equal content is the same event.
    event_id: str | None = None
    # What tells it from another under that id, where *data* depends on the connector's options.
    stated: bytes = b""
    occurred_at: datetime | None = None  # the provider's time, by which its history is ordered
    # What may change while the object stays in its state, such as its amount: it is told again.
    version: str = ""
    # What is another word, once, such as that a payment that failed was debited all the same.
    news: str = ""
    # Each such message is news, however equal: a part that was captured, or one that failed.
    each_time: bool = False
    is_test: bool = False  # it says that no real money is meant
    # Of a capture, or of one that failed: under which ``event_id`` that capture is known.
    capture: str = ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a unified event says of its object."""

    object_type: str  # payment, refund, dispute, payout, mandate …
    object_id: str
    amount: Decimal | None = None  # in the currency's own unit, not in its smallest
    currency: str | None = None  # ISO 4217, three capitals
    payment_id: str | None = None  # of a refund or a dispute: the payment that it is about
    # Names that others have for the object: the merchant's order, the provider's transaction.
    references: tuple[str, ...] = ()
    extra: Mapping[str, Any] = MappingProxyType({})  # further members of the event's data


class Provider(Protocol):
    """One provider whose webhooks we hear."""

    @property
    def name(self) -> str:
        """What a connector calls it: ``dialect`` in the API."""
        ...

    @property
    def title(self) -> str:
        """Its name for people."""
        ...

    @property
    def guide(self) -> Guide:
        """What to do at the provider."""
        ...

    @property
    def source(self) -> Source:
        """How one knows that a request is his."""
        ...

    @property
    def secret(self) -> SecretWords | None:
        """What he signs with, in words; None: he signs with nothing that we would hold."""
        ...

    @property
    def credential(self) -> SecretWords | None:
        """What he shows, or we show him when we fetch, in words; None: there is none."""
        ...

    @property
    def choices(self) -> Sequence[Choice]:
        """The options of a connector."""
        ...

    @property
    def own_ids(self) -> Collection[tuple[str | int, ...]]:
        """Where in the body ids stand that only a merchant has named, as steps."""
        ...

    @property
    def methods(self) -> frozenset[str]:
        """What he calls with: POST, PUT, and GET where he challenges."""
        ...

    @property
    def own_headers(self) -> frozenset[str]:
        """Names, in lower case, of headers that it reads and that open nothing: a signature, an id.

        They are kept whatever they are called. Those that no credential is called like, and the
        credentials themselves, which are never kept, are not among them.
        """
        ...

    @property
    def waits(self) -> Mapping[str, timedelta]:
        """By unified event after which more is to come: how long that takes at most, usually."""
        ...

    def check(self, options: Options, secrets: Sequence[str], credential: str | None) -> None:
        """Accept a connector's settings.

        Raises:
            InvalidError: At ``/options/…``, ``/secrets/…`` or ``/credential``.

        """
        ...

    def challenge(self, incoming: Incoming, keys: Keys, options: Options) -> Answer | None:
        """Return the answer to a handshake, which nothing is stored of; None where it is none."""
        ...

    def missing(self, incoming: Incoming, options: Options) -> str | None:
        """Return which header or member a signature needs and has not, before anything is computed.

        A sentence; None where all is there.
        """
        ...

    def needs(self, incoming: Incoming, options: Options) -> str | None:
        """Return the https URL of something public that ``verify`` needs, if it may be trusted.

        Raises:
            SignatureError: It is none of the provider's.

        """
        ...

    def verify(self, incoming: Incoming, keys: Keys, now: datetime, options: Options) -> None:
        """Accept the request as the provider's. Not asked where the source is FETCH.

        Raises:
            SignatureError: In every other case; its reason is a sentence for the merchant.

        """
        ...

    def answer(self, *, verified: bool) -> Answer:
        """Return what he is told once it is stored; 401 where not verified, if he says no other."""
        ...

    def read(self, incoming: Incoming, options: Options) -> Sequence[Heard]:
        """Return what a verified request says, in its order; nothing where it is only a test.

        Where the source is FETCH, the one object it points at: ``ask`` then says what to fetch.

        Raises:
            InvalidError: It is not a message of this provider.

        """
        ...

    def ask(self, heard: Heard, keys: Keys, options: Options) -> Asked | None:
        """Return how to ask the provider for the object as it is now; None: there is no way."""
        ...

    def asked(self, heard: Heard, body: bytes, options: Options) -> Sequence[Heard]:
        """Return what the answer to ``ask`` says, as ``read`` does.

        Raises:
            InvalidError: It is none that can be understood.

        """
        ...

    def means(self, entry: Entry, options: Options, *, captured: bool) -> str | None:
        """Return the unified event that the entry of a folded history means; None: none.

        *captured* says that money which was captured before it, in his time, stands after it.
        """
        ...

    def standing(self, told: Sequence[str], options: Options) -> int:
        """Return how many captures stand after these events of an object, oldest first."""
        ...

    def tell(self, heard: Heard, unified: str, options: Options) -> Told:
        """Return what the unified event says.

        Raises:
            InvalidError: An id, an amount or a currency that it has to have is not there.

        """
        ...

"""An endpoint: where a merchant wants to be told, what, and signed how.

The console calls it Webhook, as merchants do.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from payhooks.ids import EndpointId, KeyId, MerchantId


class EndpointStatus(StrEnum):
    """Whether it hears anything. In the store this is the state of its lane."""

    ACTIVE = "active"
    PAUSED = "paused"  # new events make deliveries that wait
    DISABLED = "disabled"  # what waits waits on; new events make none and count as missed
    DELETED = "deleted"  # what waited is cancelled; never shown in lists


class DisabledReason(StrEnum):
    """Who or what disabled it."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing but failure for days
    OPERATOR = "operator"
    RECEIVER = "receiver"  # it answered with webhook-delivery: disable


class Ordering(StrEnum):
    """What waits for what, of events that are accepted while it is so."""

    NONE = "none"
    OBJECT = "object"  # events of one object in accept order; other objects do not wait
    STRICT = "strict"  # one at a time, all in accept order


class OnFailed(StrEnum):
    """What a failed head of an ordered object does to those behind it."""

    SKIP = "skip"
    BLOCK = "block"  # its object waits until a person retries or cancels it


class AuthenticationType(StrEnum):
    """How we show the receiver who calls, beside the signature."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"
    HEADER = "header"


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """The public part; password, token or value is a sealed secret of the endpoint."""

    type: AuthenticationType = AuthenticationType.NONE
    username: str | None = None  # basic
    name: str | None = None  # header


class SignatureType(StrEnum):
    """Which secret signs."""

    NONE = "none"
    ENDPOINT_SECRET = "endpoint_secret"  # noqa: S105 - a kind of secret, not one
    SIGNATURE_KEY = "signature_key"  # one per merchant
    SOURCE_KEY = "source_key"  # an API key of the merchant made with signing: true


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """The choice of secret; a source key is named by its id."""

    type: SignatureType = SignatureType.ENDPOINT_SECRET
    key_id: KeyId | None = None

    def __post_init__(self) -> None:
        assert (self.key_id is not None) == (self.type is SignatureType.SOURCE_KEY)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint as its merchant configured it."""

    id: EndpointId
    merchant_id: MerchantId
    number: int  # per merchant, never used again; the last bits of its deliveries' ids
    label: str
    url: str
    events: tuple[str, ...]  # patterns: exact, a.b.*, prefix*, *
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    version: int  # counts edits; the ETag
    created_at: datetime
    updated_at: datetime
    dialect: str = "standard"
    dialect_options: tuple[tuple[str, str], ...] = ()  # choices within the dialect, by name
    api_version: str | None = None
    authentication: Authentication = Authentication()
    signature: Signature = Signature()
    retry_policy: str | None = None  # a named policy; None: the dialect's default
    retry_delays_s: tuple[float, ...] | None = None  # a list of one's own instead of a name
    ordering: Ordering = Ordering.NONE
    on_failed: OnFailed = OnFailed.SKIP
    rate_limit_per_s: float | None = None
    timeout_s: float | None = None  # None: the dialect's default
    headers: tuple[tuple[str, str], ...] = ()
    listening: bool = False  # temporary: delivers into a `payhooks listen` stream, has no URL

    def __post_init__(self) -> None:
        assert self.number >= 1
        assert (self.disabled_reason is not None) == (self.status is EndpointStatus.DISABLED)
        assert self.retry_policy is None or self.retry_delays_s is None

    @property
    def blocks(self) -> bool:
        """Whether an object whose head failed waits for a person."""
        return self.ordering is not Ordering.NONE and self.on_failed is OnFailed.BLOCK

"""What callers send. Ranges and spellings are checked below, once for API, CLI and console."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, StrictBool, StrictInt, Tag

from payhooks.api.schemas.base import Body, JsonObject, Label, Number, Time
from payhooks.limits import (
    ANSWER_KEPT_BYTES_MAX,
    BATCH_EVENTS_MAX,
    EVENT_TYPE_CHARS_MAX,
    IDEMPOTENCY_KEY_CHARS_MAX,
    OBJECT_ID_CHARS_MAX,
    ROTATION_GRACE_S_MAX,
)
from payhooks.model.attempt import Reason
from payhooks.model.custom_dialect import HmacAlgorithm, SignatureEncoding, TimestampUnit
from payhooks.model.endpoint import OnFailed, Ordering
from payhooks.model.key import Scope
from payhooks.model.merchant import CardNumbers, Mode, TypeCheck
from payhooks.model.replay import Include

Patterns = Annotated[
    tuple[str, ...],
    Field(min_length=1, description="Event types: exact, `payment.*`, `payment_*` or `*`."),
]


class ObjectReference(Body):
    """What an event is about."""

    type: str = Field(min_length=1, max_length=64)
    id: str = Field(min_length=1, max_length=OBJECT_ID_CHARS_MAX)


class EventPublish(Body):
    """An event to be told. `data` is kept byte for byte."""

    type: str = Field(min_length=1, max_length=EVENT_TYPE_CHARS_MAX)
    data: JsonObject
    family: str | None = Field(default=None, max_length=40)
    object: ObjectReference | None = None
    occurred_at: Time | None = None
    ordering_key: str | None = Field(default=None, min_length=1, max_length=OBJECT_ID_CHARS_MAX)
    metadata: JsonObject | None = None


class KeyedEventPublish(EventPublish):
    """An event of a batch."""

    idempotency_key: str | None = Field(
        default=None, min_length=1, max_length=IDEMPOTENCY_KEY_CHARS_MAX
    )


class BatchPublish(Body):
    """Events in their order."""

    events: list[KeyedEventPublish] = Field(min_length=1, max_length=BATCH_EVENTS_MAX)


class CustomDialectBody(Body):
    """A format that a merchant's receivers verify already; endpoints speak it as `custom`."""

    signature_header: str = Field(description="Where the signature stands.")
    signature_prefix: str = Field(default="", description="Before it, like `sha256=`.")
    algorithm: HmacAlgorithm = Field(default=HmacAlgorithm.SHA256, description="Of the HMAC.")
    encoding: SignatureEncoding = SignatureEncoding.HEX
    signed: str = Field(
        default="{body}",
        description="What is signed: plain text, `{timestamp}`, `{id}` and, once, `{body}`.",
    )
    timestamp_header: str | None = Field(
        default=None, description="Where the time of the attempt stands; required if it is signed."
    )
    timestamp_unit: TimestampUnit = Field(
        default=TimestampUnit.SECONDS, description="What that time counts since 1970."
    )
    id_header: str | None = Field(
        default=None, description="Where the delivery's id stands; required if it is signed."
    )
    content_type: str = "application/json"
    envelope: str = Field(
        description=(
            "The body: text of JSON in which whole values are placeholders, for example "
            '`{"event":"{type}","payload":"{data}"}`. There are `"{data}"` (exactly once), '
            '`"{type}"`, `"{id}"`, `"{timestamp}"` (RFC 3339) and `"{unix}"` (when it happened), '
            '`"{object_type}"`, `"{object_id}"`, `"{merchant_id}"`, `"{merchant_reference}"` and '
            '`"{mode}"`; what an event does not have is null. Spacing and order are kept.'
        )
    )


class MerchantCreate(Body):
    """A tenant."""

    name: Label
    mode: Mode
    reference: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    families: tuple[str, ...] = ()
    provider_ids: dict[str, str] = Field(default_factory=dict)
    card_numbers: CardNumbers = CardNumbers.REPORT
    type_check: TypeCheck = TypeCheck.WARN
    custom_dialect: CustomDialectBody | None = Field(
        default=None, description="Given whole; null removes it."
    )
    sandbox_auto_capture: StrictBool = True


class MerchantEdit(Body):
    """What is left out keeps its value."""

    name: Label = ""
    reference: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    families: tuple[str, ...] = ()
    provider_ids: dict[str, str] = Field(default_factory=dict)
    card_numbers: CardNumbers = CardNumbers.REPORT
    type_check: TypeCheck = TypeCheck.WARN
    custom_dialect: CustomDialectBody | None = Field(
        default=None, description="Given whole; null removes it."
    )
    sandbox_auto_capture: StrictBool = True


class NoAuthentication(Body):
    """No Authorization header."""

    type: Literal["none"]


class BasicAuthentication(Body):
    """Authorization: Basic."""

    type: Literal["basic"]
    username: str
    password: str


class BearerAuthentication(Body):
    """Authorization: Bearer."""

    type: Literal["bearer"]
    token: str


class HeaderAuthentication(Body):
    """A header of one's own."""

    type: Literal["header"]
    name: str
    value: str


AuthenticationBody = Annotated[
    NoAuthentication | BasicAuthentication | BearerAuthentication | HeaderAuthentication,
    Field(discriminator="type"),
]


class SignatureBody(Body):
    """Which secret signs; `key_id` for a Source Key alone."""

    type: Literal["none", "endpoint_secret", "signature_key", "source_key"]
    key_id: str | None = None


def _kind_of_policy(value: object) -> str | None:
    if isinstance(value, str):
        return "name"
    return "waits" if isinstance(value, list) else None


RetryPolicy = Annotated[
    Annotated[str, Tag("name")] | Annotated[list[Number], Tag("waits")],
    Discriminator(
        _kind_of_policy,
        custom_error_type="wrong_type",
        custom_error_message="This must be text or a list",
    ),
]


class EndpointEdit(Body):
    """What is left out keeps its value."""

    label: Label = ""
    url: str = ""
    events: Patterns = ()
    dialect: str = "standard"
    dialect_options: dict[str, str] = Field(
        default_factory=dict, description="Choices within the dialect, by name; see its page."
    )
    authentication: AuthenticationBody = NoAuthentication(type="none")
    signature: SignatureBody = SignatureBody(type="endpoint_secret")
    retry_policy: RetryPolicy | None = Field(
        default=None, description="A policy's name, or the waits in seconds; null: the dialect's."
    )
    ordering: Ordering = Field(
        default=Ordering.NONE,
        description="What waits for what, among events that are accepted from then on:"
        " an older one that waits for its retry may come after them.",
    )
    on_failed: OnFailed = OnFailed.SKIP
    rate_limit: Number | None = Field(default=None, description="Requests per second.")
    timeout_s: Number | None = None
    headers: dict[str, str] = Field(default_factory=dict)


class EndpointCreate(EndpointEdit):
    """Where to tell what."""

    label: Label
    url: str
    events: Patterns
    secret: str | None = Field(
        default=None, description="To bring a secret along; else one is made."
    )


class RotateBody(Body):
    """How long the old secret goes on signing beside the new one."""

    grace_s: StrictInt = Field(default=86_400, ge=0, le=ROTATION_GRACE_S_MAX)


class KeyCreate(Body):
    """An API key; with `signing` a Source Key, whose text is kept to sign with."""

    label: Label
    scopes: list[Scope] = Field(min_length=1)
    signing: StrictBool = False
    expires_at: Time | None = None


class ReplayFilterBody(Body):
    """Every member narrows."""

    endpoint_id: str | None = None
    event_types: tuple[str, ...] = ()
    object_id: str | None = Field(default=None, max_length=OBJECT_ID_CHARS_MAX)
    reason: Reason | None = None
    created_gte: Time | None = None
    created_lt: Time | None = None


class ReplayCreate(Body):
    """What to send again, how fast; a dry run counts and sends nothing."""

    filter: ReplayFilterBody = ReplayFilterBody()
    include: list[Include] = Field(min_length=1)
    dry_run: StrictBool = False
    rate_per_s: Number = 100


class AckBody(Body):
    """What the receiver behind a stream answered."""

    delivery_id: str
    fence: StrictInt = Field(ge=1)
    status: StrictInt | None = Field(
        default=None, ge=100, le=999, description="The HTTP status; null where none came."
    )
    duration_s: Annotated[Number, Field(ge=0, le=3_600)] = 0
    body: str = Field(default="", max_length=ANSWER_KEPT_BYTES_MAX // 4, description="Its start.")

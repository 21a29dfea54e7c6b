"""What callers read. ``views`` writes these; a contract test compares the two."""

from typing import Literal

from pydantic import Field

from payhooks.api.schemas.base import JsonObject, Page, View
from payhooks.model.attempt import Reason
from payhooks.model.custom_dialect import HmacAlgorithm, SignatureEncoding, TimestampUnit
from payhooks.model.endpoint import (
    AuthenticationType,
    DisabledReason,
    EndpointStatus,
    OnFailed,
    Ordering,
    SignatureType,
)
from payhooks.model.key import Scope
from payhooks.model.merchant import CardNumbers, Mode, TypeCheck
from payhooks.model.replay import Include, ReplayState

EventStatus = Literal["unsubscribed", "pending", "delivered", "failed", "cancelled"]


class FaultView(View):
    """One thing that is wrong."""

    pointer: str
    code: str
    detail: str


class ProblemView(View):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    retryable: bool
    instance: str | None = None
    errors: list[FaultView] | None = None


class FindingView(View):
    """Something to know that did not refuse the event: one sentence, and its place in it."""

    pointer: str
    code: str
    detail: str


class AcceptedView(View):
    """An event that is stored."""

    id: str
    type: str
    created_at: str
    deliveries: int
    findings: list[FindingView] | None = None


class BatchResultView(View):
    """One event of a batch: what it became, or why not."""

    id: str | None = None
    type: str | None = None
    created_at: str | None = None
    deliveries: int | None = None
    findings: list[FindingView] | None = None
    repeated: bool | None = None
    error: ProblemView | None = None


class BatchView(View):
    """One result per event, in order."""

    data: list[BatchResultView]


class CustomDialectView(View):
    """A merchant's own format; `version` is that of the merchant when it was set."""

    signature_header: str
    signature_prefix: str
    algorithm: HmacAlgorithm
    encoding: SignatureEncoding
    signed: str
    timestamp_header: str | None
    timestamp_unit: TimestampUnit
    id_header: str | None
    content_type: str
    envelope: str
    version: int


class MerchantView(View):
    """A tenant."""

    id: str
    name: str
    mode: Mode
    reference: str | None
    families: list[str]
    provider_ids: dict[str, str]
    card_numbers: CardNumbers
    type_check: TypeCheck
    custom_dialect: CustomDialectView | None
    sandbox_auto_capture: bool
    version: int
    created_at: str
    updated_at: str


class MerchantPage(Page):
    """Merchants, newest first."""

    data: list[MerchantView]


class ObjectView(View):
    """What an event is about."""

    type: str
    id: str


class EventView(View):
    """An event."""

    id: str
    type: str
    family: str
    object: ObjectView | None
    occurred_at: str | None
    created_at: str
    ordering_key: str | None
    metadata: JsonObject | None
    data: JsonObject | None
    expunged: bool
    status: EventStatus | None = None
    deliveries: int | None = None
    findings: list[FindingView] | None = None


class EventPage(Page):
    """Events, newest first."""

    data: list[EventView]


class AuthenticationView(View):
    """How the endpoint wants to see who calls; the credential is never shown."""

    type: AuthenticationType
    username: str | None = None
    name: str | None = None


class SignatureView(View):
    """Which secret signs."""

    type: SignatureType
    key_id: str | None = None


class EndpointView(View):
    """An endpoint."""

    id: str
    label: str
    url: str
    events: list[str]
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    dialect: str
    dialect_options: dict[str, str]
    authentication: AuthenticationView
    signature: SignatureView
    retry_policy: str | list[float] | None
    ordering: Ordering
    on_failed: OnFailed
    rate_limit: float | None
    timeout_s: float | None
    headers: dict[str, str]
    listening: bool
    version: int
    created_at: str
    updated_at: str


class NewEndpointView(EndpointView):
    """A new endpoint and its secret."""

    secret: str


class EndpointPage(Page):
    """Endpoints, newest first."""

    data: list[EndpointView]


class SecretView(View):
    """A secret in the clear."""

    secret: str
    created_at: str
    expires_at: str | None


class SecretsView(View):
    """Live secrets, newest first."""

    data: list[SecretView]


class TestView(View):
    """A test that is on its way."""

    delivery_id: str
    event_id: str


class KeyView(View):
    """An API key, without its text."""

    id: str
    label: str
    scopes: list[Scope]
    signing: bool
    hint: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKeyView(KeyView):
    """A new key with its text, shown this once."""

    key: str


class KeyPage(Page):
    """Keys, newest first."""

    data: list[KeyView]


class ReplayFilterView(View):
    """What was to be sent again."""

    endpoint_id: str | None
    event_types: list[str]
    object_id: str | None
    reason: Reason | None
    created_gte: str | None
    created_lt: str | None


class ReplayView(View):
    """A replay and how far it is."""

    id: str
    filter: ReplayFilterView
    include: list[Include]
    rate_per_s: float
    state: ReplayState
    matched: int
    queued: int
    created_at: str
    finished_at: str | None


class ReplayCountView(View):
    """What a dry run counted."""

    dry_run: bool
    matched: int
    complete: bool = Field(description="False: counting stopped at a bound.")
    seconds_at_rate: float


class ReplayPage(Page):
    """Replays, newest first."""

    data: list[ReplayView]


class AuditEntryView(View):
    """One change."""

    number: int
    at: str
    actor: str
    action: str
    target: str
    changes: JsonObject
    request_id: str | None
    ip: str | None
    hash: str


class AuditPage(View):
    """Changes, newest first."""

    data: list[AuditEntryView]
    has_more: bool
    next: int | None = Field(description="Give this as `before` to read on.")


class BucketView(View):
    """Counts of one step."""

    at: str
    accepted: int
    delivered: int
    failed: int
    attempts: int
    attempts_failed: int


class StatsView(View):
    """Counts, oldest first."""

    step_s: int
    data: list[BucketView]


class HealthView(View):
    """Whether this process can do its work."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str]


class AckView(View):
    """Whether the lease still held; if not, the delivery is with somebody else by now."""

    settled: bool

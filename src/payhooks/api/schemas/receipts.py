"""What callers send and read of receipts, and of what is overdue."""

from pydantic import Field, StrictBool

from payhooks.api.pagination import CURSOR_CHARS_MAX
from payhooks.api.schemas.base import Body, Page, View
from payhooks.api.schemas.responses import FindingView, ObjectView
from payhooks.model.receipt import ReceiptState, Verdict


class ReprocessBody(Body):
    """How a receipt is to be read again."""

    despite_conflict: StrictBool = Field(
        default=False, description="Tell what it says although the provider said otherwise."
    )


class ReprocessAllBody(Body):
    """Which of a connector's receipts are to be read again."""

    states: list[ReceiptState] = Field(min_length=1)
    after: str | None = Field(
        default=None,
        max_length=CURSOR_CHARS_MAX,
        description="What `next` of the call before said, with the same states.",
    )


class ReprocessedView(View):
    """What became of them."""

    reprocessed: int = Field(description="Are read again now.")
    unverified: int = Field(description="Still: they stay in the quarantine.")
    has_more: bool = Field(description="Not all were looked at.")
    next: str | None = Field(description="Ask again with this as `after`, for those that follow.")


class ReceiptSummaryView(View):
    """A receipt without its headers and its body."""

    id: str
    connector_id: str
    received_at: str
    method: str
    verdict: Verdict
    reason: str | None = Field(description="Why it is not verified.")
    answered: int = Field(description="The status that the provider was told.")
    state: ReceiptState
    detail: str | None = Field(description="Of the state, in words.")
    event: str | None = Field(description="What happened, in the provider's word.")
    object: ObjectView | None = Field(description="The provider's object.")
    despite_conflict: bool
    body_bytes: int
    body_sha256: str = Field(description="Of the body as it came.")
    findings: list[FindingView] = Field(description="Card data, by place.")


class ReceiptPage(Page):
    """Receipts, newest first."""

    data: list[ReceiptSummaryView]


class ReceiptView(ReceiptSummaryView):
    """A receipt as it is kept."""

    query: str
    headers: list[tuple[str, str]] = Field(description="Without credentials.")
    body: str | None = Field(
        description="null: it is no UTF-8 text. A signature of but a part of it is hidden."
    )
    body_base64: str = Field(description="Of `body`.")
    masked: bool = Field(description="Card data was masked: these are not the bytes that came.")
    diagnosis: list[str] = Field(
        description="Of one in quarantine: what was tried just now to find out why it is not "
        "verified, in sentences, the most certain first. Empty where `reason` says all."
    )


class OverdueView(View):
    """An object that waits for longer than its provider usually takes."""

    connector_id: str
    object: ObjectView = Field(description="As the unified events name it.")
    provider_object: ObjectView
    since: str
    looked_at_again: str = Field(description="When the provider is asked again, if it can be.")


class OverduePage(Page):
    """What is overdue, newest first."""

    data: list[OverdueView]

"""What the sandbox's callers send and get. Ranges and spellings are checked below."""

from typing import Any

from pydantic import Field, StrictInt

from payhooks.api.schemas.base import Body, Page, View
from payhooks.api.schemas.responses import ObjectView
from payhooks.control.inboxes import Verdict
from payhooks.limits import EVENT_TYPE_CHARS_MAX
from payhooks.model.sandbox_run import RunState


class RunCreate(Body):
    """What to play, and how: a scenario, or one event."""

    scenario: str | None = Field(default=None, max_length=64)
    event: str | None = Field(default=None, max_length=EVENT_TYPE_CHARS_MAX)
    family: str | None = Field(default=None, max_length=40, description="Of the event.")
    set: dict[str, Any] = Field(
        default_factory=dict,
        description="Variables of the scenario, or members of the event's data: `a.b`.",
    )
    speed: str | None = Field(
        default=None,
        max_length=20,
        description="How long a span of life takes: `1d=1s`. Left out: no waiting.",
    )
    disorder: StrictInt = Field(
        default=0, description="Percent of the events that go out behind later ones."
    )
    duplicate: StrictInt = Field(
        default=0, description="Percent of the events whose deliveries are sent twice."
    )
    seed: StrictInt | None = Field(default=None, description="The same seed plays the same again.")


class StepView(View):
    """One event of a scenario."""

    event: str
    object: str = Field(description="What the scenario calls the object that it is about.")
    after: str = Field(description="Of life since the event before.")
    words: str
    if_: str | None = Field(alias="if", description="The setting without which it is left out.")


class ScenarioView(View):
    """A life that can be played."""

    name: str
    title: str
    words: str
    family: str
    variables: dict[str, str]
    steps: list[StepView]


class ScenariosView(View):
    """Every scenario, family by family."""

    data: list[ScenarioView]


class RunEventView(View):
    """One event of a run, published or still to come."""

    id: str | None
    type: str | None = None
    object: ObjectView | None = None
    occurred_at: str | None = None
    published_at: str | None = None
    words: str | None = None


class RunView(View):
    """A run and how far it is."""

    id: str
    scenario: str | None
    event: str | None
    family: str
    state: RunState
    reason: str | None
    seed: int
    set: dict[str, Any]
    speed: str | None
    disorder: int
    duplicate: int
    auto_capture: bool
    steps: int
    left_out: int = Field(description="Steps that the merchant's settings leave out.")
    published: int
    sent_again: int = Field(description="Deliveries.")
    created_at: str
    finished_at: str | None
    events: list[RunEventView] | None = Field(
        default=None, description="In the order in which they happen; not in lists of runs."
    )


class RunPage(Page):
    """Runs, newest first."""

    data: list[RunView]


class InboxView(View):
    """An inbox."""

    id: str
    url: str = Field(description="Whoever has it may send here; nobody can read here with it.")
    created_at: str


class InboxPage(Page):
    """Inboxes, newest first."""

    data: list[InboxView]


class SignatureVerdictView(View):
    """What the signature of a request is worth."""

    verdict: Verdict
    words: str
    endpoint_id: str | None = Field(description="Whose secrets it was checked with.")


class HeardView(View):
    """One request that came."""

    id: str
    at: str
    method: str
    path: str = Field(description="Behind the inbox's URL, as it was written; 2,048 characters.")
    query: str = Field(description="Behind the question mark; 2,048 characters.")
    headers: list[tuple[str, str]] = Field(description="Credentials are hidden.")
    body: str = Field(description="What is no UTF-8 in it is replaced. Lists have 4 KiB of it.")
    body_base64: str = Field(description="The bytes as they came. Lists have the first 4 KiB.")
    body_bytes: int = Field(description="How many came.")
    status: int = Field(description="What it was answered with.")
    signature: SignatureVerdictView


class HeardPage(Page):
    """Requests, newest first."""

    data: list[HeardView]

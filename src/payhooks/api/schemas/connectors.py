"""What callers send and read of connectors. Ranges and spellings are checked below."""

from pydantic import Field, StrictInt

from payhooks.api.schemas.base import Body, Page, View
from payhooks.connectors.contract import Source
from payhooks.limits import ROTATION_GRACE_S_MAX
from payhooks.model.connector import ConnectorStatus


class ConnectorEdit(Body):
    """What is left out keeps its value; secrets that are given replace the old ones at once."""

    name: str = Field(
        default="", max_length=64, description="The last part of the URL; stays as it was made."
    )
    dialect: str = Field(
        default="", max_length=64, description="The provider, as `/v1/providers` has it; stays."
    )
    secrets: list[str] = Field(
        default_factory=list, description="What the provider signs with, newest first."
    )
    credential: str | None = Field(
        default=None, description="What the provider shows us, or we show it; null removes it."
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="Choices of this provider; `/v1/providers` has them."
    )
    events: list[str] = Field(
        default_factory=list,
        description="What is heard, in the provider's words: exact or `payment.*`; empty: all.",
    )


class ConnectorCreate(ConnectorEdit):
    """A provider account that sends webhooks to us."""

    name: str = Field(max_length=64, description="The last part of the URL to post to.")
    dialect: str = Field(max_length=64, description="The provider, as `/v1/providers` has it.")


class RotateConnectorBody(Body):
    """The provider's new secret, and how long the old one verifies beside it."""

    secret: str
    grace_s: StrictInt = Field(default=86_400, ge=0, le=ROTATION_GRACE_S_MAX)


class GuideView(View):
    """What a person has to do at the provider."""

    where: str = Field(description="To paste the URL.")
    events: str = Field(description="To switch on.")
    secret: str = Field(description="To bring back.")
    source_url: str = Field(description="The provider's page that says so.")


class SecretWordsView(View):
    """A secret in words: what the provider calls it, and where one finds it."""

    label: str
    words: str
    required: bool


class ChoiceView(View):
    """One option of a connector."""

    name: str
    words: str
    values: list[str] = Field(description="Empty: any text.")
    default: str


class ProviderView(View):
    """One provider whose webhooks can be heard."""

    name: str = Field(description="`dialect` of a connector.")
    title: str
    source: Source = Field(
        description=(
            "How its requests are known: by a signature, by credentials that nothing ties to the"
            " body, or by fetching what they point at."
        )
    )
    guide: GuideView
    secret_words: SecretWordsView | None = Field(description="null: it signs with nothing.")
    credential_words: SecretWordsView | None = Field(description="null: there is none.")
    choices: list[ChoiceView]
    methods: list[str]
    waits_s: dict[str, float] = Field(
        description="By unified event after which more is to come: how long that usually takes."
    )


class ProvidersView(View):
    """Every provider, by name."""

    data: list[ProviderView]


class HealthView(View):
    """How a connector fares: counts since it was made."""

    received: int = Field(description="Verified, or to be fetched.")
    unverified: int
    last_received_at: str | None
    last_unverified_at: str | None
    quarantined: int = Field(description="Held now.")
    quarantined_bytes: int = Field(description="Of bodies, held now.")
    dropped: int = Field(description="Out of the quarantine, because it was full.")


class ConnectorView(View):
    """A connector. Its secrets are never shown."""

    id: str
    name: str
    url: str = Field(description="What is pasted at the provider.")
    dialect: str
    source: Source = Field(
        description=(
            "How its requests are known: by a signature, by credentials that nothing ties to the"
            " body, or by fetching what they point at."
        )
    )
    guide: GuideView
    secret_words: SecretWordsView | None = Field(description="null: it signs with nothing.")
    credential_words: SecretWordsView | None = Field(description="null: there is none.")
    options: dict[str, str]
    events: list[str]
    status: ConnectorStatus
    health: HealthView
    version: int
    created_at: str
    updated_at: str


class ConnectorPage(Page):
    """Connectors, newest first."""

    data: list[ConnectorView]

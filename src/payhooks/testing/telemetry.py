"""A telemetry that remembers its alarms and forgets the rest."""

from payhooks.ids import EndpointId, MerchantId
from payhooks.model.attempt import Attempt
from payhooks.model.delivery import Trigger
from payhooks.model.event import Event
from payhooks.model.receipt import ReceiptState, Verdict
from payhooks.ports.leasing import Leased


class QuietTelemetry:
    """Keep alarms and bugs for a test to look at."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, str]] = []
        self.bugs: list[tuple[str, BaseException]] = []
        self.swept_counts: dict[str, int] = {}
        self.concluded: dict[ReceiptState, int] = {}
        self.card_data: list[str] = []
        self.unjudged: list[str] = []
        self.by_older_secret: list[str] = []
        self.turned_away: list[int] = []

    def event_accepted(self, event: Event, *, deliveries: int, repeated: bool) -> None:
        """See Telemetry."""

    def card_data_found(self, finding: str) -> None:
        """See Telemetry."""
        self.card_data.append(finding)

    def receipt_judged(self, dialect: str, verdict: Verdict) -> None:
        """See Telemetry."""

    def older_secret_used(self, dialect: str) -> None:
        """See Telemetry."""
        self.by_older_secret.append(dialect)

    def receipt_unjudged(self, dialect: str) -> None:
        """See Telemetry."""
        self.unjudged.append(dialect)

    def request_turned_away(self, status: int, request_id: str) -> None:
        """See Telemetry."""
        self.turned_away.append(status)

    def receipt_concluded(self, dialect: str, state: ReceiptState, *, waited_s: float) -> None:
        """See Telemetry."""
        self.concluded[state] = self.concluded.get(state, 0) + 1

    def batch_committed(self, kind: str, *, rows: int, took_s: float) -> None:
        """See Telemetry."""

    def attempt_settled(
        self, leased: Leased, attempt: Attempt, *, trigger: Trigger, late: bool, waited_s: float
    ) -> None:
        """See Telemetry."""

    def lane_reported(self, merchant_id: MerchantId, endpoint_id: EndpointId, news: str) -> None:
        """See Telemetry."""

    def swept(self, kind: str, count: int) -> None:
        """See Telemetry."""
        self.swept_counts[kind] = self.swept_counts.get(kind, 0) + count

    def alarmed(self, kind: str, detail: str) -> None:
        """See Telemetry."""
        self.alarms.append((kind, detail))

    def bug_caught(self, where: str, error: BaseException, *, about: str = "") -> None:
        """See Telemetry."""
        self.bugs.append((where, error))

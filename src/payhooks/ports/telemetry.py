"""Where facts about the data plane go: metrics and one wide log line per attempt.

Telemetry never fails its caller and never blocks: what a full sink drops is counted.
"""

from typing import Protocol

from payhooks.ids import EndpointId, MerchantId
from payhooks.model.attempt import Attempt
from payhooks.model.delivery import Trigger
from payhooks.model.event import Event
from payhooks.model.receipt import ReceiptState, Verdict
from payhooks.ports.leasing import Leased


class Telemetry(Protocol):
    """One method per fact, in the past tense."""

    def event_accepted(self, event: Event, *, deliveries: int, repeated: bool) -> None:
        """Take note that an event was stored, or its key was known."""
        ...

    def card_data_found(self, finding: str) -> None:
        """Take note of a finding of card data that was stored with an event."""
        ...

    def receipt_judged(self, dialect: str, verdict: Verdict) -> None:
        """Take note of whose a request to a connector of this dialect was."""
        ...

    def older_secret_used(self, dialect: str) -> None:
        """Take note of a request that another secret verified than its connector's newest."""
        ...

    def receipt_unjudged(self, dialect: str) -> None:
        """Take note of a request refused as what it is verified with was not to be had."""
        ...

    def request_turned_away(self, status: int, request_id: str) -> None:
        """Take note of a request to what may be a connector's URL, which no receipt is made of."""
        ...

    def receipt_concluded(self, dialect: str, state: ReceiptState, *, waited_s: float) -> None:
        """Take note of what became of a receipt, so long after it came."""
        ...

    def batch_committed(self, kind: str, *, rows: int, took_s: float) -> None:
        """Take note that one transaction of ``accept``, ``settle`` or ``receive`` returned."""
        ...

    def attempt_settled(
        self, leased: Leased, attempt: Attempt, *, trigger: Trigger, late: bool, waited_s: float
    ) -> None:
        """Take note of an attempt written down; *waited_s* is from accept to now."""
        ...

    def lane_reported(self, merchant_id: MerchantId, endpoint_id: EndpointId, news: str) -> None:
        """Take note that a worker told the store news of a lane."""
        ...

    def swept(self, kind: str, count: int) -> None:
        """Take note of what the sweeper did; ``lane_drifted`` must stay 0."""
        ...

    def alarmed(self, kind: str, detail: str) -> None:
        """Alarm an operator; *detail* holds no secret and no payload."""
        ...

    def bug_caught(self, where: str, error: BaseException, *, about: str = "") -> None:
        """Take note that a loop caught what nothing should raise, and goes on.

        *where* is one of a few; *about* names the request or thing, for the log alone.
        """
        ...

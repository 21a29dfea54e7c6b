"""What charts and lists read instead of the record: counts kept while it is written.

They are statistics: a process that is killed takes the counts of its last seconds along. The
record of events, deliveries and attempts never depends on them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from payhooks.ids import EndpointId, MerchantId
from payhooks.policy.fitness import RESPONSE_MS

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
NO_RESPONSES: Final = (0,) * (len(RESPONSE_MS) + 1)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one step of time, to a merchant as a whole or to one endpoint."""

    merchant_id: MerchantId
    endpoint_id: EndpointId | None  # None: the merchant as a whole
    step_s: int  # MINUTE_S, for a merchant alone, or HOUR_S
    at: datetime  # when the step begins
    accepted: int = 0  # events; of a merchant alone
    delivered: int = 0
    failed: int = 0
    attempts: int = 0
    attempts_failed: int = 0
    responses: tuple[int, ...] = NO_RESPONSES  # by RESPONSE_MS, and what took longer

    def __post_init__(self) -> None:
        assert self.step_s == HOUR_S or (self.step_s == MINUTE_S and self.endpoint_id is None)
        assert len(self.responses) == len(NO_RESPONSES)


class TallyStore(Protocol):
    """Counts by step. What was not counted has no row."""

    async def add_tallies(self, tallies: Sequence[Tally]) -> None:
        """Add to what is there, in one transaction; no two are of the same step.

        Raises:
            UnavailableError: Nothing was added.
            OutcomeUnknownError: Added or not; adding again might count twice.

        """
        ...

    async def merchant_tallies(
        self, merchant_id: MerchantId, *, step_s: int, since: datetime, until: datetime
    ) -> list[Tally]:
        """Return the steps of a merchant as a whole, oldest first; *until* is exclusive."""
        ...

    async def endpoint_tallies(
        self, merchant_id: MerchantId, endpoint_ids: Sequence[EndpointId], *, since: datetime
    ) -> list[Tally]:
        """Return the hours of these endpoints, by endpoint, then oldest first."""
        ...

    async def endpoint_totals(
        self, merchant_id: MerchantId, *, since: datetime, limit: int
    ) -> list[Tally]:
        """Return one sum for each endpoint with attempts since, those with the most first."""
        ...

    async def forget_tallies(
        self, *, minutes_before: datetime, hours_before: datetime, limit: int
    ) -> int:
        """Remove steps that began earlier; return how many went, at most *limit* of each kind."""
        ...

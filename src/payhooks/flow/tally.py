"""Beside the way of the data: count what was accepted and settled, for charts and lists.

Counted in memory where it happens, and handed to the store every few seconds: a row is written
for each minute and hour, not for each attempt. So a kill takes the last seconds of statistics
along, and never anything of the record (ADR 12).
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Final, TypeVar

from payhooks import limits
from payhooks.clock import Clock
from payhooks.errors import OutcomeUnknownError, UnavailableError
from payhooks.ids import EndpointId, MerchantId
from payhooks.model.attempt import Reason
from payhooks.model.delivery import Trigger
from payhooks.policy.fitness import RESPONSE_MS
from payhooks.ports.settling import Settlement
from payhooks.ports.sweeping import Expired
from payhooks.ports.tallying import HOUR_S, MINUTE_S, NO_RESPONSES, Tally, TallyStore
from payhooks.ports.telemetry import Telemetry

HAND_OVER_EVERY_S: Final = 5.0
# What many endpoints have a little of each waits until it is worth a row: fifty thousand of them
# would otherwise cost a row for each attempt.
HAND_OVER_ROWS_MAX: Final = 1_000
WAITING_ROWS_MAX: Final = 100_000
# At the end of a process: statistics are not worth waiting for a store that does not answer.
LAST_HAND_OVER_S_MAX: Final = 5.0

# A cell of counts: the five of a Tally, then its responses.
_ACCEPTED: Final = 0
_DELIVERED: Final = 1
_FAILED: Final = 2
_ATTEMPTS: Final = 3
_ATTEMPTS_FAILED: Final = 4
_RESPONSES: Final = 5
_WIDTH: Final = _RESPONSES + len(NO_RESPONSES)
_MS_PER_S: Final = 1_000

# The minute is a number since 1970. What no endpoint has part in stands under None.
_Cells = dict[tuple[MerchantId, EndpointId | None, int], list[int]]
# As a Tally names its step: whose, how long, and when it begins, in seconds since 1970.
_Key = tuple[MerchantId, EndpointId | None, int, int]
_Whose = TypeVar("_Whose")


class Tallier:
    """The counts of one process on their way to the store. Used by the loop's thread alone."""

    def __init__(self, *, store: TallyStore, clock: Clock, telemetry: Telemetry) -> None:
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._cells: _Cells = {}
        # What waited longest is first in each.
        self._of_merchants: dict[_Key, list[int]] = {}
        self._of_endpoints: dict[_Key, list[int]] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def accepted(self, merchant_id: MerchantId) -> None:
        """Count one event."""
        self._cell(merchant_id, None)[_ACCEPTED] += 1

    def settled(self, settlement: Settlement, *, held: bool) -> None:
        """Count an attempt that was written down, late ones too, and the end that it made."""
        attempt = settlement.attempt
        # What a late release tells of was counted as its lease ran out. Where it was called off
        # instead it goes uncounted: once too little is better than twice for ever.
        if attempt is None or (settlement.trigger is Trigger.RELEASE and not held):
            return
        cell = self._cell(settlement.merchant_id, settlement.endpoint_id)
        cell[_ATTEMPTS] += 1
        cell[_ATTEMPTS_FAILED] += attempt.reason is not None
        # A refused connection is quick and says nothing of how long the receiver takes.
        if attempt.status is not None or attempt.reason is Reason.TIMEOUT:
            took_ms = attempt.timing.total_s * _MS_PER_S
            cell[_RESPONSES + bisect_left(RESPONSE_MS, took_ms)] += 1
        if held:
            cell[_DELIVERED] += settlement.trigger is Trigger.SUCCEED
            cell[_FAILED] += settlement.trigger is Trigger.GIVE_UP

    def expired(self, expired: Expired) -> None:
        """Count an attempt that nobody knows the end of."""
        cell = self._cell(expired.merchant_id, expired.endpoint_id)
        cell[_ATTEMPTS] += 1
        cell[_ATTEMPTS_FAILED] += 1
        cell[_FAILED] += expired.poisoned

    def start(self) -> None:
        """Begin to hand over."""
        assert self._task is None
        self._task = asyncio.create_task(self._hand_over_forever(), name="tallies")

    async def stop(self) -> None:
        """Hand over what is left; return when it is stored, or will not be."""
        self._stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_HAND_OVER_S_MAX):
                if self._task is not None:
                    await self._task
                await self._try_to_hand_over()

    async def hand_over(self, *, rows_max: int | None = None) -> None:
        """Give the store what was counted: merchants first, then what waited longest.

        At most *rows_max* rows, if that is given, as long as no more than WAITING_ROWS_MAX
        wait; the others wait for the next time.
        """
        self._gather()
        waiting = len(self._of_merchants) + len(self._of_endpoints)
        left = waiting if rows_max is None else max(rows_max, waiting - WAITING_ROWS_MAX)
        while left > 0:
            waiting_longest = chain(self._of_merchants, self._of_endpoints)
            keys = list(islice(waiting_longest, min(left, limits.SLICE_ROWS_MAX)))
            if not keys:
                return
            try:
                await self._store.add_tallies([_tally(key, self._of(key)[key]) for key in keys])
            except OutcomeUnknownError as error:
                # Perhaps they are there. Too little for a moment is better than twice for ever.
                self._telemetry.alarmed("tallies_lost", str(error))
            except UnavailableError:
                # They wait for the next time. Others tell of the outage, and while it lasts
                # nothing is accepted or settled, so that there is little to wait.
                return
            for key in keys:
                del self._of(key)[key]
            left -= len(keys)

    async def _hand_over_forever(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(HAND_OVER_EVERY_S):
                    await self._stopping.wait()
            await self._try_to_hand_over(rows_max=HAND_OVER_ROWS_MAX)

    async def _try_to_hand_over(self, *, rows_max: int | None = None) -> None:
        try:
            await self.hand_over(rows_max=rows_max)
        except Exception as error:  # noqa: BLE001 - the top of the loop goes on, and counts
            self._telemetry.bug_caught("tallies", error)

    def _cell(self, merchant_id: MerchantId, endpoint_id: EndpointId | None) -> list[int]:
        key = (merchant_id, endpoint_id, int(self._clock.now().timestamp()) // MINUTE_S)
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = [0] * _WIDTH
        return cell

    def _gather(self) -> None:
        """Turn cells into what is stored: the merchant by minute and hour, endpoints by hour."""
        cells, self._cells = self._cells, {}
        # Where there are many endpoints, each has few attempts: the merchant's are added up first.
        of_merchants: dict[tuple[MerchantId, int], list[int]] = {}
        for (merchant_id, endpoint_id, minute), cell in cells.items():
            _add(of_merchants, (merchant_id, minute), cell)
            if endpoint_id is not None:
                _add(self._of_endpoints, (merchant_id, endpoint_id, HOUR_S, _hour_s(minute)), cell)
        for (merchant_id, minute), cell in of_merchants.items():
            _add(self._of_merchants, (merchant_id, None, MINUTE_S, minute * MINUTE_S), cell)
            _add(self._of_merchants, (merchant_id, None, HOUR_S, _hour_s(minute)), cell)

    def _of(self, key: _Key) -> dict[_Key, list[int]]:
        _, endpoint_id, _, _ = key
        return self._of_merchants if endpoint_id is None else self._of_endpoints


def _hour_s(minute: int) -> int:
    at_s = minute * MINUTE_S
    return at_s - at_s % HOUR_S


def _add(rows: dict[_Whose, list[int]], key: _Whose, cell: list[int]) -> None:
    """Add a cell, which stays as it is."""
    known = rows.get(key)
    rows[key] = (
        cell if known is None else [one + other for one, other in zip(known, cell, strict=True)]
    )


def _tally(key: _Key, counts: Sequence[int]) -> Tally:
    merchant_id, endpoint_id, step_s, at_s = key
    return Tally(
        merchant_id=merchant_id,
        endpoint_id=endpoint_id,
        step_s=step_s,
        at=datetime.fromtimestamp(at_s, UTC),
        accepted=counts[_ACCEPTED],
        delivered=counts[_DELIVERED],
        failed=counts[_FAILED],
        attempts=counts[_ATTEMPTS],
        attempts_failed=counts[_ATTEMPTS_FAILED],
        responses=tuple(counts[_RESPONSES:]),
    )

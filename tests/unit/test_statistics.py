"""Charts and lists from tallies: steps folded, hours aligned, the slow ones first."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from payhooks.control import statistics
from payhooks.ids import EndpointId, MerchantId
from payhooks.policy.fitness import RESPONSE_MS
from payhooks.ports.tallying import HOUR_S, MINUTE_S, NO_RESPONSES, Tally
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock

MINE = MerchantId(bytes(16))
SHOP, LEDGER, IDLE = (EndpointId(bytes(15) + bytes([number])) for number in (1, 2, 3))
HOUR = datetime(2026, 5, 17, 10, tzinfo=UTC)
NOW = HOUR + timedelta(minutes=20)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(clock=ManualClock())


def responses(counts: dict[int, int]) -> tuple[int, ...]:
    return tuple(counts.get(place, 0) for place in range(len(NO_RESPONSES)))


def whole(step_s: int, at: datetime, *, accepted: int) -> Tally:
    return Tally(merchant_id=MINE, endpoint_id=None, step_s=step_s, at=at, accepted=accepted)


def hour(
    hours_ago: int,
    endpoint_id: EndpointId,
    *,
    attempts: int = 0,
    failed: int = 0,
    took: Sequence[int] = NO_RESPONSES,
) -> Tally:
    return Tally(
        merchant_id=MINE,
        endpoint_id=endpoint_id,
        step_s=HOUR_S,
        at=HOUR - timedelta(hours=hours_ago),
        attempts=attempts,
        attempts_failed=failed,
        responses=tuple(took),
    )


async def test_minutes_are_folded_into_the_steps_of_a_chart(store: MemoryStore) -> None:
    """Empty steps are there too: a chart without them would bend time."""
    for minute, count in ((0, 1), (4, 2), (5, 4), (14, 8), (15, 16)):
        at = HOUR + timedelta(minutes=minute)
        await store.add_tallies([whole(MINUTE_S, at, accepted=count)])
    found = await statistics.stats(store, MINE, since=HOUR, step_s=300, steps=3)
    assert [one.accepted for one in found] == [3, 4, 8]
    assert [one.at.minute for one in found] == [0, 5, 10]


async def test_steps_of_hours_are_read_from_hours(store: MemoryStore) -> None:
    """Minutes are gone after two days; the chart of a month stays."""
    since = HOUR.replace(hour=0) - timedelta(days=29)
    await store.add_tallies([whole(HOUR_S, since + timedelta(hours=7), accepted=5)])
    found = await statistics.stats(store, MINE, since=since, step_s=21_600, steps=120)
    assert [one.accepted for one in found[:3]] == [0, 5, 0]
    assert len(found) == 120


async def test_a_webhook_is_judged_by_its_last_day_and_idle_ones_are_there(
    store: MemoryStore,
) -> None:
    """The list draws one row for each, whatever happened to it."""
    await store.add_tallies(
        [
            hour(24, SHOP, attempts=90, failed=90),
            hour(23, SHOP, attempts=4),
            hour(1, SHOP, attempts=6, failed=1),
            hour(0, SHOP, attempts=6, failed=3),
            hour(-1, LEDGER, attempts=2),
        ]
    )
    found = await statistics.fitness(store, MINE, [SHOP, LEDGER, IDLE], now=NOW)
    shop, ledger, idle = found[SHOP], found[LEDGER], found[IDLE]
    assert (shop.by_hour[0], shop.by_hour[-2:], len(shop.by_hour)) == (4, (6, 6), 24)
    assert (shop.attempts, shop.attempts_failed, shop.degraded) == (16, 4, True)
    assert (ledger.by_hour[-1], ledger.degraded) == (2, False)
    assert (set(idle.by_hour), idle.attempts, idle.degraded) == ({0}, 0, False)


async def test_failures_of_earlier_hours_degrade_nobody(store: MemoryStore) -> None:
    """What was mended must not look broken for a day."""
    await store.add_tallies([hour(2, SHOP, attempts=50, failed=50), hour(0, SHOP, attempts=20)])
    found = await statistics.fitness(store, MINE, [SHOP], now=NOW)
    assert not found[SHOP].degraded


async def test_the_slowest_come_first_and_who_never_answered_not_at_all(
    store: MemoryStore,
) -> None:
    """A mean would hide the one in twenty that people complain of."""
    await store.add_tallies(
        [
            hour(0, SHOP, attempts=20, took=responses({0: 18, 4: 2})),
            hour(3, LEDGER, attempts=1, took=responses({8: 1})),
            hour(0, IDLE, attempts=5, failed=5),
        ]
    )
    found = await statistics.slowest(store, MINE, now=NOW, limit=5)
    assert [(one.endpoint_id, one.p95_ms) for one in found] == [(LEDGER, inf), (SHOP, 1_000.0)]
    assert [one.responses for one in found] == [1, 20]
    [slowest] = await statistics.slowest(store, MINE, now=NOW, limit=1)
    assert slowest.endpoint_id == LEDGER


async def test_the_times_of_several_steps_are_put_together(store: MemoryStore) -> None:
    """The tile tells of the whole chart."""
    for minute, place in ((0, 0), (1, 0), (2, len(RESPONSE_MS))):
        at = HOUR + timedelta(minutes=minute)
        one = Tally(
            merchant_id=MINE,
            endpoint_id=None,
            step_s=MINUTE_S,
            at=at,
            responses=responses({place: 1}),
        )
        await store.add_tallies([one])
    found = await statistics.stats(store, MINE, since=HOUR, step_s=60, steps=3)
    assert statistics.p95_ms(found) == inf
    assert statistics.p95_ms(found[:2]) == 50.0
    assert statistics.p95_ms([]) is None

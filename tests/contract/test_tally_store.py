"""Counts by step: added up, read by whose they are, and gone when they are old."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.world import World

from payhooks.ids import EndpointId, MerchantId
from payhooks.policy.fitness import RESPONSE_MS
from payhooks.ports.tallying import HOUR_S, MINUTE_S, Tally

HOUR = datetime(2026, 5, 17, 10, tzinfo=UTC)
MINE = MerchantId(bytes(15) + b"\x01")
THEIRS = MerchantId(bytes(15) + b"\x02")
SHOP, LEDGER = (EndpointId(bytes(15) + bytes([number])) for number in (11, 12))
QUICK = (1, *(0 for _ in RESPONSE_MS))
SLOW = (*(0 for _ in RESPONSE_MS), 1)


def minute(number: int, *, merchant_id: MerchantId = MINE, accepted: int = 1) -> Tally:
    return Tally(
        merchant_id=merchant_id,
        endpoint_id=None,
        step_s=MINUTE_S,
        at=HOUR + timedelta(minutes=number),
        accepted=accepted,
    )


def hour(  # noqa: PLR0913 - a row has many parts, and each is named
    number: int,
    endpoint_id: EndpointId | None,
    *,
    merchant_id: MerchantId = MINE,
    attempts: int = 1,
    attempts_failed: int = 0,
    responses: tuple[int, ...] = QUICK,
) -> Tally:
    return Tally(
        merchant_id=merchant_id,
        endpoint_id=endpoint_id,
        step_s=HOUR_S,
        at=HOUR + timedelta(hours=number),
        delivered=attempts - attempts_failed,
        failed=attempts_failed,
        attempts=attempts,
        attempts_failed=attempts_failed,
        responses=responses,
    )


async def test_what_is_added_to_a_step_is_summed(world: World) -> None:
    """Every process hands over its own part of the same minute."""
    await world.store.add_tallies([hour(0, SHOP, attempts=3, attempts_failed=1)])
    await world.store.add_tallies([hour(0, SHOP, attempts=4, responses=SLOW), minute(0)])
    [found] = await world.store.endpoint_tallies(MINE, [SHOP], since=HOUR)
    assert (found.delivered, found.failed, found.attempts, found.attempts_failed) == (6, 1, 7, 1)
    assert found.responses == (1, *(0 for _ in RESPONSE_MS[1:]), 1)
    assert (found.merchant_id, found.endpoint_id, found.step_s) == (MINE, SHOP, HOUR_S)
    assert found.at == HOUR


async def test_a_merchants_steps_are_read_in_order_between_two_times(world: World) -> None:
    """A bar that stands in two charts beside each other must not count twice."""
    await world.store.add_tallies([minute(3), minute(1, accepted=5), minute(0), minute(4)])
    await world.store.add_tallies([hour(0, None), hour(0, SHOP)])
    await world.store.add_tallies([minute(1, merchant_id=THEIRS)])
    found = await world.store.merchant_tallies(
        MINE, step_s=MINUTE_S, since=HOUR + timedelta(minutes=1), until=HOUR + timedelta(minutes=4)
    )
    assert [(one.at.minute, one.accepted) for one in found] == [(1, 5), (3, 1)]
    [whole] = await world.store.merchant_tallies(
        MINE, step_s=HOUR_S, since=HOUR, until=HOUR + timedelta(hours=1)
    )
    assert (whole.endpoint_id, whole.attempts) == (None, 1)


async def test_hours_of_several_endpoints_come_in_one_read(world: World) -> None:
    """A page of webhooks asks once, not once for each row."""
    known = [hour(number, endpoint) for endpoint in (LEDGER, SHOP) for number in (2, 0, 1)]
    await world.store.add_tallies([*known, hour(1, None), hour(1, SHOP, merchant_id=THEIRS)])
    found = await world.store.endpoint_tallies(
        MINE, [LEDGER, SHOP], since=HOUR + timedelta(hours=1)
    )
    assert [(one.endpoint_id, one.at.hour) for one in found] == [
        (SHOP, 11),
        (SHOP, 12),
        (LEDGER, 11),
        (LEDGER, 12),
    ]
    assert await world.store.endpoint_tallies(MINE, [], since=HOUR) == []
    assert await world.store.endpoint_tallies(THEIRS, [LEDGER], since=HOUR) == []


async def test_totals_name_the_busiest_endpoints_first(world: World) -> None:
    """Among thousands, the overview looks at those that carry the load."""
    await world.store.add_tallies([hour(0, SHOP), hour(1, SHOP), hour(1, None, attempts=9)])
    await world.store.add_tallies([hour(2, LEDGER, attempts=3, attempts_failed=2, responses=SLOW)])
    await world.store.add_tallies([hour(1, SHOP, merchant_id=THEIRS, attempts=50)])
    both = await world.store.endpoint_totals(MINE, since=HOUR, limit=10)
    assert [(one.endpoint_id, one.attempts, one.attempts_failed) for one in both] == [
        (LEDGER, 3, 2),
        (SHOP, 2, 0),
    ]
    assert both[1].responses == (2, *(0 for _ in RESPONSE_MS))
    [busiest] = await world.store.endpoint_totals(MINE, since=HOUR, limit=1)
    assert busiest == both[0]
    [late] = await world.store.endpoint_totals(MINE, since=HOUR + timedelta(hours=2), limit=10)
    assert late.endpoint_id == LEDGER


@pytest.mark.parametrize("limit", [1, 500])
async def test_old_steps_go_a_slice_at_a_time(world: World, limit: int) -> None:
    """Minutes are for the charts of a day, hours for those of a month."""
    await world.store.add_tallies([minute(number) for number in range(4)])
    await world.store.add_tallies([hour(number, SHOP) for number in range(4)])
    slices = []
    for _ in range(9):
        gone = await world.store.forget_tallies(
            minutes_before=HOUR + timedelta(minutes=3),
            hours_before=HOUR + timedelta(hours=2),
            limit=limit,
        )
        slices.append(gone)
        if not gone:
            break
    assert sum(slices) == 5
    assert max(slices) <= 2 * limit
    assert len(await world.store.endpoint_tallies(MINE, [SHOP], since=HOUR)) == 2
    left = await world.store.merchant_tallies(
        MINE, step_s=MINUTE_S, since=HOUR, until=HOUR + timedelta(hours=9)
    )
    assert [one.at.minute for one in left] == [3]


async def test_processes_that_add_at_once_lose_nothing_and_block_nobody(world: World) -> None:
    """They hand over the same rows at the same moment, each in the order that it counted."""
    endpoints = [EndpointId(bytes(14) + bytes([1, number])) for number in range(40)]
    forwards = [hour(0, one) for one in endpoints]
    both = (forwards, forwards[::-1])
    await asyncio.gather(*(world.store.add_tallies(both[turn % 2]) for turn in range(10)))
    found = await world.store.endpoint_tallies(MINE, endpoints, since=HOUR)
    assert {one.attempts for one in found} == {10}
    assert len(found) == 40

"""What one merchant may have of a process's slots, alone and beside others."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from tests.support.room import Room

from payhooks.ids import MerchantId

SLOTS = 64
LANES = [b"%d" % number for number in range(40)]


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room(slots=SLOTS)
    yield room
    await room.close()


async def prove(room: Room, merchant: bytes, lanes: Sequence[bytes]) -> None:
    """Let the lanes show that they answer."""
    for lane in lanes:
        room.offer(lane, merchant=merchant)
        await room.turn()
        await room.end(lambda leased, of=lane: leased.endpoint_id == of)  # type: ignore[misc] # A default is no parameter that callers give.


def under_way(room: Room, merchant: bytes) -> int:
    return sum(leased.merchant_id == MerchantId(merchant) for leased in room.under_way)


@pytest.mark.shows("F56")
async def test_a_merchant_whose_endpoints_all_begin_to_hang_leaves_slots_to_the_next(
    room: Room,
) -> None:
    """They stand on one machine, say. Nothing of it ends for as long as a time-out is."""
    await prove(room, b"first", LANES)
    for lane in LANES:
        room.offer(lane, merchant=b"first", count=20)
    await room.turn()
    assert under_way(room, b"first") == SLOTS - SLOTS // 8
    for merchant, begun in ((b"second", 7), (b"third", 1)):
        for number in range(10):
            room.offer(merchant + b"%d" % number, merchant=merchant)
        await room.turn()
        assert under_way(room, merchant) == begun


async def test_a_merchant_gets_more_when_others_need_less(room: Room) -> None:
    """It has nothing that ends, and what it wants to begin must not wait for that."""
    await prove(room, b"first", LANES)
    await prove(room, b"second", [b"of the second"])
    room.offer(b"of the second", merchant=b"second", count=4)
    await room.turn()
    for lane in LANES:
        room.offer(lane, merchant=b"first", count=2)
    await room.turn()
    assert under_way(room, b"first") == SLOTS // 2
    await room.end(lambda leased: leased.merchant_id == b"second")
    assert under_way(room, b"first") == SLOTS - SLOTS // 8


async def test_the_lanes_of_a_merchant_at_its_share_take_turns(room: Room) -> None:
    """One slot that comes free is for the lane that has waited for the longest."""
    lanes = [b"%d" % number for number in range(100)]
    await prove(room, b"only", lanes)
    for lane in lanes:
        room.offer(lane, merchant=b"only", count=3)
    await room.turn()
    begun = Counter(room.lanes_under_way())
    for _ in range(2 * len(lanes) - len(room.under_way)):
        before = Counter(room.lanes_under_way())
        oldest = room.under_way[0]
        await room.end(lambda leased, of=oldest: leased is of)  # type: ignore[misc] # As above.
        before[oldest.endpoint_id] -= 1
        begun += Counter(room.lanes_under_way()) - before
    assert set(begun.values()) == {2}
    assert len(begun) == len(lanes)

"""Group commit: who goes in which transaction."""

import asyncio

import msgspec
import pytest

from payhooks.errors import OutcomeUnknownError, OverloadedError, UnavailableError
from payhooks.flow.group_commit import Bounds, GroupCommit

BOUNDS = Bounds(
    batch_weight_max=4,
    batch_bytes_max=100,
    waiting_weight_max=10,
    waiting_bytes_max=1_000,
    linger_s=0.0,
    linger_always=False,
)


class Disk:
    """Commits what it is given, one batch at each ``turn``."""

    def __init__(self, *, fails: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.began = asyncio.Event()
        self._turns = asyncio.Semaphore(0)
        self._fails = fails

    def turn(self, count: int = 1) -> None:
        for _ in range(count):
            self._turns.release()

    async def commit(self, items: list[str]) -> list[str]:
        self.batches.append(items)
        self.began.set()
        await self._turns.acquire()
        if self._fails is not None:
            raise self._fails
        return [item.upper() for item in items]


async def test_a_lone_item_waits_for_nobody() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    future = group.submit("a")
    await disk.began.wait()
    assert disk.batches == [["a"]]
    disk.turn()
    assert await future == "A"


async def test_newcomers_gather_while_a_commit_is_on_its_way() -> None:
    """A thousand requests then cost a few transactions."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    first = group.submit("a")
    await disk.began.wait()
    rest = [group.submit(item) for item in "bcd"]
    disk.turn(2)
    assert await asyncio.gather(first, *rest) == ["A", "B", "C", "D"]
    assert disk.batches == [["a"], ["b", "c", "d"]]
    assert group.commits == 2


async def test_a_batch_holds_no_more_than_its_weight_and_its_bytes() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit("a", weight=3), group.submit("b", weight=2)]
    futures += [group.submit("c", bytes_=99), group.submit("d", bytes_=2)]
    disk.turn(9)
    await asyncio.gather(*futures)
    assert disk.batches == [["a"], ["b", "c"], ["d"]]


async def test_an_item_larger_than_a_batch_goes_alone() -> None:
    """Refusing it for ever would be worse than one slow transaction."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit("a", weight=9), group.submit("b", turn="another")]
    disk.turn(2)
    await asyncio.gather(*futures)
    assert disk.batches == [["a"], ["b"]]


async def test_a_flood_does_not_hold_up_who_has_one() -> None:
    """Batches are filled in turns; inside a turn nothing overtakes."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit(f"flood{number}", turn="flood") for number in range(6)]
    futures.append(group.submit("quiet", turn="quiet"))
    disk.turn(2)
    await asyncio.gather(*futures)
    assert disk.batches[0] == ["flood0", "quiet", "flood1", "flood2"]
    assert disk.batches[1] == ["flood3", "flood4", "flood5"]


async def test_beyond_the_bound_on_waiting_it_refuses() -> None:
    """Memory must not grow because the disk is slow."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit(str(number), turn=number) for number in range(10)]
    with pytest.raises(OverloadedError):
        group.submit("one too many", turn="another")
    disk.turn(9)
    await asyncio.gather(*futures)
    assert await asyncio.wait_for(group.submit("again"), 1) == "AGAIN"


@pytest.mark.shows("F72")
async def test_a_flood_of_one_turn_leaves_room_for_the_others() -> None:
    """Whoever floods us is turned away before whoever has a single event."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit(str(number), turn="loud") for number in range(7)]
    with pytest.raises(OverloadedError):
        group.submit("one too many", turn="loud")
    futures += [group.submit(str(number), turn=number) for number in range(3)]
    with pytest.raises(OverloadedError):
        group.submit("full", turn="another")
    disk.turn(9)
    await asyncio.gather(*futures)


async def test_a_failed_commit_fails_everybody_in_it_and_nobody_else() -> None:
    disk = Disk(fails=UnavailableError("down"))
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit(item) for item in "abcde"]
    disk.turn(2)
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [UnavailableError] * 5
    assert len(disk.batches) == 2


async def test_a_lingering_group_waits_for_company_but_not_when_hurried() -> None:
    """Settle lingers always; drain and ordered lanes must not wait for that."""
    disk = Disk()
    bounds = Bounds(
        batch_weight_max=4,
        batch_bytes_max=100,
        waiting_weight_max=10,
        waiting_bytes_max=1_000,
        linger_s=3_600.0,
        linger_always=True,
    )
    group = GroupCommit(disk.commit, bounds=bounds)
    future = group.submit("a")
    await asyncio.sleep(0)
    assert disk.batches == []
    disk.turn(2)
    group.hurry()
    assert await future == "A"
    full = [group.submit(item) for item in "bcde"]  # a full batch has nothing to wait for
    assert await asyncio.gather(*full) == list("BCDE")


async def test_drain_returns_when_all_have_their_result() -> None:
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=BOUNDS)
    futures = [group.submit(item) for item in "abcdef"]
    disk.turn(2)
    await group.drain()
    assert all(future.done() for future in futures)


async def test_nobody_waits_for_a_commit_that_does_not_return() -> None:
    """F27: a store that hangs must not make its callers hang, one behind the other."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=msgspec.structs.replace(BOUNDS, patience_s=0.01))
    sent = group.submit("a")
    await disk.began.wait()
    waiting = group.submit("b")
    with pytest.raises(OutcomeUnknownError):
        await sent
    with pytest.raises(UnavailableError) as refused:
        await waiting
    assert not isinstance(refused.value, OutcomeUnknownError), "it was never sent"
    with pytest.raises(UnavailableError):
        group.submit("c")
    assert disk.batches == [["a"]]


async def test_once_the_commit_returns_after_all_the_next_is_taken() -> None:
    """What hung may have been a moment of a disk; nobody restarts us for that."""
    disk = Disk()
    group = GroupCommit(disk.commit, bounds=msgspec.structs.replace(BOUNDS, patience_s=0.01))
    with pytest.raises(OutcomeUnknownError):
        await group.submit("a")
    disk.turn(2)
    await group.drain()
    assert await group.submit("b") == "B"
    assert disk.batches == [["a"], ["b"]]

"""Checking a chain in steps says what checking it at once says."""

import pytest
from tests.support.api_world import World

from payhooks import ids
from payhooks.control import audit
from payhooks.control.audit import ChainReport
from payhooks.ids import MerchantId
from payhooks.model.audit import BEGINNING, Mark

ENTRIES = 7


async def filled() -> tuple[World, MerchantId]:
    """Return an installation with a chain of seven."""
    world = World()
    raw = ids.from_text(ids.MERCHANT, await world.merchant())
    assert raw is not None
    world.fill_audit_log(MerchantId(raw), entries=ENTRIES - 1)
    return world, MerchantId(raw)


def reached(report: ChainReport) -> Mark:
    return Mark(number=report.entries, hash=report.head)


async def in_steps(
    world: World, whose: MerchantId, size: int, mark: Mark | None = None
) -> ChainReport:
    """Return the report of the last step."""
    since = BEGINNING
    for _ in range(ENTRIES + 2):
        report = await audit.verify(world.control, whose, mark=mark, since=since, entries_max=size)
        if report.broken_at is not None or not report.left:
            return report
        assert report.left == ENTRIES - report.entries
        since = reached(report)
    raise AssertionError("the steps do not end")


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
async def test_steps_of_any_size_come_to_the_same_end(size: int) -> None:
    """Where an end falls on the end of a step is where such a loop goes wrong."""
    world, whose = await filled()
    whole = await audit.verify(world.control, whose)
    assert (whole.entries, whole.broken_at, whole.left) == (ENTRIES, None, 0)
    assert await in_steps(world, whose, size, reached(whole)) == whole
    other = Mark(number=4, hash=bytes(32))
    assert (await in_steps(world, whose, size, other)).broken_at == 4
    beyond = Mark(number=ENTRIES + 2, hash=bytes(32))
    assert (await in_steps(world, whose, size, beyond)).broken_at == ENTRIES + 1
    world.edit_audit_entry(whose, number=5, actor="somebody else")
    broken = await in_steps(world, whose, size)
    assert broken == await audit.verify(world.control, whose)
    assert (broken.entries, broken.broken_at) == (4, 5)


async def test_what_was_looked_at_has_to_be_there_still_when_the_check_goes_on() -> None:
    """Between two steps there may be a week, and somebody with a way to the tables."""
    world, whose = await filled()
    since = reached(await audit.verify(world.control, whose, entries_max=5))
    world.rewrite_audit_log(whose, actor="somebody else")
    assert (await audit.verify(world.control, whose)).broken_at is None
    further = await audit.verify(world.control, whose, since=since)
    assert (further.entries, further.broken_at) == (0, 5)
    world.cut_audit_log(whose, number=3)
    further = await audit.verify(world.control, whose, since=since)
    assert further.broken_at == 5


async def test_what_is_chained_meanwhile_is_no_fault() -> None:
    """People go on working while somebody audits."""
    world, whose = await filled()
    since = reached(await audit.verify(world.control, whose, entries_max=ENTRIES))
    world.fill_audit_log(whose, entries=2)
    further = await audit.verify(world.control, whose, since=since)
    assert (further.entries, further.broken_at) == (ENTRIES + 2, None)
    empty = await audit.verify(world.control, MerchantId(bytes(15) + b"\1"))
    assert (empty.entries, empty.broken_at, empty.left) == (0, None, 0)

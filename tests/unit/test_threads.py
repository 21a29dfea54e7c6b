"""Work beside the event loop: one piece at a time, and few that wait."""

import asyncio
import threading

import pytest

from payhooks import limits
from payhooks.control.threads import for_diagnoses
from payhooks.errors import OverloadedError


async def test_one_piece_is_done_at_a_time_and_not_on_the_event_loop() -> None:
    """On more threads each waits for the interpreter, and whoever is heard for all of them."""
    threads, both, seen = for_diagnoses(), threading.Barrier(2), set[int]()

    def meets_another() -> bool:
        seen.add(threading.get_ident())
        try:
            both.wait(0.02)
        except threading.BrokenBarrierError:
            return False
        return True

    met = await asyncio.gather(threads.run(meets_another), threads.run(meets_another))
    assert list(met) == [False, False]
    assert threading.get_ident() not in seen


async def test_whoever_waits_behind_too_many_is_told_so() -> None:
    """And is served again once they are done."""
    threads, free = for_diagnoses(), threading.Event()
    waiting = [
        asyncio.create_task(threads.run(free.wait)) for _ in range(limits.DIAGNOSES_WAITING_MAX)
    ]
    await asyncio.sleep(0)
    try:
        with pytest.raises(OverloadedError):
            await threads.run(free.wait)
    finally:
        free.set()
    assert all(await asyncio.gather(*waiting))
    assert await threads.run(lambda: "done") == "done"

"""The loop of the simulator: virtual time, kills that clean nothing up, pauses, one order."""

import asyncio
import os
import subprocess
import sys
from asyncio.base_events import BaseEventLoop
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from payhooks.simulator.chance import Chance
from payhooks.simulator.loop import Life, SimClock, SimLoop, StandstillError, spawn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def loop() -> Iterator[SimLoop]:
    made = SimLoop(Chance(1))
    yield made
    made.bury()


def test_the_private_names_it_leans_on_are_there() -> None:
    """A Python that renames them must fail here, not run a simulation that skips things."""
    base = BaseEventLoop()
    assert type(base._ready).__name__ == "deque"  # type: ignore[attr-defined] # noqa: SLF001 - what is pinned
    assert base._scheduled == []  # type: ignore[attr-defined] # noqa: SLF001 - what is pinned
    assert base._stopping is False  # type: ignore[attr-defined] # noqa: SLF001 - what is pinned
    for name in ("_run_once", "_timer_handle_cancelled", "_process_events", "_write_to_self"):
        assert name in dir(BaseEventLoop) or name in {"_process_events", "_write_to_self"}
    handle = base.call_soon(print)
    assert handle._context is not None  # type: ignore[attr-defined] # noqa: SLF001 - what is pinned
    assert callable(handle._run)  # noqa: SLF001 - what is pinned
    base.close()


def test_an_idle_day_takes_no_time(loop: SimLoop) -> None:
    """Schedules of hours are what there is to test."""
    clock = SimClock(loop)
    before = clock.now()
    loop.run_until_complete(asyncio.sleep(86_400))
    assert clock.monotonic_s() == 86_400
    assert (clock.now() - before).total_seconds() == 86_400


def test_whoever_waits_for_what_never_comes_is_found(loop: SimLoop) -> None:
    """A hang must be an answer, not a test that hangs."""

    async def wait() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandstillError):
        loop.run_until_complete(wait())


def test_a_killed_life_cleans_nothing_up(loop: SimLoop) -> None:
    """After SIGKILL no ``finally`` runs; if one did here, lost work would look finished."""
    seen: list[str] = []

    async def work() -> None:
        try:
            seen.append("began")
            await asyncio.sleep(10)
            seen.append("went on")
        finally:
            seen.append("cleaned up")

    async def main() -> None:
        life = Life("p")
        spawn(life, work)
        await asyncio.sleep(5)
        loop.kill(life)
        await asyncio.sleep(100)

    loop.run_until_complete(main())
    assert seen == ["began"]


def test_a_paused_life_goes_on_where_it_stood(loop: SimLoop) -> None:
    """SIGSTOP is how a worker oversleeps its lease."""
    seen: list[float] = []

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(loop.time())

    async def main() -> None:
        life = Life("p")
        spawn(life, work)
        await asyncio.sleep(1.5)
        loop.pause(life)
        await asyncio.sleep(60)
        loop.resume(life)
        await asyncio.sleep(10)

    loop.run_until_complete(main())
    assert seen == [1, 61.5, 62.5]


def _order(seed: int, rate: float) -> list[int]:
    loop = SimLoop(Chance(seed), deviation_rate=rate)
    seen: list[int] = []

    async def step(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    async def main() -> None:
        steps: list[Coroutine[Any, Any, None]] = [step(number) for number in range(20)]
        await asyncio.gather(*steps)

    loop.run_until_complete(main())
    loop.bury()
    return seen


def test_order_is_that_of_arrival_but_for_the_seeds_deviations() -> None:
    """Orders that asyncio never shows are where races hide; a seed must show them again."""
    assert _order(1, 0.0) == list(range(20))
    assert _order(1, 0.3) != list(range(20))
    assert _order(1, 0.3) == _order(1, 0.3)
    assert _order(1, 0.3) != _order(2, 0.3)


def test_a_draw_does_not_depend_on_the_draws_before_it() -> None:
    """Taking one fault out of a failing run must not move the others."""
    one, other = Chance(7), Chance(7)
    other.draw("something else")
    assert one.draw("here") == other.draw("here")
    assert one.draw("here") != Chance(8).draw("here")
    assert 0 <= one.draw("here") < 1


def test_a_tape_lets_only_its_own_faults_happen() -> None:
    """It is how a failing run is made small."""
    free = Chance(3)
    fired = [free.fires(f"site#{n}", 0.5) for n in range(20)]
    assert any(fired)
    kept = free.fired[0]
    taped = Chance(3, tape=frozenset({kept}))
    for n in range(20):
        taped.fires(f"site#{n}", 0.5)
    assert taped.fired == [kept]


_PRINT_A_RUN = "from payhooks.simulator.run import run; print(run(5).trace_hash)"


def test_a_seed_replays_to_the_byte_whatever_the_hash_seed() -> None:
    """A failure that another process cannot repeat cannot be mended."""

    def hash_of(hash_seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-c", _PRINT_A_RUN]
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    first = hash_of("1")
    assert len(first) == 32
    assert hash_of("2") == first

"""An event loop whose time is a number and whose order is a seed's.

When nothing can run, time jumps to the next timer: an idle hour is free. Every task belongs to
a ``Life``, one incarnation of a simulated process, by a context variable. A killed life's
handles are dropped: no ``finally``, no ``except``, as after SIGKILL, where cancelling its tasks
would run clean-up that no dead process runs. A paused life's handles are kept until it goes on.

It leans on private names of ``asyncio.base_events.BaseEventLoop``, which a test pins.
"""

import asyncio
import heapq
from asyncio.base_events import BaseEventLoop
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from payhooks.simulator.chance import Chance

LIFE: Final[ContextVar["Life | None"]] = ContextVar("life", default=None)
# Monday, a date in no way special.
_START: Final = datetime(2031, 3, 3, tzinfo=UTC)
_TASKS_BEFORE_SWEEP: Final = 2_000


class Life:
    """One incarnation of a process, from its start until it is killed or has stopped."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.paused = False
        self.pauses = 0
        self.resumed_at_s = -1.0
        self.parked: list[asyncio.Handle] = []
        self.context: Context = copy_context()
        self.context.run(LIFE.set, self)


class StandstillError(Exception):
    """Nothing can run and no timer is set: somebody waits for what never comes."""


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks are then walked in the same order."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class SimLoop(BaseEventLoop):
    """Run callbacks one at a time, in the order of arrival but for seeded deviations."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool

    def __init__(self, chance: Chance, *, deviation_rate: float = 0.0) -> None:
        super().__init__()
        self._chance = chance
        self._deviation_rate = deviation_rate
        self._now_s = 0.0
        self._tasks: list[_Task] = []
        self._tasks_made = 0
        self._sweep_at = _TASKS_BEFORE_SWEEP
        self.steps = 0
        self.set_task_factory(cast("Any", self._make_task))
        self.set_debug(False)  # else it would ask the machine how long each callback took

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._now_s

    def kill(self, life: Life) -> None:
        """Let nothing of *life* ever run again."""
        life.dead = True
        life.parked.clear()

    def pause(self, life: Life) -> None:
        """Let nothing of *life* run until it is resumed."""
        life.paused = True
        life.pauses += 1

    def resume(self, life: Life) -> None:
        """Let run what came meanwhile, in its order."""
        life.paused = False
        life.resumed_at_s = self._now_s
        parked, life.parked = life.parked, []
        self._ready.extend(parked)

    def bury(self) -> None:
        """Close what never ended, so that no clean-up of a dead process runs at a random time."""
        # Closing runs ``finally`` blocks, which may begin further tasks; those are buried too.
        asyncio._set_running_loop(self)  # noqa: SLF001 - the only way to let them find a loop
        try:
            while self._tasks:
                task = self._tasks.pop()
                if not task.done():
                    task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - as gather does: it is meant to end so
                    with suppress(BaseException):
                        task.get_coro().close()
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - as above
        self.close()

    def run_in_executor(self, executor: object, func: object, *args: object) -> Any:  # noqa: ANN401 - as in the base
        """Refuse: threads are not simulated."""
        raise AssertionError("threads are not simulated")

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **context: object
    ) -> _Task:
        self._tasks_made += 1
        number = self._tasks_made
        # Before its __init__, which puts it into a set.
        task = _Task.__new__(_Task)
        task.number = number
        task.__init__(coro, loop=loop, name=f"task-{number}", **context)  # type: ignore[misc] # on purpose, in two steps
        self._tasks.append(task)
        if len(self._tasks) > self._sweep_at:
            # Kept while undone: if collected, a dead process's tasks would run their ends.
            self._tasks = [held for held in self._tasks if not held.done()]
            self._sweep_at = 2 * len(self._tasks) + _TASKS_BEFORE_SWEEP
        return task

    def _process_events(self, event_list: object) -> None:
        """Do nothing: there is no input but what the simulation makes."""

    def _write_to_self(self) -> None:
        """Do nothing: there is no other thread to wake this one."""

    def _timer_handle_cancelled(self, handle: object) -> None:
        """Do nothing: cancelled timers are dropped when they come up."""

    def _run_once(self) -> None:
        """Run one callback; the base class calls this until the loop is stopped."""
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)
        if not ready:
            if not scheduled:
                if self._stopping:
                    return
                raise StandstillError(f"nothing can run any more at {self._now_s:.3f} s")
            self._now_s = max(self._now_s, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now_s:
            ready.append(heapq.heappop(scheduled))
        self.steps += 1
        handle = self._pick()
        if handle.cancelled():
            return
        life: Life | None = handle._context.get(LIFE)  # type: ignore[attr-defined] # noqa: SLF001 - whose it is, only it knows
        if life is not None:
            if life.dead:
                return
            if life.paused:
                life.parked.append(handle)
                return
        handle._run()  # noqa: SLF001 - what the base class does

    def _pick(self) -> asyncio.Handle:
        ready = self._ready
        if len(ready) > 1 and self._deviation_rate:
            coordinate = f"order#{self.steps}"
            if self._chance.fires(coordinate, self._deviation_rate):
                index = self._chance.whole(f"{coordinate}.which", 1, len(ready) - 1)
                ready.rotate(-index)
                handle = ready.popleft()
                ready.rotate(index)
                return handle
        return ready.popleft()


class SimClock:
    """The loop's time as a Clock; a machine's is off by an offset, and goes fast or slow."""

    def __init__(self, loop: SimLoop, *, ahead_s: float = 0.0, drift: float = 0.0) -> None:
        self._loop = loop
        self._start = _START + timedelta(seconds=ahead_s)
        self._pace = 1.0 + drift

    def now(self) -> datetime:
        """Return this machine's wall-clock time."""
        return self._start + timedelta(seconds=self._loop.time() * self._pace)

    def monotonic_s(self) -> float:
        """Return this machine's seconds since the start."""
        return self._loop.time() * self._pace


def spawn(life: Life, work: Callable[[], Coroutine[Any, Any, object]]) -> asyncio.Task[object]:
    """Begin *work* as part of *life*."""
    return life.context.run(lambda: asyncio.get_running_loop().create_task(work()))

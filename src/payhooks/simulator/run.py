"""Runs: one seed, or as many as fit into a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from payhooks.clock import Clock
from payhooks.simulator.planted import Bug
from payhooks.simulator.world import World

_TIMELINE_KEPT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of one seed."""

    seed: int
    violation: str | None  # None: every promise held
    trace_hash: str  # equal for equal runs
    steps: int
    virtual_s: float
    events: int
    requests: int
    duplicates: int  # sights beyond the first
    faults: tuple[str, ...]  # coordinates, in order; a tape that replays exactly these
    marks: dict[str, int]  # rare states that were reached
    timeline: tuple[str, ...]  # the last lines of the trace


def run(seed: int, *, bug: Bug | None = None, tape: Sequence[str] | None = None) -> Report:
    """Return what comes of *seed*; with a *tape*, only the faults on it fire."""
    world = World(seed, bug=bug, tape=None if tape is None else frozenset(tape))
    world.run()
    record = world.auditor.record
    return Report(
        seed=seed,
        violation=world.auditor.violation,
        trace_hash=world.auditor.trace_hash,
        steps=world.loop.steps,
        virtual_s=world.loop.time(),
        events=len(record.accepted_as),
        requests=len(record.requests),
        duplicates=sum(len(sights) - 1 for sights in record.sights.values()),
        faults=tuple(world.chance.fired),
        marks=dict(sorted(record.marks.items())),
        timeline=tuple(world.auditor.timeline[-_TIMELINE_KEPT:]),
    )


def simulate(
    seed: int,
    *,
    seconds: float,
    clock: Clock,
    progress: Callable[[Report], None] = lambda _report: None,
    bug: Bug | None = None,
) -> Report | None:
    """Run *seed* and those after it for so long; return the first report of a broken promise.

    At least one seed is run. *progress* is called after each.
    """
    until_s = clock.monotonic_s() + seconds
    while True:
        report = run(seed, bug=bug)
        progress(report)
        if report.violation is not None:
            return report
        if clock.monotonic_s() >= until_s:
            return None
        seed += 1

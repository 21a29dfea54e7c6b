"""Runs: one seed, or as many as fit into a time."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from payhooks.clock import Clock
from payhooks.simulator.auditor import Auditor
from payhooks.simulator.options import FULL, Size
from payhooks.simulator.parts import RIGHT, Parts
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
    deliveries: int
    requests: int
    duplicates: int  # sights beyond the first
    faults: tuple[str, ...]  # coordinates, in order; a tape that replays exactly these
    marks: dict[str, int]  # rare states that were reached
    size: Size
    timeline: tuple[str, ...]  # the last lines of the trace, for people: when, who, what


def run(
    seed: int,
    *,
    parts: Parts = RIGHT,
    tape: Sequence[str] | None = None,
    size: Size = FULL,
) -> Report:
    """Return what comes of *seed*; with a *tape*, only the faults on it fire."""
    world = World(seed, parts=parts, tape=None if tape is None else frozenset(tape), size=size)
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
        deliveries=sum(map(len, world.auditor.tables.deliveries_of.values())),
        duplicates=sum(len(sights) - 1 for sights in record.sights.values()),
        faults=tuple(world.chance.fired),
        marks=dict(sorted(record.marks.items())),
        size=size,
        timeline=tuple(_lines(world.auditor)),
    )


_ID: Final = re.compile(r"\b(?:[0-9a-f]{32}|del_[0-9a-z]{26})\b", re.IGNORECASE)


def _lines(auditor: Auditor) -> Iterator[str]:
    """Yield the end of the timeline, with names instead of ids; nothing where nothing broke."""
    if auditor.violation is None:
        return
    names = auditor.names()
    for now_s, who, what in auditor.timeline[-_TIMELINE_KEPT:]:
        words = _ID.sub(lambda match: names.get(match[0], match[0]), what)
        yield f"{now_s:>11.6f}  {who:<9} {words}"


def simulate(
    seed: int,
    *,
    seconds: float,
    clock: Clock,
    progress: Callable[[Report], None] = lambda _report: None,
    parts: Parts = RIGHT,
) -> Report | None:
    """Run *seed* and those after it for so long; return the first report of a broken promise.

    At least one seed is run. *progress* is called after each.
    """
    until_s = clock.monotonic_s() + seconds
    while True:
        report = run(seed, parts=parts)
        progress(report)
        if report.violation is not None:
            return report
        if clock.monotonic_s() >= until_s:
            return None
        seed += 1

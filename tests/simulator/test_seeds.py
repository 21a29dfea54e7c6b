"""Simulated worlds: seeds that once failed, as many others as fit into half a minute, and marks.

The half minute is of computing, shared by two processes.
"""

import json
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from payhooks.clock import SystemClock
from payhooks.simulator.run import Report, run, simulate

REGRESSIONS: dict[str, str] = json.loads(
    (Path(__file__).parent / "regressions.json").read_text(encoding="utf-8")
)
# Fixed, so that a change does not turn red by a draw it has nothing to do with. Whoever hunts
# names another.
SEED = int(os.environ.get("SIMULATOR_SEED", "100000"))
SECONDS = float(os.environ.get("SIMULATOR_SECONDS", "30"))
PROCESSES = 2
# More than one process comes to in its time, so that no seed is run twice.
SEEDS_APART = 1_000_000
# Faults that no seed reaches are faults that are not tested. Those that every few seeds reach;
# the rarer ones are asked for by the long run.
REACHED = (
    "alarm report_waits",
    "alarm settle_waits",
    "batch sent again that was stored",
    "circuit opened",
    "commit unknown that was committed",
    "commit unknown that was not",
    "conflict told",
    "endpoint edited",
    "forgery refused",
    "half-open circuit closed",
    "handed-off delivery given back",
    "lease expired and taken over",
    "missed while disabled",
    "object let go by a person",
    "operator was refused",
    "plan was stale",
    "receipt taken over",
    "receipt was a duplicate",
    "receipts sent again that were stored",
    "reconciled",
    "secret rotated",
    "seen again",
    "sent again by a job",
    "sent again by hand",
    "stopped in order",
    "two secrets signing",
)


def tell(report: Report) -> str:
    """Return what a person needs of a report."""
    return "\n".join(
        [f"seed {report.seed}: {report.violation}", *report.timeline[-40:], str(report.faults)]
    )


@pytest.mark.parametrize("seed", sorted(map(int, REGRESSIONS)), ids=lambda seed: f"seed {seed}")
def test_seeds_that_failed_once_hold_now(seed: int) -> None:
    """Each is a bug that was found here; the file says which."""
    report = run(seed)
    assert report.violation is None, tell(report)


@pytest.mark.shows("N12")
def test_every_promise_holds_in_every_world() -> None:
    """Nothing accepted or heard is lost, doubled without a reason or out of order."""
    firsts = [SEED + number * SEEDS_APART for number in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        reports = [report for each in pool.map(_share, firsts) for report in each]
    for report in reports:
        assert report.violation is None, tell(report)
    marks = {mark for report in reports for mark in report.marks}
    assert set(REACHED) - marks == set()
    assert sum(report.events for report in reports) > 100
    assert sum(report.duplicates for report in reports) > 10


def _share(first: int) -> list[Report]:
    """Return what one process comes to in its share of the time, up to the first that failed."""
    reports: list[Report] = []
    simulate(first, seconds=SECONDS / PROCESSES, clock=SystemClock(), progress=reports.append)
    return reports

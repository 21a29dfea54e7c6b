"""Half a minute of simulated worlds: seeds that once failed, then as many others as fit."""

import json
import os
from pathlib import Path

import pytest

from payhooks.clock import SystemClock
from payhooks.simulator.planted import Bug
from payhooks.simulator.run import Report, run, simulate
from payhooks.simulator.shrink import shrink

REGRESSIONS: dict[str, str] = json.loads(
    (Path(__file__).parent / "regressions.json").read_text(encoding="utf-8")
)
# Fixed, so that a change does not turn red by a draw it has nothing to do with. Whoever hunts
# names another.
SEED = int(os.environ.get("SIMULATOR_SEED", "100000"))
SECONDS = float(os.environ.get("SIMULATOR_SECONDS", "15"))
SEEDS_TO_FIND_A_BUG = 60
# Faults that no seed reaches are faults that are not tested.
REACHED = (
    "alarm report_waits",
    "alarm settle_waits",
    "lease expired",
    "operator was refused",
    "secret rotated",
    "seen again",
    "sent again by a job",
    "sent again by hand",
    "stopped in order",
)


def _tell(report: Report) -> str:
    return "\n".join(
        [f"seed {report.seed}: {report.violation}", *report.timeline[-40:], str(report.faults)]
    )


@pytest.mark.parametrize("seed", sorted(map(int, REGRESSIONS)), ids=lambda seed: f"seed {seed}")
def test_seeds_that_failed_once_hold_now(seed: int) -> None:
    """Each is a bug that was found here; the file says which."""
    report = run(seed)
    assert report.violation is None, _tell(report)


def test_every_promise_holds_in_every_world() -> None:
    """Nothing accepted is lost, doubled without a reason or out of order, whatever fails."""
    reports: list[Report] = []
    failed = simulate(SEED, seconds=SECONDS, clock=SystemClock(), progress=reports.append)
    assert failed is None, _tell(failed)
    marks = {mark for report in reports for mark in report.marks}
    assert marks >= set(REACHED)
    assert sum(report.events for report in reports) > 100
    assert sum(report.duplicates for report in reports) > 10


@pytest.mark.parametrize("bug", Bug)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    """A simulator that overlooks a bug we know says nothing about those we do not know."""
    found = (run(seed, bug=bug) for seed in range(1, SEEDS_TO_FIND_A_BUG + 1))
    assert any(report.violation is not None for report in found)


def test_the_same_seed_is_the_same_run() -> None:
    """A seed in a bug report is worth nothing unless it shows the bug again."""
    one, other = run(12), run(12)
    assert one == other
    assert run(13).trace_hash != one.trace_hash


def test_a_failing_run_is_made_small() -> None:
    """A hundred faults explain nothing; those that matter can be read."""
    # A world where it shows early, so that the eighty runs are short ones.
    failing = run(59, bug=Bug.NO_FENCE)
    assert failing.violation is not None
    small = shrink(failing, bug=Bug.NO_FENCE, runs_max=80)
    assert small.violation is not None
    assert len(small.faults) <= len(failing.faults) // 2
    assert run(failing.seed, bug=Bug.NO_FENCE, tape=small.faults).violation == small.violation

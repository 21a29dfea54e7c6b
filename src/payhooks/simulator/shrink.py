"""From a failing run to one that fails with as few faults as possible."""

from payhooks.simulator.planted import Bug
from payhooks.simulator.run import Report, run


def shrink(report: Report, *, bug: Bug | None = None, runs_max: int = 200) -> Report:
    """Return a report of the same seed that is broken too, by fewer faults or as many.

    Takes out halves, then quarters, and so on, of the faults that fired, as long as some promise
    still breaks: another one than at first will do, it is a bug as well.
    """
    assert report.violation is not None
    best, parts, runs = report, 2, 0
    while best.faults and parts <= 2 * len(best.faults) and runs < runs_max:
        size = max(1, len(best.faults) // parts)
        smaller = None
        for start in range(0, len(best.faults), size):
            kept = best.faults[:start] + best.faults[start + size :]
            tried = run(report.seed, bug=bug, tape=kept)
            runs += 1
            if tried.violation is not None and len(tried.faults) < len(best.faults):
                smaller = tried
                break
            if runs >= runs_max:
                break
        if smaller is None:
            parts *= 2
        else:
            best = smaller
    return best

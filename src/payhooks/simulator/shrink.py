"""From a failing run to one that fails with as few faults, and in as small a world, as possible.

Removing some faults and looking whether a promise still breaks is Zeller's ddmin. Chance draws by
coordinates, so what is left happens where and as it did.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from payhooks.simulator.options import Size
from payhooks.simulator.parts import RIGHT, Parts
from payhooks.simulator.run import Report, run

# Tried in this order: each that may go takes much of the timeline with it.
_SMALLER: Final[tuple[dict[str, Any], ...]] = (
    {"payments": 0}, {"merchants": 1}, {"payments": 1}, {"publishers": 1}, {"endpoints": 1},
    {"processes": 1}, {"publications": 1}, {"processes": 2}, {"publications": 3},
    {"publications": 10}, {"publishers": 2}, {"endpoints": 2}, {"safety_s": 20.0},
    {"safety_s": 60.0},
)  # fmt: skip


def shrink(report: Report, *, parts: Parts = RIGHT, runs_max: int = 200) -> Report:
    """Return a report of the same seed that is broken too, by fewer faults in a smaller world.

    The promise is the same, or the first one that a smaller run breaks: a bug it is as well.
    """
    assert report.violation is not None
    runs = 0

    def broken(best: Report, tape: Sequence[str], size: Size) -> Report | None:
        nonlocal runs
        if runs >= runs_max:
            return None
        runs += 1
        tried = run(best.seed, parts=parts, tape=tape, size=size)
        return None if tried.violation is None else tried

    best = _fewer_kinds(report, broken)
    for change in _SMALLER:
        if all(value < getattr(best.size, name) for name, value in change.items()):
            smaller = dataclasses.replace(best.size, **change)
            best = broken(best, best.faults, smaller) or best
    return _fewer_faults(best, broken)


def _kind(fault: str) -> str:
    return fault.rpartition(".")[2].partition("#")[0].partition("@")[0]


def _fewer_kinds(
    best: Report, broken: Callable[[Report, Sequence[str], Size], Report | None]
) -> Report:
    """Take out all faults of a kind at once: of most kinds none is needed."""
    for kind, _ in Counter(map(_kind, best.faults)).most_common():
        kept = [fault for fault in best.faults if _kind(fault) != kind]
        best = broken(best, kept, best.size) or best
    return best


def _fewer_faults(
    best: Report, broken: Callable[[Report, Sequence[str], Size], Report | None]
) -> Report:
    nothing = broken(best, (), best.size)
    if nothing is not None:
        return nothing
    parts = 2
    while best.faults and parts <= 2 * len(best.faults):
        size = max(1, len(best.faults) // parts)
        smaller = None
        for start in range(0, len(best.faults), size):
            kept = best.faults[:start] + best.faults[start + size :]
            smaller = broken(best, kept, best.size)
            if smaller is not None and len(smaller.faults) < len(best.faults):
                break
            smaller = None
        if smaller is None:
            parts *= 2
        else:
            best = smaller
            parts = max(2, parts - 1)
    return best

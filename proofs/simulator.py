"""That the simulator would notice, that it goes everywhere, and that it finds nothing."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Final

from payhooks.simulator.marks import MUST_BE_REACHED
from payhooks.simulator.planted import PLANTED, mistake
from payhooks.simulator.run import run
from proofs.lines import DOCS, Line, at_least

SEEDS_TO_FIND_A_BUG: Final = 300
DELIVERIES: Final = 1_000_000
FIRST_SEED: Final = 1_000_000
_PROCESSES: Final = 2
_SEEDS_AT_ONCE: Final = 50
_MARKER: Final = "<!-- planted -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Where a planted bug showed, if it did."""

    name: str
    seed: int | None
    took_s: float
    violation: str
    cried_wolf: bool  # the right engine breaks a promise under that seed, too


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searched:
    """What a span of seeds came to."""

    deliveries: int
    requests: int
    virtual_s: float
    marks: Counter[str]
    broken: tuple[str, ...]


def prove(*, quick: bool = False) -> Iterator[Line]:
    """Show a line for each planted bug, one for the marks, and one for the long run."""
    with ProcessPoolExecutor(_PROCESSES) as pool:
        found = list(pool.map(_find, PLANTED))
        for each in found:
            yield _line(each)
        if not quick:
            _write_table(found)
        yield from _long_run(pool, DELIVERIES // 100 if quick else DELIVERIES)


def _find(name: str) -> _Found:
    began_s = time.monotonic()
    for seed in range(1, SEEDS_TO_FIND_A_BUG + 1):
        violation = run(seed, parts=PLANTED[name]).violation
        if violation is not None:
            took_s = time.monotonic() - began_s
            wolf = run(seed).violation is not None
            return _Found(name=name, seed=seed, took_s=took_s, violation=violation, cried_wolf=wolf)
    took_s = time.monotonic() - began_s
    return _Found(name=name, seed=None, took_s=took_s, violation="", cried_wolf=False)


def _line(found: _Found) -> Line:
    figure = f"seed {found.seed}, {found.took_s:.1f} s"
    if found.seed is None:
        figure = "not found"
    elif found.cried_wolf:
        figure = f"seed {found.seed} breaks a promise without it, too"
    return Line(
        passed=found.seed is not None and not found.cried_wolf,
        name=f"planted: {found.name}",
        figure=figure,
        limit=f"within {SEEDS_TO_FIND_A_BUG} seeds",
    )


def _long_run(pool: ProcessPoolExecutor, wanted: int) -> Iterator[Line]:
    """Run seeds until so many deliveries were simulated, or a promise broke."""
    began_s = time.monotonic()
    starts = count(FIRST_SEED, _SEEDS_AT_ONCE)
    deliveries = requests = seeds = 0
    virtual_s = 0.0
    marks: Counter[str] = Counter()
    broken: list[str] = []
    while deliveries < wanted and not broken:
        # Two rounds of spans at a time, so that nobody waits for the slower of two.
        spans = [next(starts) for _ in range(2 * _PROCESSES)]
        for searched in pool.map(_search, spans):
            seeds += _SEEDS_AT_ONCE
            deliveries += searched.deliveries
            requests += searched.requests
            virtual_s += searched.virtual_s
            marks += searched.marks
            broken += searched.broken
        took_s = time.monotonic() - began_s
        _say(f"{deliveries:,} of {wanted:,} deliveries, {seeds} seeds, {took_s:.0f} s")
    if wanted == DELIVERIES:  # in fewer worlds the rarest are missing by chance
        yield _marks(marks, seeds)
    took_s = time.monotonic() - began_s
    yield Line(
        passed=not broken,
        name=f"promises broken in {virtual_s / 3600:,.0f} simulated hours",
        figure=broken[0] if broken else f"0 in {requests:,} requests, {took_s:.0f} s",
        limit="= 0",
    )
    yield at_least("one million simulated deliveries without a violation", deliveries, wanted, "")


def _marks(reached: Counter[str], seeds: int) -> Line:
    missing = sorted(MUST_BE_REACHED - reached.keys())
    return Line(
        passed=not missing,
        name=f"rare states reached, each by some of {seeds} seeds",
        figure=f"{len(MUST_BE_REACHED) - len(missing)} of {len(MUST_BE_REACHED)}",
        limit=f"missing: {', '.join(missing)}" if missing else "all",
    )


def _search(first: int) -> _Searched:
    reports = [run(seed) for seed in range(first, first + _SEEDS_AT_ONCE)]
    return _Searched(
        deliveries=sum(report.deliveries for report in reports),
        requests=sum(report.requests for report in reports),
        virtual_s=sum(report.virtual_s for report in reports),
        marks=Counter(mark for report in reports for mark in report.marks),
        broken=tuple(f"seed {r.seed}: {r.violation}" for r in reports if r.violation is not None),
    )


def _write_table(found: list[_Found]) -> None:
    """Write into the docs which bug was found by which seed."""
    path = DOCS / "simulator.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(_MARKER)
    _, _, after = rest.partition(_MARKER)
    rows = [
        f"| {each.name} | {mistake(PLANTED[each.name])} | {each.seed} | {each.took_s:.1f} s "
        f"| {_promise(each.violation)} |"
        for each in found
    ]
    head = [
        "| Bug | Which mistake it is | Seed | Found after | Broken promise |",
        "|---|---|---|---|---|",
    ]
    table = "\n".join(["", "", *head, *rows, "", ""])
    path.write_text(f"{before}{_MARKER}{table}{_MARKER}{after}", encoding="utf-8")


def _promise(violation: str) -> str:
    return violation.partition(" s: ")[2].partition(":")[0]


def _say(what: str) -> None:
    print(f"\r{what}", end="\n" if not sys.stderr.isatty() else "", file=sys.stderr, flush=True)

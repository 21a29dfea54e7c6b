"""One line of a proof, and where lines go: the terminal, a file of figures, a report."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import apsw

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"
DOCS: Final = ROOT / "docs"
_NAME_WIDTH: Final = 66
_FIGURE_WIDTH: Final = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was shown: a name, what was found, and what was demanded."""

    passed: bool
    name: str
    figure: str
    limit: str
    tests: tuple[str, ...] = ()  # the evidence, where it is tests

    def __str__(self) -> str:
        verdict = "PASS" if self.passed else "FAIL"
        return f"{verdict}  {self.name:<{_NAME_WIDTH}} {self.figure:<{_FIGURE_WIDTH}} {self.limit}"


def at_most(name: str, value: float, limit: float, unit: str, *, digits: int = 1) -> Line:
    """Return a line for a figure that may not be larger."""
    return Line(
        passed=value <= limit,
        name=name,
        figure=f"{value:,.{digits}f} {unit}".rstrip(),
        limit=f"<= {limit:,g} {unit}".rstrip(),
    )


def at_least(name: str, value: float, limit: float, unit: str, *, digits: int = 0) -> Line:
    """Return a line for a figure that may not be smaller."""
    return Line(
        passed=value >= limit,
        name=name,
        figure=f"{value:,.{digits}f} {unit}".rstrip(),
        limit=f">= {limit:,g} {unit}".rstrip(),
    )


def exactly(name: str, value: int, limit: int, unit: str = "") -> Line:
    """Return a line for a count that must be that."""
    return Line(
        passed=value == limit,
        name=name,
        figure=f"{value:,} {unit}".rstrip(),
        limit=f"= {limit:,}",
    )


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
    memory_kib = int(Path("/proc/meminfo").read_text("ascii").split()[1])
    return {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory_kib / 1024 / 1024:.0f} GiB",
        "system": platform.platform(aliased=True, terse=True),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "SQLite": apsw.sqlite_lib_version(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def write(
    proof: str,
    shown: Mapping[str, Sequence[Line]],
    about: Mapping[str, str],
    *,
    some_lines: bool = False,
) -> None:
    """Keep the lines of each part of *proof* that was shown, as figures and as a report.

    Parts that were not shown this time keep the lines of last time, and the day of it. With
    *some_lines* those of last time stay that have another name, in the part of the rows.
    """
    figures = RESULTS / f"proof-{proof}.json"
    kept: dict[str, dict[str, Any]] = {}
    if figures.exists():
        kept = json.loads(figures.read_text(encoding="utf-8"))["parts"]
    at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    for name, lines in shown.items():
        found = {line.name: asdict(line) for line in lines}
        if some_lines and name == proof and name in kept:
            found = {line["name"]: line for line in kept[name]["lines"]} | found
        kept[name] = {"at": at, "lines": list(found.values())}
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text(
        json.dumps({"machine": about, "parts": kept}, indent=1) + "\n", encoding="utf-8"
    )
    report = "\n".join(_report(proof, kept, about))
    (DOCS / f"proof-{proof}.md").write_text(report, encoding="utf-8")


def _report(
    proof: str, kept: Mapping[str, dict[str, Any]], about: Mapping[str, str]
) -> Iterator[str]:
    yield f"# What `scripts/prove {proof}` shows"
    yield ""
    yield "Figures hold for this machine:"
    yield ""
    yield from (f"- {name}: {value}" for name, value in about.items())
    for name, part in sorted(kept.items()):
        yield ""
        yield f"## {name} ({part['at'][:16].replace('T', ' ')} UTC)"
        yield ""
        yield "| | Name | Figure | Limit |"
        yield "|---|---|---|---|"
        for line in part["lines"]:
            verdict = "PASS" if line["passed"] else "**FAIL**"
            yield f"| {verdict} | {line['name']} | {line['figure']} | {line['limit']} |"
    yield ""

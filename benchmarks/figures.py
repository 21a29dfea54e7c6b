"""A figure of a benchmark, and where figures go: the terminal, a file, a page of the docs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from proofs.lines import DOCS, RESULTS

FILE: Final = RESULTS / "bench.json"
PAGE: Final = DOCS / "benchmarks.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row. What a benchmark has no number for is None."""

    benchmark: str
    store: str
    per_s: float | None = None  # deliveries
    ratio: float | None = None
    beside: str = ""  # what the ratio is to
    cpu_us: float | None = None  # of the serving processes, per delivery
    store_cpu_us: float | None = None
    said: str = ""

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} of {self.beside}"
        return (
            f"{self.benchmark:<22} {self.store:<11} {_number(self.per_s, 0):>9}/s {ratio:<26} "
            f"{_number(self.cpu_us, 0):>5} + {_number(self.store_cpu_us, 0):>3} us  {self.said}"
        )


def keep(figures: Mapping[str, list[Figure]], about: Mapping[str, str]) -> None:
    """Write the figures of each benchmark that ran; the others keep those of last time."""
    kept: dict[str, dict[str, Any]] = {}
    if FILE.exists():
        kept = json.loads(FILE.read_text(encoding="utf-8")).get("benchmarks", {})
    at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    for name, rows in figures.items():
        kept[name] = {"at": at, "machine": dict(about), "figures": [asdict(row) for row in rows]}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps({"benchmarks": kept}, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n"
    head, _, rest = text.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    table = "\n".join(_table(kept))
    PAGE.write_text(f"{head}{_BEGIN}\n{table}\n{_END}{tail or chr(10)}", encoding="utf-8")


_BEGIN: Final = "<!-- figures: written by scripts/bench -->"
_END: Final = "<!-- end of figures -->"


def _table(kept: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    machines = sorted({_machine(part) for part in kept.values()})
    for number, machine in enumerate(machines, 1):
        yield ""
        yield f"{number}. {machine}"
    yield ""
    yield "| Benchmark | Store | Deliveries/s | Ratio | CPU us | Store CPU us | | Day | On |"
    yield "|---|---|---:|---|---:|---:|---|---|---:|"
    for part in kept.values():
        for row in map(_figure, part["figures"]):
            ratio = "" if row.ratio is None else f"{row.ratio:.2f} of {row.beside}"
            cells = (
                row.benchmark,
                row.store,
                _number(row.per_s, 0),
                ratio,
                _number(row.cpu_us, 0),
                _number(row.store_cpu_us, 0),
                row.said,
                part["at"][:10],
                str(machines.index(_machine(part)) + 1),
            )
            yield f"| {' | '.join(cells)} |"
    yield ""


def _machine(part: Mapping[str, Any]) -> str:
    # How busy it was is of one run, and in the file; the rest is the same for most of them.
    about = sorted(part["machine"].items())
    return "; ".join(f"{name}: {value}" for name, value in about if not name.startswith("load"))


def _figure(found: Mapping[str, Any]) -> Figure:
    return Figure(**found)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"

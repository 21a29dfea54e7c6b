"""``scripts/prove``: PASS or FAIL, name, figure, limit; and a report for the docs.

    python -m proofs                                    everything
    python -m proofs engine [--store sqlite|postgres] [--only arrival …] [--quick]
    python -m proofs scale [--store …] [--quick]
    python -m proofs faults [--only F27 …]              and likewise input, security
    python -m proofs dialects [--only table|cost|outbox|V03 …] [--quick]
    python -m proofs console [--only weight|memory|lists|M07 …] [--quick]
    python -m proofs catalogue [--only wire|strict|killed|E04 …] [--quick]
    python -m proofs inbound [--only heard|forged|storm|look|I5 …] [--quick]

Exits with 1 where a line failed. With --quick everything runs in small, to see that it runs;
neither figures nor report are written then. Rows that were not asked for keep their last line.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from proofs import (
    arrival,
    backlog,
    catalogue,
    console,
    dialects,
    inbound,
    isolation,
    kills,
    scale,
    simulator,
    speed,
)
from proofs.ground import FULL, QUICK, Size, Store, open_store
from proofs.lines import Line, machine, write
from proofs.report import write_report
from proofs.rows import prove_rows

Part = Callable[[Store, Size], Iterator[Line]]
ENGINE: Final[dict[str, Part]] = {
    "speed": speed.prove,
    "arrival": arrival.prove,
    "kills": kills.prove,
    "isolation": isolation.prove,
    "backlog": backlog.prove,
}
SCALE: Final[dict[str, Part]] = {"scale": scale.prove}
STORES: Final = ("sqlite", "postgres")


def main(arguments: Sequence[str]) -> int:
    """Return 0 where every line passed."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if unknown := [what for what in asked.what if what not in PROOFS]:
        parser.error(f"{unknown[0]} is not one of {', '.join(PROOFS)}")
    about = machine()
    passed = True
    for what in asked.what or PROOFS:
        shown = PROOFS[what](asked)
        passed &= all(line.passed for lines in shown.values() for line in lines)
        if not asked.quick:
            write(
                what,
                shown,
                about,
                some_lines=what in (*ROW_KINDS, *WITH_PARTS) and bool(asked.only),
            )
            write_report()
    return 0 if passed else 1


def _prove_stores(asked: argparse.Namespace, parts: Mapping[str, Part]) -> dict[str, list[Line]]:
    shown: dict[str, list[Line]] = {}
    size = QUICK if asked.quick else FULL
    with ExitStack() as stack:
        for store in [open_store(stack, name) for name in asked.store or STORES]:
            for part in asked.only or parts:
                name = f"{store.name}: {part}"
                shown[name] = _printed(_guarded(name, parts[part](store, size)))
    return shown


def _prove_rows(asked: argparse.Namespace, kind: str) -> dict[str, list[Line]]:
    return {kind: _printed(_guarded(kind, prove_rows(kind, asked.only or ())))}


def _prove_rows_and_parts(
    asked: argparse.Namespace, kind: str, parts: Mapping[str, Callable[[Size], Iterator[Line]]]
) -> dict[str, list[Line]]:
    size = QUICK if asked.quick else FULL
    only = asked.only or ["rows", *parts]
    rows = [id_ for id_ in only if id_ not in parts and id_ != "rows"]
    shown: dict[str, list[Line]] = {}
    if rows or "rows" in only:
        shown[kind] = _printed(_guarded(kind, prove_rows(kind, rows)))
    for name, part in parts.items():
        if name in only:
            shown[name] = _printed(_guarded(name, part(size)))
    return shown


def _prove_simulator(asked: argparse.Namespace) -> dict[str, list[Line]]:
    lines = simulator.prove(quick=asked.quick)
    return {"simulator": _printed(_guarded("simulator", lines))}


def _printed(lines: Iterator[Line]) -> list[Line]:
    """Return the lines, each printed as it came."""
    shown = []
    for line in lines:
        print(line, flush=True)
        shown.append(line)
    return shown


def _guarded(part: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Yield the part's lines; one that breaks off is a line that failed."""
    try:
        yield from lines
    except Exception as error:  # noqa: BLE001 - the other parts have something to show
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        yield Line(passed=False, name=f"{part} broke off", figure=what, limit="none")


ROW_KINDS: Final = ("faults", "input", "security")
WITH_PARTS: Final = {
    "dialects": dialects.PARTS,
    "console": console.PARTS,
    "catalogue": catalogue.PARTS,
    "inbound": inbound.PARTS,
}
PROOFS: Final[dict[str, Callable[[argparse.Namespace], dict[str, list[Line]]]]] = {
    "engine": partial(_prove_stores, parts=ENGINE),
    "scale": partial(_prove_stores, parts=SCALE),
    "simulator": _prove_simulator,
    **{kind: partial(_prove_rows, kind=kind) for kind in ROW_KINDS},
    **{
        kind: partial(_prove_rows_and_parts, kind=kind, parts=parts)
        for kind, parts in WITH_PARTS.items()
    },
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="what", help=", ".join(PROOFS))
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--store", action="append", choices=STORES)
    parser.add_argument("--only", action="append", help="parts of engine, or rows by their id")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

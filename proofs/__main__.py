"""``scripts/prove engine``: PASS or FAIL, name, figure, limit; and a report for the docs.

    python -m proofs engine [--store sqlite|postgres] [--only arrival …] [--quick]

Exits with 1 where a line failed. With --quick everything runs in small, to see that it runs;
neither figures nor report are written then.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final

from proofs import arrival, backlog, isolation, kills, speed
from proofs.ground import FULL, QUICK, Size, Store, open_store
from proofs.lines import Line, machine, write

PARTS: Final[dict[str, Callable[[Store, Size], Iterator[Line]]]] = {
    "speed": speed.prove,
    "arrival": arrival.prove,
    "kills": kills.prove,
    "isolation": isolation.prove,
    "backlog": backlog.prove,
}
STORES: Final = ("sqlite", "postgres")


def main(arguments: Sequence[str]) -> int:
    """Return 0 where every line passed."""
    asked = _parser().parse_args(arguments)
    about = machine()
    shown: dict[str, list[Line]] = {}
    with ExitStack() as stack:
        for store in [open_store(stack, name) for name in asked.store or STORES]:
            for part in asked.only or PARTS:
                lines = shown[f"{store.name}: {part}"] = []
                for line in _guarded(part, store, QUICK if asked.quick else FULL):
                    print(line, flush=True)
                    lines.append(line)
    if not asked.quick:
        write(shown, about)
    return 0 if all(line.passed for lines in shown.values() for line in lines) else 1


def _guarded(part: str, store: Store, size: Size) -> Iterator[Line]:
    """Yield the part's lines; one that breaks off is a line that failed."""
    try:
        yield from PARTS[part](store, size)
    except Exception as error:  # noqa: BLE001 - the other parts have something to show
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        yield Line(passed=False, name=f"{store.name}: {part} broke off", figure=what, limit="none")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__)
    parser.add_argument("what", choices=["engine"])
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--store", action="append", choices=STORES)
    parser.add_argument("--only", action="append", choices=list(PARTS))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

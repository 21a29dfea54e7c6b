"""``scripts/bench``: what Payhooks costs on this machine, beside a bare relay in the same run.

python -m benchmarks [--seconds 10] [--connections 64] [--store sqlite|postgres]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proofs.ground import Store, database, open_store
from proofs.lines import ROOT, machine

from benchmarks.engine import Rate, measure_engine, measure_relay

STORES: Final = ("sqlite", "postgres")
RESULTS: Final = ROOT / "benchmarks" / "results" / "bench.json"
_HEAD: Final = (
    f"{'':<12} {'deliveries/s':>12} {'ratio':>6} {'CPU us':>7} {'store us':>8} {'commits':>8} "
    f"{'p50 ms':>7} {'p99 ms':>7} {'MB':>4} {'backlog':>8}"
)


def main(arguments: Sequence[str]) -> int:
    """Measure, print a table, write the figures."""
    asked = _parser().parse_args(arguments)
    about = machine()
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    print(_HEAD)
    relay = measure_relay(seconds=asked.seconds, connections=asked.connections)
    rates = {"bare relay": relay}
    _print("bare relay", relay, relay)
    with ExitStack() as stack:
        for name in asked.store or STORES:
            store = open_store(stack, name)
            rates[name] = _measure(store, seconds=asked.seconds, connections=asked.connections)
            _print(name, rates[name], relay)
    at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    found = {
        "at": at,
        "machine": about,
        "rates": {name: asdict(each) for name, each in rates.items()},
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def _measure(store: Store, *, seconds: int, connections: int) -> Rate:
    with TemporaryDirectory(prefix="payhooks-bench-") as name:
        folder = Path(name)
        with database(store, folder) as url:
            return measure_engine(
                folder, url, seconds=seconds, connections=connections, store_pid=store.postmaster
            )


def _print(name: str, rate: Rate, relay: Rate) -> None:
    print(
        f"{name:<12} {rate.deliveries_per_s:>12,.0f} "
        f"{rate.deliveries_per_s / relay.deliveries_per_s:>6.2f} "
        f"{rate.cpu_us_per_delivery:>7.0f} {rate.store_cpu_us_per_delivery:>8.0f} "
        f"{rate.commits_per_event:>8.3f} {rate.answers.p50_ms:>7.1f} {rate.answers.p99_ms:>7.1f} "
        f"{rate.rss_mb:>4.0f} {rate.backlog:>8,}",
        flush=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--store", action="append", choices=STORES)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

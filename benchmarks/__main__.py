"""``scripts/bench``: what Payhooks costs on this machine, beside a bare relay in the same run.

    python -m benchmarks [--only NAME …] [--store sqlite|postgres] [--quick]

Figures go to benchmarks/results/bench.json and docs/benchmarks.md; with --quick everything
runs in small, to see that it runs, and nothing is written.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

from proofs import isolation
from proofs.ground import FULL, Size, Store, open_store
from proofs.lines import machine

from benchmarks import inbound, longer, scale
from benchmarks.engine import Rate, measure_relay, one_merchant
from benchmarks.figures import Figure, keep
from benchmarks.scale import CONNECTIONS, Compared, measure

STORES: Final = ("sqlite", "postgres")
_RELAY: Final = "the relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much each benchmark does."""

    seconds: int = 10
    history: int = 10_000_000
    endpoints: int = 50_000
    scheduled: int = 1_000_000
    replayed: int = 200_000
    memory_s: float = 600.0
    memory_per_s: float = 1_000.0
    isolation: Size = FULL


FULL_EXTENT: Final = Extent(
    isolation=Size(hanging=1_000, healthy=100, healthy_s=30),
)
QUICK_EXTENT: Final = Extent(
    seconds=1,
    history=20_000,
    endpoints=200,
    scheduled=20_000,
    replayed=1_000,
    memory_s=4.0,
    memory_per_s=200.0,
    isolation=Size(hanging=10, healthy=5, healthy_s=2),
)


def _rates(store: Store, extent: Extent) -> Iterator[Figure]:
    """One process, and on PostgreSQL two."""
    relay = measure_relay(seconds=extent.seconds, connections=CONNECTIONS)
    yield _rate("bare relay", "none", relay, relay)
    rate = measure(store, one_merchant(), seconds=extent.seconds)
    yield _rate("one process", store.name, rate, relay)
    if store.name == "postgres":
        rate = measure(store, one_merchant(), seconds=extent.seconds, workers=2)
        yield _rate("two processes", store.name, rate, relay)


def _fan_out(store: Store, extent: Extent) -> Iterator[Figure]:
    relay = measure_relay(seconds=extent.seconds, connections=CONNECTIONS)
    rate = measure(store, one_merchant(10), seconds=extent.seconds)
    yield _rate("fan-out 1:10", store.name, rate, relay)


def _half_load(store: Store, extent: Extent) -> Iterator[Figure]:
    rate = measure(store, one_merchant(), seconds=extent.seconds)
    half = longer.steady_latency(
        store, per_s=rate.deliveries_per_s / 2, seconds=float(extent.seconds)
    )
    yield Figure(
        benchmark="half load",
        store=store.name,
        per_s=half.per_s,
        ratio=half.per_s / rate.deliveries_per_s,
        beside="the most",
        cpu_us=half.cpu_us,
        store_cpu_us=half.store_cpu_us,
        said=f"202: {_ms(half.answered_ms)}; arrival: {_ms(half.arrived_ms)}; {half.errors} errors",
    )


def _compared(
    store: Store, extent: Extent, *, name: str, compare: Callable[[Store, Extent], Compared]
) -> Iterator[Figure]:
    found = compare(store, extent)
    yield Figure(
        benchmark=name,
        store=store.name,
        per_s=found.middle.deliveries_per_s,
        ratio=found.ratio,
        beside="the cost when empty",
        cpu_us=found.middle.cpu_us_per_delivery,
        store_cpu_us=found.middle.store_cpu_us_per_delivery,
        said=f"{found.name}; {found.errors} errors",
    )


def _hanging(store: Store, extent: Extent) -> Iterator[Figure]:
    [line] = isolation.prove(store, extent.isolation)
    yield Figure(benchmark="hanging", store=store.name, said=f"{line.name}: {line.figure}")


def _replay(store: Store, extent: Extent) -> Iterator[Figure]:
    found = longer.large_replay(store, deliveries=extent.replayed)
    yield Figure(
        benchmark="replay",
        store=store.name,
        per_s=found.per_s,
        cpu_us=found.cpu_us,
        store_cpu_us=found.store_cpu_us,
        said=f"{found.deliveries:,} deliveries in {found.took_s:,.0f} s, asked for 1,000/s",
    )


def _inbound(store: Store, extent: Extent) -> Iterator[Figure]:
    relay = measure_relay(seconds=extent.seconds, connections=CONNECTIONS)
    found = inbound.measure(store, seconds=extent.seconds)
    yield Figure(
        benchmark="inbound",
        store=store.name,
        per_s=found.per_s,
        ratio=found.per_s / relay.deliveries_per_s,
        beside=_RELAY,
        cpu_us=found.cpu_us,
        store_cpu_us=found.store_cpu_us,
        said=(
            f"answer at {found.half_per_s:,.0f}/s: p50 {found.answer_p50_ms:.1f} ms, "
            f"p99 {found.answer_p99_ms:.1f} ms; a lone one at the merchant's after "
            f"{found.delivered_ms:.1f} ms"
        ),
    )


def _memory(store: Store, extent: Extent) -> Iterator[Figure]:
    found = longer.memory(store, per_s=extent.memory_per_s, seconds=extent.memory_s)
    yield Figure(
        benchmark="memory",
        store=store.name,
        per_s=found.per_s,
        said=(
            f"{found.minutes:.0f} minutes: from {found.first_mb:.0f} to {found.last_mb:.0f} MB, "
            f"{found.mb_per_hour:+.1f} MB an hour"
        ),
    )


BENCHMARKS: Final[dict[str, Callable[[Store, Extent], Iterator[Figure]]]] = {
    "rates": _rates,
    "fan-out": _fan_out,
    "half-load": _half_load,
    "endpoints": partial(
        _compared,
        name="many endpoints",
        compare=lambda store, extent: scale.with_endpoints(
            store, endpoints=extent.endpoints, seconds=extent.seconds
        ),
    ),
    "history": partial(
        _compared,
        name="long history",
        compare=lambda store, extent: scale.with_history(
            store, events=extent.history, seconds=extent.seconds
        ),
    ),
    "scheduled": partial(
        _compared,
        name="large backlog",
        compare=lambda store, extent: scale.with_scheduled(
            store, deliveries=extent.scheduled, seconds=extent.seconds
        ),
    ),
    "hanging": _hanging,
    "replay": _replay,
    "memory": _memory,
    "inbound": _inbound,
}


def main(arguments: Sequence[str]) -> int:
    """Measure, print a line per figure, write the figures."""
    asked = _parser().parse_args(arguments)
    about = machine()
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    extent = QUICK_EXTENT if asked.quick else FULL_EXTENT
    with ExitStack() as stack:
        stores = [open_store(stack, name) for name in asked.store or STORES]
        for name in asked.only or BENCHMARKS:
            for store in stores:
                figures = []
                for figure in BENCHMARKS[name](store, extent):
                    print(figure, flush=True)
                    figures.append(figure)
                if not asked.quick:
                    keep({f"{name} {store.name}": figures}, about)
    return 0


def _rate(benchmark: str, store: str, rate: Rate, relay: Rate) -> Figure:
    return Figure(
        benchmark=benchmark,
        store=store,
        per_s=rate.deliveries_per_s,
        ratio=rate.deliveries_per_s / relay.deliveries_per_s,
        beside=_RELAY,
        cpu_us=rate.cpu_us_per_delivery,
        store_cpu_us=rate.store_cpu_us_per_delivery,
        said=(
            f"202: p50 {rate.answers.p50_ms:.1f} ms, p99 {rate.answers.p99_ms:.1f} ms; "
            f"{rate.commits_per_event:.3f} commits per event; {rate.rss_mb:.0f} MB; "
            f"{rate.answers.errors} errors; backlog {rate.backlog:,} ({rate.answers.generator})"
        ),
    )


def _ms(percentiles: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f} ms" for name, value in percentiles.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(BENCHMARKS))
    parser.add_argument("--store", action="append", choices=STORES)
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

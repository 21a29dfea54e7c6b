"""What the promises cost: beside a relay that makes none, in the same minutes."""

import asyncio
import statistics
from collections.abc import Iterator
from typing import Final

from benchmarks.engine import Rate, measure_relay, one_merchant
from benchmarks.processes import rss_mb
from benchmarks.scale import CONNECTIONS, measure
from tests.support.publisher import Item, Publisher
from tests.support.soak import wait_until_settled

from proofs.ground import Size, Store, ground
from proofs.lines import Line, at_least, at_most

# Below this the machine is busy with something else, and no ratio means anything.
RELAY_PER_S_MIN: Final = 10_000
RATIO_MIN: Final = 0.5
COMMITS_PER_EVENT_MAX: Final = 0.1
LONE_MS_MAX: Final = 10.0
RSS_MB_MAX: Final = 150.0
# From one lone event to the next: long enough that each finds everything at rest.
_LONE_PAUSE_S: Final = 0.05


def prove(store: Store, size: Size) -> Iterator[Line]:
    """Show rate and cost beside the relay, the way of a lone event, and the memory."""
    # Before and after, because a shared machine changes its mind.
    relays = [measure_relay(seconds=size.bench_s, connections=CONNECTIONS)]
    engine = measure(store, one_merchant(), seconds=size.bench_s)
    relays.append(measure_relay(seconds=size.bench_s, connections=CONNECTIONS))
    yield from _rates(store, engine, relays)
    median_ms, memory_mb = _lone(store, size.lone_events)
    name = f"{store.name}: a lone event is at the receiver, median"
    yield at_most(name, median_ms, LONE_MS_MAX, "ms")
    name = f"{store.name}: most memory of the serving process"
    yield at_most(name, max(engine.rss_mb, memory_mb), RSS_MB_MAX, "MB", digits=0)


def _rates(store: Store, engine: Rate, relays: list[Rate]) -> Iterator[Line]:
    relay_per_s = statistics.mean(relay.deliveries_per_s for relay in relays)
    relay_us = statistics.mean(relay.cpu_us_per_delivery for relay in relays)
    name = f"{store.name}: the bare relay of the same run ({relay_us:.0f} us CPU each)"
    yield at_least(name, relay_per_s, RELAY_PER_S_MIN, "deliveries/s")
    ratio = engine.deliveries_per_s / relay_per_s
    cpu = f"{engine.cpu_us_per_delivery:.0f}"
    if engine.store_cpu_us_per_delivery:
        cpu += f" + {engine.store_cpu_us_per_delivery:.0f} in the database"
    yield Line(
        passed=ratio >= RATIO_MIN and relay_per_s >= RELAY_PER_S_MIN,
        name=f"{store.name}: deliveries beside the relay's ({cpu} us CPU each)",
        figure=f"{ratio:.2f} ({engine.deliveries_per_s:,.0f} deliveries/s)",
        limit=f">= {RATIO_MIN} (void below {RELAY_PER_S_MIN:,})",
    )
    name = f"{store.name}: commits of accept and settle per event"
    yield at_most(name, engine.commits_per_event, COMMITS_PER_EVENT_MAX, "", digits=3)


def _lone(store: Store, count: int) -> tuple[float, float]:
    """Return the median in ms from publishing to arrival, and the memory that it took."""
    with ground(store) as on:
        on.tenant.endpoint(on.receiver.url("/ok"))
        publisher = Publisher(on.server.port, on.tenant.path, on.tenant.key, pause_s=_LONE_PAUSE_S)
        items = [Item(key=f"k{number}", data={"key": f"k{number}"}) for number in range(count)]
        asyncio.run(publisher.run([items]))
        wait_until_settled(on.tenant)
        took_ms = [
            (each.at_s - publisher.journal[each.data["key"]].sent_at_s) * 1e3
            for each in on.receiver.received()
        ]
        return statistics.median(took_ms), rss_mb(on.server.pid, peak=True)

"""What takes longer than a rush: a quiet day's latency, memory over time, a large replay."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proofs.ground import Store, database
from tests.support.server import EVENT_TYPE, Api, Server, Tenant

from benchmarks.engine import SINKS, wait_until
from benchmarks.load import Door
from benchmarks.processes import cpu_s, rss_mb, running, tree_cpu_s
from benchmarks.steady import Steady, begin, finish, percentiles_ms

# Before memory is looked at: pools, caches and free lists have their size by then.
_SETTLED_S: Final = 60.0
_SAMPLE_S: Final = 10.0
_BATCH: Final = 1_000
_REPLAY_PER_S: Final = 1_000  # the most that may be asked for
_S_MAX: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From when an event should have left, in ms: to its 202, and to its receiver."""

    per_s: float
    answered_ms: dict[str, float]
    arrived_ms: dict[str, float]
    errors: int
    cpu_us: float
    store_cpu_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory under a steady load, from when it has settled."""

    per_s: float
    minutes: float
    first_mb: float
    last_mb: float
    mb_per_hour: float  # the slope of the line through all samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A replay of what was delivered before."""

    deliveries: int
    took_s: float
    cpu_us: float
    store_cpu_us: float

    @property
    def per_s(self) -> float:
        """Deliveries per second."""
        return self.deliveries / self.took_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    server: Server
    tenant: Tenant
    sink: int
    store: Store

    def load(self, run: str, *, per_s: float, seconds: float) -> Steady:
        door = Door(path=f"{self.tenant.path}/events", key=self.tenant.key)
        return Steady(port=self.server.port, door=door, per_s=per_s, seconds=seconds, run=run)

    def spent(self) -> tuple[float, float]:
        return cpu_s(self.server.pid), (
            tree_cpu_s(self.store.postmaster) if self.store.postmaster else 0.0
        )


def steady_latency(store: Store, *, per_s: float, seconds: float) -> Latency:
    """Return how long events take at a load that does not wait for answers."""
    with _world(store) as world:
        # What a process does once, it does before.
        finish(begin(world.load("warm", per_s=per_s, seconds=2)), s_max=_S_MAX)
        warm = len(_took_us(world.sink))
        before = world.spent()
        answers = finish(
            begin(world.load("steady", per_s=per_s, seconds=seconds)), s_max=seconds + _S_MAX
        )
        arrived = _took_us(world.sink)[warm:]
        cpu, store_cpu = _spent_us(world, before, len(answers.took_us))
        return Latency(
            per_s=per_s,
            answered_ms=percentiles_ms(answers.took_us),
            arrived_ms=percentiles_ms(arrived),
            errors=answers.errors,
            cpu_us=cpu,
            store_cpu_us=store_cpu,
        )


def memory(store: Store, *, per_s: float, seconds: float) -> Memory:
    """Return how the memory of the serving process goes on under a steady load."""
    with _world(store) as world:
        generator = begin(world.load("steady", per_s=per_s, seconds=seconds))
        began_s = time.monotonic()
        samples: list[tuple[float, float]] = []
        settled_s = min(_SETTLED_S, seconds / 3)
        while generator.poll() is None and time.monotonic() - began_s < seconds:
            time.sleep(min(_SAMPLE_S, seconds / 20))
            at_s = time.monotonic() - began_s
            if at_s >= settled_s:
                samples.append((at_s, rss_mb(world.server.pid)))
        finish(generator, s_max=_S_MAX)
        return Memory(
            per_s=per_s,
            minutes=seconds / 60,
            first_mb=samples[0][1],
            last_mb=samples[-1][1],
            mb_per_hour=_slope(samples) * 3_600,
        )


def large_replay(store: Store, *, deliveries: int) -> Replayed:
    """Return what it costs to send so many again that were delivered."""
    with _world(store) as world:
        _publish(world, deliveries)
        wait_until(world.sink, deliveries)
        before, began_s = world.spent(), time.monotonic()
        world.tenant.api.post(
            f"{world.tenant.path}/replays",
            {"include": ["delivered"], "rate_per_s": _REPLAY_PER_S},
        )
        wait_until(world.sink, 2 * deliveries)
        took_s = time.monotonic() - began_s
        cpu, store_cpu = _spent_us(world, before, deliveries)
        return Replayed(deliveries=deliveries, took_s=took_s, cpu_us=cpu, store_cpu_us=store_cpu)


@contextmanager
def _world(store: Store) -> Iterator[_World]:
    with TemporaryDirectory(prefix="payhooks-bench-") as name, running(SINKS) as (_, sink):
        folder = Path(name)
        with database(store, folder) as url:
            server = Server(folder / "server", url)
            server.start()
            try:
                # Events that are counted carry a number and nothing of a payment.
                tenant = Tenant(Api(server.port), "Benchmark", type_check="off")
                tenant.endpoint(f"http://127.0.0.1:{sink}/ok")
                yield _World(server=server, tenant=tenant, sink=sink, store=store)
            finally:
                server.close()


def _publish(world: _World, events: int) -> None:
    for begun in range(0, events, _BATCH):
        batch = [
            {"type": EVENT_TYPE, "data": {"number": number}}
            for number in range(begun, min(begun + _BATCH, events))
        ]
        world.tenant.api.post(f"{world.tenant.path}/events/batch", {"events": batch})


def _took_us(sink: int) -> list[int]:
    connection = http.client.HTTPConnection("127.0.0.1", sink, timeout=60)
    try:
        connection.request("GET", "/took")
        found: list[int] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return found


def _spent_us(world: _World, before: tuple[float, float], deliveries: int) -> tuple[float, float]:
    now = world.spent()
    serving, database_ = (
        (later - earlier) / max(1, deliveries) * 1e6
        for earlier, later in zip(before, now, strict=True)
    )
    return serving, database_


def _slope(samples: list[tuple[float, float]]) -> float:
    """Return by how much the second number grows where the first grows by one."""
    mean_x, mean_y = (sum(values) / len(samples) for values in zip(*samples, strict=True))
    above = sum((x - mean_x) * (y - mean_y) for x, y in samples)
    below = sum((x - mean_x) ** 2 for x, _ in samples)
    return above / below if below else 0.0

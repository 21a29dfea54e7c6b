"""The engine beside the bare relay: deliveries per second, and what one of them costs.

Every part of a run uses the same load generator, the same receiver and the same machine
within the same minute, so that the ratio holds where the figures do not.

Learnt from profiles, for whoever wants to make an event cheaper. Half of its CPU is the
interpreter's, spread over 370 calls of which none takes 3 %; what looks expensive mostly is
not: a future with its callback costs 0.3 µs, a timer made and cancelled 0.3, a HMAC 2. What was
worth finding was hidden in C: a search for two bytes (2 µs), spelling an id anew (1 µs).
A quarter of the CPU is the kernel's, most of it waking whoever sleeps; so few long turns of the
loop are cheaper than many short ones, and 64 requests under way to one endpoint would make a
delivery 10 to 15 µs cheaper than 16 do. The loop stands still a seventh of the time: 64
publishers wait for one commit, and then all come at once. On SQLite a checkpoint every 1,600
events takes 16 ms; a new PostgreSQL makes a log file every 5,000 events in 48 ms, where one that
has run for a day uses old files again. A checkpoint on a thread of its own was tried and left: the
99th percentile of accept went from 49 to 39 ms, the cost down by 3 %. But where something is
written meanwhile SQLite does not sync the file, and the writer, who has to do the last bit, would
wait on a slow disk for all of it.
"""

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.server import EVENT_TYPE, Api, Server, Tenant

from benchmarks.load import Answers, Door, Load, begin, finish
from benchmarks.log_files import have_log_files
from benchmarks.processes import cpu_s, rss_mb, running, tree_cpu_s
from benchmarks.stocks import Place
from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.registry import PAYHOOKS

WARM_UP_S: Final = 2
SINKS: Final = "benchmarks.sink"
RELAY: Final = "benchmarks.bare_relay"
# Every name that the catalogue has, ours not: those nobody else may publish.
TYPES: Final = tuple(sorted({each.name for each in CATALOGUE.types if each.family != PAYHOOKS}))
# What was accepted is delivered, at the latest, this long afterwards.
DRAIN_S_MAX: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one program did under load."""

    name: str
    deliveries_per_s: float
    cpu_us_per_delivery: float
    store_cpu_us_per_delivery: float = 0.0
    answers: Answers
    rss_mb: float
    backlog: int = 0  # accepted and not yet delivered when the load ended
    drained_s: float = 0.0  # how long that took
    commits_per_event: float = 0.0
    kinds: dict[str, float] = field(default_factory=dict)

    @property
    def cost_us(self) -> float:
        """CPU of the serving processes and of the database, per delivery."""
        return self.cpu_us_per_delivery + self.store_cpu_us_per_delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """To whom events are published, and how many deliveries each becomes."""

    doors: tuple[Door, ...]
    types: tuple[str, ...] = (EVENT_TYPE,)
    fan_out: int = 1
    delivered: int = 0  # before the load begins


# Makes merchants and endpoints on a server that has none; it may stop and start the server.
# The second argument is the receiver's port.
Setting = Callable[[Server, int], Traffic]


def one_merchant(
    endpoints: int = 1,
    *,
    types: tuple[str, ...] = (EVENT_TYPE,),
    stock: Callable[[Place], None] | None = None,
) -> Setting:
    """Return a setting with one merchant whose endpoints hear every event, each one of *types*.

    A *stock* is filled in with the server stopped.
    """

    def make(server: Server, sink: int) -> Traffic:
        tenant = Tenant(Api(server.port), "Benchmark")
        first, *_ = [
            tenant.endpoint(f"http://127.0.0.1:{sink}/ok/{number}", events=list(types))
            for number in range(endpoints)
        ]
        if stock is not None:
            server.stop()
            stock(Place(database_url=server.database_url, merchant_id=tenant.id, endpoint_id=first))
            server.start()
        door = Door(path=f"{tenant.path}/events", key=tenant.key)
        return Traffic(doors=(door,), types=types, fan_out=endpoints)

    return make


def one_of_several(endpoints: int) -> Setting:
    """Return a setting with one merchant, where each event goes to one of its endpoints."""
    types = TYPES[:endpoints]
    assert len(types) == endpoints

    def make(server: Server, sink: int) -> Traffic:
        tenant = Tenant(Api(server.port), "Benchmark")
        for number, type_ in enumerate(types):
            tenant.endpoint(f"http://127.0.0.1:{sink}/ok/{number}", events=[type_])
        door = Door(path=f"{tenant.path}/events", key=tenant.key)
        return Traffic(doors=(door,), types=types)

    return make


def measure_relay(*, seconds: int, connections: int) -> Rate:
    """Return what the relay does."""
    with running(SINKS) as (_, sink), running(RELAY, f"http://127.0.0.1:{sink}/ok") as (it, port):
        load = Load(
            port=port,
            doors=(Door(path="/", key="none"),),
            seconds=seconds + WARM_UP_S,
            connections=connections,
        )
        window = _observe(load, sink, lambda: (cpu_s(it.pid), 0.0), seconds=seconds)
        return Rate(
            name="bare relay",
            deliveries_per_s=window.per_s,
            cpu_us_per_delivery=window.cpu_us,
            answers=window.answers,
            rss_mb=rss_mb(it.pid, peak=True),
        )


class Engine:
    """A serving process that stands ready, its merchants and its receiver; loaded in turns."""

    def __init__(
        self,
        server: Server,
        sink: int,
        traffic: Traffic,
        *,
        connections: int,
        store_pid: int | None,
    ) -> None:
        """Take all that runs; *sink* is the receiver's port."""
        self._server = server
        self._sink = sink
        self._traffic = traffic
        self._connections = connections
        self._store_pid = store_pid
        self._delivered = traffic.delivered
        self._turns = 0

    def turn(self, *, seconds: int) -> Rate:
        """Return what it does under load, once all of that is delivered."""
        if self._server.database_url.startswith("postgres"):
            have_log_files(self._server.database_url, seconds=seconds + WARM_UP_S)
        self._turns += 1
        load = Load(
            port=self._server.port,
            doors=self._traffic.doors,
            types=self._traffic.types,
            seconds=seconds + WARM_UP_S,
            connections=self._connections,
            run=f"turn-{self._turns}",
        )
        commits = _Commits(self._server)
        before = commits.now()
        window = _observe(load, self._sink, self._spent, seconds=seconds)
        self._delivered += window.answers.requests * self._traffic.fan_out
        backlog = self._delivered - count(self._sink)
        drained_s = wait_until(self._sink, self._delivered)
        kinds = commits.since(before)
        return Rate(
            name="payhooks",
            deliveries_per_s=window.per_s,
            cpu_us_per_delivery=window.cpu_us,
            store_cpu_us_per_delivery=window.store_cpu_us,
            answers=window.answers,
            rss_mb=rss_mb(self._server.pid, peak=True),
            backlog=max(0, backlog),
            drained_s=drained_s,
            commits_per_event=sum(kinds.values()) / max(1, window.answers.requests),
            kinds=kinds,
        )

    def _spent(self) -> tuple[float, float]:
        store = tree_cpu_s(self._store_pid) if self._store_pid else 0.0
        return tree_cpu_s(self._server.pid), store


@contextmanager
def serving(  # noqa: PLR0913 - every part is named at the call site
    folder: Path,
    database_url: str,
    *,
    connections: int,
    store_pid: int | None,
    setting: Setting,
    workers: int,
) -> Iterator[Engine]:
    """Yield a serving process on a store, ready for load; *store_pid* is the database's parent."""
    server = Server(folder, database_url, environment={"PAYHOOKS_WORKERS": str(workers)})
    with running(SINKS) as (_, sink):
        server.start()
        try:
            traffic = setting(server, sink)
            yield Engine(server, sink, traffic, connections=connections, store_pid=store_pid)
        finally:
            if server.process is not None:
                server.stop()


def count(port: int) -> int:
    """Return how many requests a sink has answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/count")
        return int(connection.getresponse().read())
    finally:
        connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    per_s: float
    cpu_us: float
    store_cpu_us: float
    answers: Answers


def _observe(
    load: Load, sink: int, spent: Callable[[], tuple[float, float]], *, seconds: int
) -> _Window:
    """Return what happened between the warm-up and the end of the load."""
    generator = begin(load)
    time.sleep(WARM_UP_S)
    begun_s, first, (cpu_0, store_0) = time.monotonic(), count(sink), spent()
    # Half a second before the load ends, so that the window has load to its end.
    time.sleep(seconds - 0.5)
    ended_s, last, (cpu_1, store_1) = time.monotonic(), count(sink), spent()
    answers = finish(generator)
    delivered = max(1, last - first)
    return _Window(
        per_s=delivered / (ended_s - begun_s),
        cpu_us=(cpu_1 - cpu_0) / delivered * 1e6,
        store_cpu_us=(store_1 - store_0) / delivered * 1e6,
        answers=answers,
    )


def wait_until(sink: int, expected: int) -> float:
    """Return after how many seconds so many requests had come."""
    begun_s = time.monotonic()
    while (came := count(sink)) < expected:
        if time.monotonic() - begun_s > DRAIN_S_MAX:
            raise TimeoutError(f"{came:,} of {expected:,} had come after {DRAIN_S_MAX:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - begun_s


class _Commits:
    """Transactions of accept and settle, from the serving process's own metrics."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def now(self) -> dict[str, float]:
        """Return the transactions so far, by kind."""
        found = {}
        for line in Api(self._server.port).get("/metrics")["text"].splitlines():
            if line.startswith("payhooks_commit_rows_count{"):
                kind = line.partition('kind="')[2].partition('"')[0]
                found[kind] = float(line.rpartition(" ")[2])
        return found

    def since(self, before: dict[str, float]) -> dict[str, float]:
        """Return the transactions since then, by kind."""
        return {kind: value - before.get(kind, 0.0) for kind, value in self.now().items()}

"""What it costs to hear: webhooks of a provider taken, verified, told and delivered.

What the profile says of one (SQLite): about a third is the way in (HTTP, signature, a look for
card data, the receipt's own commit), a third reads and folds the payment's history and writes
the event, a third is what any event costs. A receipt is committed twice, once before the
answer and once with its event; both are group-committed.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from proofs.ground import Store, database
from tests.support.captured import capturing
from tests.support.inbound_load import Request, at_rate, in_turn, line, percentile, signed
from tests.support.providers import connector
from tests.support.server import Api, Server, Tenant

from benchmarks.engine import SINKS, count, wait_until
from benchmarks.processes import running, tree_cpu_s

_LINES: Final = 32
_LONE: Final = 100
_LONE_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of it."""

    per_s: float  # answered 200
    cpu_us: float  # of the serving process, from the request to the delivery that follows
    store_cpu_us: float
    half_per_s: float
    answer_p50_ms: float  # at half of that rate
    answer_p99_ms: float
    delivered_ms: float  # a lone webhook: from its first byte to the merchant's receiver, median


def measure(store: Store, *, seconds: int) -> Heard:
    """Return what a served process does with signed webhooks of distinct payments."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="payhooks-bench-")))
        server = Server(folder / "server", stack.enter_context(database(store, folder)))
        stack.callback(server.close)
        _, sink = stack.enter_context(running(SINKS))
        server.start()
        path = _merchant(server, f"http://127.0.0.1:{sink}/ok")
        before_s, store_before_s = _spent(server, store)
        began_s = time.monotonic()
        full = asyncio.run(in_turn(server.port, path, _until(began_s + seconds), lines=_LINES))
        took_s = time.monotonic() - began_s
        heard = full.statuses[200]
        wait_until(sink, heard)
        after_s, store_after_s = _spent(server, store)
        rate = heard / took_s / 2
        half = asyncio.run(
            at_rate(
                server.port,
                path,
                lambda number: signed(f"half{number}"),
                per_s=rate,
                s=float(seconds),
                lines=4 * _LINES,
            )
        )
        wait_until(sink, heard + half.statuses[200])
        assert count(sink) == heard + half.statuses[200], "each is told once"
        return Heard(
            per_s=heard / took_s,
            cpu_us=(after_s - before_s) / heard * 1e6,
            store_cpu_us=(store_after_s - store_before_s) / heard * 1e6,
            half_per_s=rate,
            answer_p50_ms=percentile(half.took_s, 0.5) * 1e3,
            answer_p99_ms=percentile(half.took_s, 0.99) * 1e3,
            delivered_ms=_lone_ms(server),
        )


def _merchant(server: Server, url: str) -> str:
    """Make a merchant who hears and wants to be told; return where to send."""
    tenant = Tenant(Api(server.port), "Hears")
    tenant.endpoint(url, events=["payment_succeeded"])
    connector(tenant)
    return f"/webhooks/{tenant.id}/owlpay"


def _lone_ms(server: Server) -> float:
    """Return the median from sending a webhook to its event's arrival, with nothing else to do."""
    with capturing() as capture:
        path = _merchant(server, capture.url("/ok"))

        async def send() -> list[float]:
            took_ms = []
            async with line(server.port) as connection:
                for number in range(_LONE):
                    body, headers = signed(f"lone{number}")
                    began_s = time.monotonic()
                    await connection.post(path, body, headers)
                    await asyncio.to_thread(capture.until, number + 1)
                    took_ms.append((time.monotonic() - began_s) * 1e3)
                    await asyncio.sleep(_LONE_PAUSE_S)
            return took_ms

        return statistics.median(asyncio.run(send()))


def _until(ends_s: float) -> Iterator[Request]:
    for number in itertools.count():
        if time.monotonic() > ends_s:
            return
        yield signed(f"full{number}")


def _spent(server: Server, store: Store) -> tuple[float, float]:
    of_store = tree_cpu_s(store.postmaster) if store.postmaster else 0.0
    return tree_cpu_s(server.pid), of_store

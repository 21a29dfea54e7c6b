"""What one request costs in CPU: keep-alive, plain HTTP, 100 at a time, 1 KB payload.

Run: ``python benchmarks/transport.py [seconds] [plain|uvloop]``. The receiver is a process of its
own, so the figure is the transport's alone.

Learnt from a profile: half the time is libcurl's and the kernel's; of ours, the most went into
making header lines (their names are now looked up, not checked anew), then into telling the loop
which sockets to watch, twice per request. Keeping a socket watched while it idles would halve
that, but libcurl closes idle sockets without a word, and a closed socket in the loop's table is
the next connection's bug. libcurl's running count makes asking for results needless on most wakes.
"""

import asyncio
import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from payhooks.clock import SystemClock
from payhooks.model.attempt import Answer, Outcome
from payhooks.ports.transport import OutboundRequest
from payhooks.testing import QuietTelemetry
from payhooks.transport import CurlTransport

CONCURRENCY = 100
ANSWER = b"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Length: 2\r\n\r\nok"
HEADERS = tuple(
    (f"webhook-header-{number}", "0123456789abcdef0123456789abcdef") for number in range(11)
)


class _Receiver(asyncio.Protocol):
    """Answer each request; all of them have the same length, so nothing is parsed."""

    def __init__(self) -> None:
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, so nothing can be asserted.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        if self._waiting.endswith(b'"}'):
            self._waiting = b""
            self._transport.write(ANSWER)


def _serve(port: Connection) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Receiver, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


async def _measure(port: int, *, seconds: float) -> None:
    transport = CurlTransport(
        clock=SystemClock(), telemetry=QuietTelemetry(), allowed=("127.0.0.1/32",)
    )
    request = OutboundRequest(
        url=f"http://127.0.0.1:{port}/hook",
        headers=(("content-type", "application/json"), *HEADERS),
        body=b'{"data":"' + b"x" * 1_014 + b'"}',
        deadline_s=15.0,
        connect_timeout_s=5.0,
        allow_http=True,
    )
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    sent = under_way = 0
    begun, cpu = time.monotonic(), _cpu_s()

    def begin() -> None:
        nonlocal under_way
        under_way += 1
        transport.begin(request, count)

    def count(outcome: Outcome) -> None:
        nonlocal sent, under_way
        assert isinstance(outcome, Answer), outcome
        sent += 1
        under_way -= 1
        if time.monotonic() < begun + seconds:
            begin()
        elif not under_way:
            ended.set_result(None)

    for _ in range(CONCURRENCY):
        begin()
    await ended
    elapsed, spent = time.monotonic() - begun, _cpu_s() - cpu
    await transport.close()
    print(f"{sent / elapsed:,.0f} requests/s, {spent / sent * 1e6:.1f} us CPU per request")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Start the receiver, measure, print one line."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    run = asyncio.run if "plain" in sys.argv else uvloop.run
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    receiver.start()
    try:
        run(_measure(ours.recv(), seconds=seconds))
    finally:
        receiver.terminate()
        receiver.join()


if __name__ == "__main__":
    main()

"""The cheapest receiver there is: says 200 to each request and counts them.

    python -m benchmarks.sink

It prints its port, then answers until its standard input closes. ``GET /count`` tells how
many requests came, ``GET /took`` in a list how many microseconds each was on its way whose
payload says when it was sent (see steady.py). A process of its own, so that what is measured
does not pay for it.
"""

import asyncio
import sys
import time
from typing import Final, cast

import uvloop

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# One clock for all processes of a machine, moved on so far that it always has as many digits.
SENT_US: Final = b'"sent_us":'
SENT_US_DIGITS: Final = 16
OFFSET_US: Final = 10 ** (SENT_US_DIGITS - 1)
_END: Final = b"\r\n\r\n"
# As libcurl spells it, and as others do.
_LENGTHS: Final = (b"Content-Length: ", b"content-length: ")


class Count:
    """How many requests came, and how long they were on their way."""

    def __init__(self) -> None:
        self.requests = 0
        self.took_us: list[int] = []


class Sink(asyncio.Protocol):
    """One connection. Reads lengths and nothing else."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, so nothing can be asserted.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._waiting + data
        while data:
            head, end, rest = data.partition(_END)
            length = _length(head) if end else 0
            if not end or len(rest) < length:
                break
            data = rest[length:]
            self._answer(head, rest[:length])
        self._waiting = data

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /"):
            told = self._count.took_us if head.startswith(b"GET /took") else self._count.requests
            text = str(told).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
            self._transport.write(text)
            return
        self._count.requests += 1
        start = body.find(SENT_US)
        if start >= 0:
            start += len(SENT_US)
            sent_us = int(body[start : start + SENT_US_DIGITS])
            self._count.took_us.append(OFFSET_US + time.monotonic_ns() // 1_000 - sent_us)
        self._transport.write(ANSWER)


def _length(head: bytes) -> int:
    for name in _LENGTHS:
        start = head.find(name)
        if start >= 0:
            start += len(name)
            end = head.find(b"\r", start)
            return int(head[start:] if end < 0 else head[start:end])
    return 0


async def _serve() -> None:
    count = Count()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(count), "127.0.0.1", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())

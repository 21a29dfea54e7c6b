"""The cheapest receiver there is: says 200 to each request and counts them.

    python -m benchmarks.sink

It prints its port, then answers until its standard input closes. ``GET /count`` tells how
many requests came. A process of its own, so that what is measured does not pay for it.
"""

import asyncio
import sys
from typing import Final, cast

import uvloop

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"ontent-length: "


class Count:
    """How many requests came."""

    def __init__(self) -> None:
        self.requests = 0


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
            self._answer(head)
        self._waiting = data

    def _answer(self, head: bytes) -> None:
        if head.startswith(b"GET /count"):
            body = str(self._count.requests).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)
            return
        self._count.requests += 1
        self._transport.write(ANSWER)


def _length(head: bytes) -> int:
    # Header names come in either case: ours are lower, those of a load generator may not be.
    start = head.find(_LENGTH)
    if start < 0:
        return 0
    start += len(_LENGTH)
    end = head.find(b"\r", start)
    return int(head[start:] if end < 0 else head[start:end])


async def _serve() -> None:
    count = Count()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(count), "127.0.0.1", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(_serve())

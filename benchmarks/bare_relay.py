"""What a relay costs that promises nothing: the same server, the same transport, no store.

    python -m benchmarks.bare_relay URL

It prints its port, then answers 202 to every POST and sends the body to URL, until its
standard input closes. What it has not sent when it dies is lost; that is the point: the
distance from here to Payhooks is the price of the promises.
"""

import asyncio
import sys
from collections import deque
from typing import Final

import uvicorn
import uvloop

from payhooks.api.asgi import Receive, Scope, Send
from payhooks.clock import SystemClock
from payhooks.model.attempt import Outcome
from payhooks.ports.transport import OutboundRequest
from payhooks.serving import BACKLOG, bind, prepare_process
from payhooks.testing import QuietTelemetry
from payhooks.transport import CurlTransport

# Three times what Payhooks has under way to one endpoint. A relay has no receivers to spare and no
# endpoints to keep apart; with 16 it would cost 6 to 8 µs more.
SENDERS: Final = 64
# Beyond this the answer waits: without a bound it would accept more than it ever sends.
PENDING_MAX: Final = 1_000
# As many as a signed delivery has, and as long.
HEADERS: Final = (
    ("content-type", "application/json"),
    ("user-agent", "bare-relay"),
    ("webhook-id", "del_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
    ("webhook-timestamp", "1700000000"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
)
_HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"2")]


class Relay:
    """The ASGI application and what is sent behind it, as fast as transport allows: no tasks."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pending: deque[bytes] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._in_flight = 0
        self._transport = CurlTransport(
            clock=SystemClock(), telemetry=QuietTelemetry(), allowed=("127.0.0.1/32",)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        while len(self._pending) >= PENDING_MAX:
            self._room.clear()
            await self._room.wait()
        self._pending.append(body)
        if self._in_flight < SENDERS:
            self._in_flight += 1
            self._begin_next()
        await send({"type": "http.response.start", "status": 202, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": b"{}"})

    def _begin_next(self) -> None:
        request = OutboundRequest(
            url=self._url,
            headers=HEADERS,
            body=self._pending.popleft(),
            deadline_s=15.0,
            connect_timeout_s=5.0,
            allow_http=True,
        )
        self._transport.begin(request, self._ended)

    def _ended(self, _outcome: Outcome) -> None:
        self._room.set()
        if self._pending:
            self._begin_next()
        else:
            self._in_flight -= 1


async def _serve(url: str) -> None:
    relay = Relay(url)
    config = uvicorn.Config(
        relay,
        http="httptools",
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
    )
    server = uvicorn.Server(config)
    with bind("127.0.0.1", 0, shared=False) as listener:
        # Before the port is told, so that nobody comes too early.
        listener.listen(BACKLOG)
        print(listener.getsockname()[1], flush=True)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        server.should_exit = True
        await serving


if __name__ == "__main__":
    prepare_process()
    uvloop.run(_serve(sys.argv[1]))

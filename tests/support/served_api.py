"""The API over the memory store behind a real uvicorn on loopback, and a raw way to talk to it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

import uvicorn
from tests.support.api_world import OPERATOR_KEY, World

from payhooks.api.asgi import Receive, Scope, Send
from payhooks.api.protocol import guarded_http

WAIT_S: Final = 10.0


@dataclass(frozen=True)
class RawAnswer:
    """What came back until the server had nothing more to say."""

    status: int | None  # None: the connection was closed without a word
    bytes_: bytes
    closed: bool


@dataclass(frozen=True)
class Served:
    """A running server."""

    world: World
    port: int
    merchant: str
    by_app: asyncio.Queue[str]  # the paths of the requests that the application heard of

    async def raw(self, *pieces: bytes, wait_s: float = 2.0) -> RawAnswer:
        """Send the pieces as they are, then read one answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        got, closed = b"", False
        try:
            for piece in pieces:
                writer.write(piece)
                # A server that has refused already may close while we still send.
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
            got, closed = await _read(reader, wait_s)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        status = int(got[9:12]) if got.startswith(b"HTTP/1.1 ") else None
        return RawAnswer(status=status, bytes_=got, closed=closed)

    def head(self, *lines: str, method: str = "POST", target: str | None = None) -> bytes:
        """Return the head of a request to publish, with *lines* added."""
        target = target or f"/v1/merchants/{self.merchant}/events"
        always = [
            f"{method} {target} HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            f"authorization: Bearer {OPERATOR_KEY}",
            "content-type: application/json",
        ]
        return "\r\n".join([*always, *lines, "", ""]).encode("latin-1")

    async def answers_a_good_request(self) -> bool:
        """Return whether the next good request is accepted."""
        body = b'{"type":"payment_succeeded","data":{}}'
        answer = await self.raw(
            self.head(f"content-length: {len(body)}", "connection: close"), body
        )
        return answer.status == 202


async def _read(reader: asyncio.StreamReader, wait_s: float) -> tuple[bytes, bool]:
    got = b""
    try:
        async with asyncio.timeout(wait_s):
            while True:
                piece = await reader.read(65_536)
                if not piece:
                    return got, True
                got += piece
                head, separator, body = got.partition(b"\r\n\r\n")
                if separator and _is_whole(head, body):
                    # Some answers end the connection: give that a moment to show.
                    wait_more = 0.2 if b"connection: close" in head.lower() else 0.0
                    async with asyncio.timeout(wait_more):
                        return got, not await reader.read(65_536)
    except TimeoutError:
        return got, False
    except ConnectionError:
        return got, True


def _is_whole(head: bytes, body: bytes) -> bool:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


class _Server(uvicorn.Server):
    """uvicorn that says when it is up, and leaves signals to pytest."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        self.is_up.set()


@contextlib.asynccontextmanager
async def served(*, connections_max: int | None = None) -> AsyncIterator[Served]:
    """Run the server for as long as the block lasts."""
    world = World()
    merchant = await world.merchant()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    by_app: asyncio.Queue[str] = asyncio.Queue()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        by_app.put_nowait(scope["path"])
        await world.app(scope, receive, send)

    plain = world.application.plain
    config = uvicorn.Config(
        app,
        http=guarded_http(world.ids, plain=plain, head_wait_s=0.5, body_wait_s=1.0),
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=5,
        limit_concurrency=connections_max,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(WAIT_S):
            await server.is_up.wait()
        yield Served(world=world, port=listener.getsockname()[1], merchant=merchant, by_app=by_app)
    finally:
        server.should_exit = True
        await running
        listener.close()

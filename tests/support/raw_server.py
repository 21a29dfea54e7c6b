"""A receiver that says exactly the bytes a test wants said, and counts who called.

``asyncio.start_server`` and nothing above it: an HTTP library would refuse to misbehave.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from payhooks.clock import Clock, SystemClock
from payhooks.model.attempt import Outcome
from payhooks.ports.telemetry import Telemetry
from payhooks.ports.transport import OutboundRequest, end_of
from payhooks.testing import QuietTelemetry
from payhooks.transport import CurlTransport, Resolver, Unresolved

LOOPBACK = ("127.0.0.1/32",)


class Connection:
    """One accepted connection, from the receiver's side."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number  # 1 for the first that the server accepted
        self._reader = reader
        self._writer = writer

    async def read_request(self) -> bytes:
        """Return one whole request, or the empty bytes when the caller is gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            return head + await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def read_exactly(self, count: int) -> bytes:
        """Return *count* bytes; raises ConnectionError when the caller is gone."""
        try:
            return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError:
            raise ConnectionResetError from None

    async def say(self, data: bytes) -> None:
        """Send *data* and wait until the system has taken it; raises when the caller is gone."""
        self._writer.write(data)
        await self._writer.drain()

    async def wait_until_closed(self) -> None:
        """Return when the caller has closed."""
        try:
            while await self._reader.read(65_536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        """Break off with a TCP reset."""
        self._writer.transport.abort()


class ScriptedResolver:
    """Answers each name with what a test says, and counts the questions."""

    def __init__(self, script: Callable[[str], tuple[str, ...] | Unresolved]) -> None:
        self._script = script
        self.asked: list[str] = []

    async def resolve(self, host: str) -> tuple[str, ...] | Unresolved:
        """See Resolver."""
        self.asked.append(host)
        return self._script(host)

    async def close(self) -> None:
        """See Resolver."""


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """What a script server saw."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.requests: list[bytes] = []


@asynccontextmanager
async def raw_server(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawServer]:
    """Serve every connection with *script* until the block ends, then cut them all."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.connections += 1
        try:
            await script(Connection(seen.connections, reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    seen = RawServer(server.sockets[0].getsockname()[1])
    try:
        yield seen
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(answer: bytes) -> Script:
    """Return a script that answers every request of a connection with *answer*."""

    async def script(connection: Connection) -> None:
        while await connection.read_request():
            await connection.say(answer)

    return script


def says_and_closes(answer: bytes) -> Script:
    """Return a script that answers one request and closes the connection."""

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(answer)

    return script


class AwaitedTransport(CurlTransport):
    """The transport for those who have but one request on their mind."""

    async def send(self, request: OutboundRequest) -> Outcome:
        """Return what came of one attempt; cancelling it cancels the attempt."""
        return await end_of(partial(self.begin, request))


@asynccontextmanager
async def open_transport(  # noqa: PLR0913 - the transport's own arguments
    *,
    allowed: tuple[str, ...] = LOOPBACK,
    proxy: str | None = None,
    ca_bundle: str | None = None,
    resolver: Resolver | None = None,
    clock: Clock | None = None,
    on_dial: Callable[[str], None] | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[AwaitedTransport]:
    """Give a transport that may call loopback, and close it."""
    transport = AwaitedTransport(
        clock=clock or SystemClock(),
        telemetry=telemetry or QuietTelemetry(),
        allowed=allowed,
        proxy=proxy,
        ca_bundle=ca_bundle,
        resolver=resolver,
        on_dial=on_dial,
    )
    try:
        yield transport
    finally:
        await transport.close()


def post(
    url: str,
    *,
    body: bytes = b'{"type":"payment.succeeded"}',
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
    deadline_s: float = 5.0,
    connect_timeout_s: float = 2.0,
) -> OutboundRequest:
    """Return a request as a delivery makes it."""
    return OutboundRequest(
        url=url,
        headers=headers,
        body=body,
        deadline_s=deadline_s,
        connect_timeout_s=connect_timeout_s,
        allow_http=True,
    )

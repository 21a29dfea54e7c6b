"""A bad line: a TCP proxy on loopback that does to bytes what networks do to them.

It runs on a thread of its own, so that tests of either kind can use it:

    with FaultProxy(server_port) as proxy:
        proxy.inflict(to_client=Faults(stopped=True))   # also what is connected feels it
        proxy.heal()

Bytes are counted from the start of each connection, in each direction.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Final, Self, TypeVar

_Result = TypeVar("_Result")
_READ_BYTES: Final = 65_536
_HELD_MAX: Final = 64  # reads that are on their way; more are left to the kernel
_CALL_S_MAX: Final = 10.0
_RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Way(Enum):
    """A direction."""

    TO_SERVER = "to_server"
    TO_CLIENT = "to_client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to one direction of every connection. As made, nothing does."""

    latency_s: float = 0.0  # each byte arrives so much later, none overtakes another
    bytes_per_s: float | None = None
    slice_bytes: int | None = None  # no segment is longer
    stopped: bool = False  # nothing passes, not even the end: a black hole while it lasts
    reset_after: int | None = None  # so many bytes pass, then both sides see a reset
    half_close_after: int | None = None  # so many pass, then the end; the other way stays open
    corrupt_at: int | None = None  # the byte with this index arrives as another

    @property
    def ends_after(self) -> int | None:
        """How many bytes may pass at all."""
        return self.reset_after if self.reset_after is not None else self.half_close_after


_NONE: Final = Faults()


class FaultProxy:
    """Listens on ``port`` of loopback and passes on to a server, as far as its faults allow."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port  # may be changed: new connections go there
        self.port = 0
        self.refuses = False  # new connections are reset at once
        self.connections = 0  # accepted so far
        self.passed: Counter[Way] = Counter()  # bytes
        self.faults = dict.fromkeys(Way, _NONE)
        self._changed = asyncio.Event()
        self._lines: set[_Line] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CALL_S_MAX)
        self._loop.close()

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._lines)

    def inflict(self, *, to_server: Faults = _NONE, to_client: Faults = _NONE) -> None:
        """Let this happen from now on, to what is connected too."""
        self._run(self._inflict(to_server, to_client))

    def black_hole(self) -> None:
        """Accept connections, keep those that there are, and pass nothing either way."""
        self.inflict(to_server=Faults(stopped=True), to_client=Faults(stopped=True))

    def heal(self) -> None:
        """Let everything pass; what was held is passed on."""
        self.refuses = False
        self.inflict()

    def cut(self) -> None:
        """Reset every connection."""
        self._run(self._cut())

    async def passable(self, way: Way) -> Faults:
        """Return the faults of *way* as soon as it is not stopped."""
        while self.faults[way].stopped:
            await self._changed.wait()
        return self.faults[way]

    def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_CALL_S_MAX)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1_024)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refuses:
            return _reset(writer)
        try:
            server = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            return _reset(writer)
        line = _Line(self, (reader, writer), server)
        self._lines.add(line)
        try:
            await line.run()
        except asyncio.CancelledError:
            # Only at the end of the proxy; asyncio would print what is no news.
            return None
        finally:
            self._lines.discard(line)
        return None

    async def _inflict(self, to_server: Faults, to_client: Faults) -> None:
        self.faults = {Way.TO_SERVER: to_server, Way.TO_CLIENT: to_client}
        self._changed.set()
        self._changed = asyncio.Event()

    async def _cut(self) -> None:
        for line in tuple(self._lines):
            line.reset()

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Line:
    """One connection: two directions, each a reader, what is on its way, and a writer."""

    def __init__(self, proxy: FaultProxy, client: _Stream, server: _Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        for _, writer in (client, server):
            # What we cut into slices must not be glued together again by the kernel.
            _socket(writer).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self) -> None:
        """Pass on until both directions have ended."""
        tasks = [
            asyncio.create_task(self._pass(Way.TO_SERVER, self._client[0], self._server[1])),
            asyncio.create_task(self._pass(Way.TO_CLIENT, self._server[0], self._client[1])),
        ]
        try:
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            for _, writer in (self._client, self._server):
                writer.close()

    def reset(self) -> None:
        """Break off, so that both sides see a reset."""
        for _, writer in (self._client, self._server):
            _reset(writer)

    async def _pass(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_HELD_MAX)
        reading = asyncio.create_task(self._read(way, reader, held))
        try:
            await self._write(way, held, writer)
        except ConnectionError:
            self.reset()
        finally:
            reading.cancel()

    async def _read(
        self, way: Way, reader: asyncio.StreamReader, held: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        loop = asyncio.get_running_loop()
        data = b"?"
        while data:
            try:
                data = await reader.read(_READ_BYTES)
            except ConnectionError:
                return self.reset()
            await held.put((loop.time() + self._proxy.faults[way].latency_s, data))
        return None

    async def _write(
        self, way: Way, held: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        passed = 0
        while True:
            due_s, data = await held.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            faults = await self._proxy.passable(way)
            if not data:
                return _end(writer)
            for piece in _pieces(data, faults.slice_bytes):
                faults = await self._proxy.passable(way)
                sent = _spoilt(piece, passed, faults)
                # Counted first, so that who has received a byte finds it counted.
                passed += len(sent)
                self._proxy.passed[way] += len(sent)
                writer.write(sent)
                await writer.drain()
                if faults.ends_after is not None and passed >= faults.ends_after:
                    if faults.reset_after is not None:
                        return self.reset()
                    return _end(writer)
                if faults.bytes_per_s:
                    await asyncio.sleep(len(sent) / faults.bytes_per_s)
                elif faults.slice_bytes:
                    await asyncio.sleep(0)


def _pieces(data: bytes, bytes_: int | None) -> Iterator[bytes]:
    step = bytes_ or len(data)
    for start in range(0, len(data), step):
        yield data[start : start + step]


def _spoilt(piece: bytes, passed: int, faults: Faults) -> bytes:
    """Return what arrives of *piece*, before which *passed* bytes have."""
    at = faults.corrupt_at
    if at is not None and passed <= at < passed + len(piece):
        flipped = bytearray(piece)
        flipped[at - passed] ^= 0xFF
        piece = bytes(flipped)
    return piece if faults.ends_after is None else piece[: max(0, faults.ends_after - passed)]


def _end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        _socket(writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
    writer.transport.abort()


def _socket(writer: asyncio.StreamWriter) -> Any:  # noqa: ANN401 - asyncio's stand-in for a socket
    return writer.get_extra_info("socket")

"""A receiver that behaves as its URL says, and writes down every request that came.

    python -m tests.support.receiver JOURNAL      its own process: prints its port, ends with stdin

/ok… answers at once, /hang… never, /slow?s=1 after a while, /503 with that status. Whatever the
path, the request is noted before it is answered, with the verdict of code that imports nothing
of the product. A test that wants more gives `Receiver` a function of its own.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast
from urllib.parse import parse_qs, urlsplit

import uvloop
from tests.outside.verify_standard import is_signed_by

_END: Final = b"\r\n\r\n"
_LINES_PER_FLUSH: Final = 200
_SECRETS: Final = "/secrets"
_COUNT: Final = "/count"


@dataclass(frozen=True, slots=True)
class Reception:
    """One request that came: everything a checker needs, and no more."""

    at_s: float  # monotonic, the same for every process of this machine
    path: str
    message_id: str
    verified: bool
    data: Any  # the event's data, as published

    def line(self) -> str:
        """Return it as one line of a journal."""
        return json.dumps([self.at_s, self.path, self.message_id, self.verified, self.data])


Answering = Callable[[Reception], Awaitable[bytes | None]]


def answer_bytes(status: int = 200, headers: str = "") -> bytes:
    """Return a whole answer."""
    return f"HTTP/1.1 {status} X\r\n{headers}content-length: 2\r\n\r\nok".encode()


async def behave(reception: Reception) -> bytes | None:
    """Answer as the path says; None: never."""
    parts = urlsplit(reception.path)
    word = parts.path.split("/")[1]
    if word == "hang":
        return None
    if word == "slow":
        await asyncio.sleep(float(parse_qs(parts.query)["s"][0]))
        return answer_bytes()
    return answer_bytes(int(word) if word.isdecimal() else 200)


class Receiver:
    """Keeps what came. Secrets are by path; a path without one verifies nothing."""

    def __init__(self, answering: Answering = behave, journal: IO[str] | None = None) -> None:
        self.received: list[Reception] = []
        self.secrets: dict[str, str] = {}
        self.arrived = asyncio.Event()
        self.open: set[asyncio.WriteTransport] = set()
        self.port = 0
        self.count = 0
        self._answering = answering
        self._journal = journal
        self._server: asyncio.Server | None = None

    async def start(self) -> "Receiver":
        """Listen on a free port of loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", 0, backlog=1_024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def until(self, enough: Callable[[Sequence[Reception]], bool], *, s: float = 30) -> None:
        """Return when what came is enough."""
        async with asyncio.timeout(s):
            while not enough(self.received):
                self.arrived.clear()
                await self.arrived.wait()

    async def close(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is not None:
            self._server.close()
        for transport in list(self.open):
            transport.abort()
        # Each is told in a turn of the loop that it is gone.
        await asyncio.sleep(0)

    def note(self, path: str, headers: Mapping[str, str], body: bytes) -> Reception:
        """Write one request down."""
        secret = self.secrets.get(path)
        reception = Reception(
            time.monotonic(),
            path,
            headers.get("webhook-id", ""),
            secret is not None and is_signed_by(secret, headers, body),
            _data(body),
        )
        self.count += 1
        if self._journal is None:
            self.received.append(reception)
            self.arrived.set()
        else:
            self._journal.write(reception.line() + "\n")
            if self.count % _LINES_PER_FLUSH == 0:
                self._journal.flush()
        return reception

    def command(self, path: str, body: bytes) -> bytes | None:
        """Answer what is not a delivery: the secrets to verify with, and how many came."""
        if path == _SECRETS:
            self.secrets.update(json.loads(body))
            return answer_bytes()
        if path == _COUNT:
            if self._journal is not None:
                self._journal.flush()
            count = str(self.count)
            return f"HTTP/1.1 200 X\r\ncontent-length: {len(count)}\r\n\r\n{count}".encode()
        return None

    async def answer(self, reception: Reception) -> bytes | None:
        return await self._answering(reception)


class _Connection(asyncio.Protocol):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._waiting = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, so nothing can be asserted.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._receiver.open.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.open.discard(self._transport)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while _END in self._waiting:
            head, _, rest = self._waiting.partition(_END)
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", "0"))
            if len(rest) < length:
                return
            self._waiting = rest[length:]
            self._take(first.split(" ")[1], headers, rest[:length])

    def _take(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        if (said := self._receiver.command(path, body)) is not None:
            self._transport.write(said)
            return
        reception = self._receiver.note(path, headers, body)
        task = asyncio.get_running_loop().create_task(self._say(reception))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say(self, reception: Reception) -> None:
        said = await self._receiver.answer(reception)
        if said is not None:
            self._transport.write(said)


def read_journal(path: Path) -> list[Reception]:
    """Return what a receiver of its own process wrote down."""
    with path.open(encoding="utf-8") as lines:
        return [Reception(*json.loads(line)) for line in lines]


def _data(body: bytes) -> object:
    try:
        return json.loads(body)["data"]
    except (ValueError, KeyError, TypeError):
        return None


async def _serve(journal: IO[str]) -> None:
    receiver = await Receiver(journal=journal).start()
    print(receiver.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await receiver.close()


if __name__ == "__main__":
    with Path(sys.argv[1]).open("w", encoding="utf-8") as file:
        uvloop.run(_serve(file))

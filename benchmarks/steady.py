"""The load of a quiet day: so many events a second, whether or not the last was answered.

    python -m benchmarks.steady LOAD.json

An event that should have left while every connection was busy counts from when it should have
left: who waits in line is late too.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop

from benchmarks.load import Door, payment
from benchmarks.sink import OFFSET_US, SENT_US

_TICK_S: Final = 0.001
_LAST_S_MAX: Final = 60.0  # for what is still under way at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """What to send where, how often, how long."""

    port: int
    door: Door
    per_s: float
    seconds: float
    connections: int = 64
    run: str = "steady"  # the beginning of its idempotency keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back: how long each answer took, and how many were no 202."""

    took_us: list[int]
    errors: int


def begin(load: Steady) -> "subprocess.Popen[str]":
    """Start the generator; `finish` returns what came of it."""
    file = Path(tempfile.mkdtemp(prefix="payhooks-load-")) / "load.json"
    file.write_bytes(msgspec.json.encode(load))
    command = [sys.executable, "-m", "benchmarks.steady", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]", *, s_max: float) -> Answered:
    """Return what the generator counted, when it has ended."""
    said, _ = process.communicate(timeout=s_max)
    if process.returncode:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    return msgspec.json.decode(said, type=Answered)


def percentiles_ms(took_us: list[int]) -> dict[str, float]:
    """Return the median, the 99th percentile and the 99.9th."""
    ordered = sorted(took_us) or [0]
    parts = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    return {name: ordered[int((len(ordered) - 1) * part)] / 1e3 for name, part in parts.items()}


class _Line:
    """The events that are due, and the connections that are free."""

    def __init__(self) -> None:
        self.due_us: deque[int] = deque()
        self.free: deque[_Caller] = deque()
        self.took_us: list[int] = []
        self.errors = 0
        self._answered = asyncio.Event()

    async def is_answered(self, events: int) -> None:
        """Return when so many were answered."""
        while len(self.took_us) < events:
            self._answered.clear()
            await self._answered.wait()

    def answered(self, took_us: int) -> None:
        self.took_us.append(took_us)
        self._answered.set()

    def go(self) -> None:
        while self.due_us and self.free:
            self.free.popleft().send(self.due_us.popleft())


class _Caller(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, load: Steady, number: int, line: _Line) -> None:
        self._line = line
        self._head = (
            f"POST {load.door.path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            "content-type: application/json\r\n"
            f"authorization: Bearer {load.door.key}\r\nidempotency-key: {load.run}-{number}-"
        ).encode()
        event = json.loads(payment())
        event["data"]["sent_us"] = OFFSET_US
        self._body = json.dumps(event, separators=(",", ":")).encode()
        assert SENT_US in self._body
        self._sent = 0
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._line.free.append(self)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        if not end or len(rest) < _length(head):
            return
        self._waiting = b""
        self._line.answered(_now_us() - self._due_us)
        self._line.errors += not head.startswith(b"HTTP/1.1 202")
        self._line.free.append(self)
        self._line.go()

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.errors += exc is not None

    def send(self, due_us: int) -> None:
        self._due_us = due_us
        self._sent += 1
        body = self._body.replace(b"%d" % OFFSET_US, b"%d" % due_us)
        length = f"{self._sent}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(self._head + length.encode() + body)

    def close(self) -> None:
        self._transport.close()


def _length(head: bytes) -> int:
    name = b"content-length: "
    start = head.lower().find(name) + len(name)
    return int(head[start:].partition(b"\r")[0])


def _now_us() -> int:
    return OFFSET_US + time.monotonic_ns() // 1_000


async def _generate(load: Steady) -> Answered:
    loop = asyncio.get_running_loop()
    line = _Line()
    callers = [
        (
            await loop.create_connection(
                lambda number=number: _Caller(load, number, line),  # type: ignore[misc]  # a default binds the loop
                "127.0.0.1",
                load.port,
            )
        )[1]
        for number in range(load.connections)
    ]
    began_us, gap_us = _now_us(), 1e6 / load.per_s
    events = round(load.per_s * load.seconds)
    made = 0
    while made < events:
        while made < events and began_us + made * gap_us <= _now_us():
            line.due_us.append(round(began_us + made * gap_us))
            made += 1
        line.go()
        await asyncio.sleep(_TICK_S)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_S_MAX):
            await line.is_answered(events)
    for caller in callers:
        caller.close()
    unanswered = events - len(line.took_us)
    return Answered(took_us=line.took_us, errors=line.errors + unanswered)


if __name__ == "__main__":
    _load = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Steady)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(_generate(_load))))

"""The load: POSTs as fast as the answers come, from a process of its own.

``wrk`` where it is installed, because it costs the machine least; else a small generator of
our own. Each request has an idempotency key that no other has.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, cast

import msgspec
import uvloop

from payhooks.catalogue import CATALOGUE

_WORDS: Final = "Two chairs, one table; leave them with the neighbour. " * 20
_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local doors = {%(doors)s}
local bodies = {%(bodies)s}
local number = 0
request = function()
  number = number + 1
  local door = doors[math.random(#doors)]
  wrk.headers["authorization"] = door[2]
  wrk.headers["idempotency-key"] = "%(run)s-" .. number
  return wrk.format(nil, door[1], nil, bodies[math.random(#bodies)])
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout, latency:percentile(50),
    latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where a merchant's events are published, and with which key."""

    path: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send where, how long, by how many connections: each request to any of the doors."""

    port: int
    doors: tuple[Door, ...]
    seconds: int
    connections: int = 64
    types: tuple[str, ...] = ("payment_succeeded",)  # each request one of them
    run: str = "load"  # the beginning of its idempotency keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came back."""

    generator: str
    requests: int
    per_s: float
    errors: int
    p50_ms: float
    p99_ms: float


def payment(type_: str = "payment_succeeded", *, bytes_: int = 1_024) -> bytes:
    """Return a publication of about so many bytes, as a payment company sends it.

    Its data is the catalogue's example: what is wrong with an event is found and stored. It is
    filled up with words: one letter a thousand times is what a look for card data is slowest with.
    """
    family = CATALOGUE.family_of(type_, ())
    known = None if family is None else CATALOGUE.find(family, type_)
    if known is None or known.example is None:
        raise LookupError(f"{type_} has no example")
    data = {**json.loads(known.example), "note": ""}
    thing = {"type": known.object_type, "id": "pay_01J0000000000000000000000"}
    event = {"type": type_, "object": thing}
    room = bytes_ - len(json.dumps({**event, "data": data}, separators=(",", ":")))
    data["note"] = _WORDS[: max(0, room)]
    return json.dumps({**event, "data": data}, separators=(",", ":")).encode()


def begin(load: Load) -> "subprocess.Popen[str]":
    """Start the generator; `finish` returns what came of it."""
    if shutil.which("wrk"):
        script = Path(tempfile.mkdtemp(prefix="payhooks-load-")) / "load.lua"
        words = {
            "run": load.run,
            "doors": ",".join(f'{{"{door.path}","Bearer {door.key}"}}' for door in load.doors),
            "bodies": ",".join(f"[[{payment(type_).decode()}]]" for type_ in load.types),
        }
        script.write_text(_SCRIPT % words, encoding="utf-8")
        command = [
            *("wrk", "--threads", "1", "--connections", str(load.connections)),
            *("--duration", f"{load.seconds}s", "--timeout", "30s", "--script", str(script)),
            f"http://127.0.0.1:{load.port}",
        ]
    else:
        file = Path(tempfile.mkdtemp(prefix="payhooks-load-")) / "load.json"
        file.write_bytes(msgspec.json.encode(load))
        command = [sys.executable, "-m", "benchmarks.load", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: "subprocess.Popen[str]") -> Answers:
    """Return what the generator counted, when it has ended."""
    said, _ = process.communicate(timeout=600)
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if found is None:
        raise RuntimeError(f"the load generator said:\n{said}")
    requests, took_us, errors, p50_us, p99_us = map(int, found.groups())
    return Answers(
        generator="wrk" if "threads and" in said else "benchmarks.load",
        requests=requests,
        per_s=requests / took_us * 1e6,
        errors=errors,
        p50_ms=p50_us / 1e3,
        p99_ms=p99_us / 1e3,
    )


class _Caller(asyncio.Protocol):
    """One connection: the next request leaves when the last one is answered."""

    def __init__(self, load: Load, number: int, ends_s: float, counts: "_Counts") -> None:
        self._heads = [
            f"POST {door.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {door.key}\r\n".encode()
            for door in load.doors
        ]
        self._bodies = [payment(type_) for type_ in load.types]
        self._random = Random(number)
        self._keys = f"{load.run}-{number}"
        self._ends_s = ends_s
        self._counts = counts
        self._sent = 0
        self._waiting = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not end or length is None or len(rest) < int(length[1]):
            return
        self._waiting = b""
        self._counts.took_s.append(time.monotonic() - self._sent_s)
        self._counts.errors += not head.startswith(b"HTTP/1.1 202")
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self._counts.errors += exc is not None
            self.done.set_result(None)

    def _send(self) -> None:
        self._sent_s = time.monotonic()
        if self._sent_s >= self._ends_s:
            self._transport.close()
            return
        self._sent += 1
        head, body = self._random.choice(self._heads), self._random.choice(self._bodies)
        rest = f"idempotency-key: {self._keys}-{self._sent}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head + rest.encode() + body)


class _Counts:
    def __init__(self) -> None:
        self.took_s: list[float] = []
        self.errors = 0


async def _generate(load: Load) -> str:
    counts = _Counts()
    begun_s = time.monotonic()
    loop = asyncio.get_running_loop()
    callers = [
        (
            await loop.create_connection(
                lambda number=number: _Caller(  # type: ignore[misc]  # a default binds the loop
                    load, number, begun_s + load.seconds, counts
                ),
                "127.0.0.1",
                load.port,
            )
        )[1]
        for number in range(load.connections)
    ]
    await asyncio.gather(*(caller.done for caller in callers))
    took_us = round((time.monotonic() - begun_s) * 1e6)
    sorted_us = sorted(round(took_s * 1e6) for took_s in counts.took_s) or [0]
    p50, p99 = (sorted_us[len(sorted_us) * part // 100] for part in (50, 99))
    return f"RESULT {len(counts.took_s)} {took_us} {counts.errors} {p50} {p99}"


if __name__ == "__main__":
    print(uvloop.run(_generate(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Load))))

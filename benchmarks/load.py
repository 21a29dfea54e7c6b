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
from typing import Final, cast

import uvloop

_SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer %(key)s"
local number = 0
local body = [[%(body)s]]
request = function()
  number = number + 1
  wrk.headers["idempotency-key"] = "%(run)s-" .. number
  return wrk.format(nil, nil, nil, body)
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout, latency:percentile(50),
    latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send where, how long, by how many connections."""

    port: int
    path: str
    key: str
    seconds: int
    connections: int = 64
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


def payment(bytes_: int = 1_024) -> bytes:
    """Return a publication of about so many bytes, as a payment company sends it."""
    data = {
        "id": "pay_01J0000000000000000000000",
        "amount": "1250.00",
        "currency": "EUR",
        "status": "succeeded",
        "customer": {"id": "cus_7", "email": "someone@example.com", "country": "FR"},
        "note": "",
    }
    event = {"type": "payment_succeeded", "object": {"type": "payment", "id": data["id"]}}
    room = bytes_ - len(json.dumps({**event, "data": data}, separators=(",", ":")))
    data["note"] = "x" * max(0, room)
    return json.dumps({**event, "data": data}, separators=(",", ":")).encode()


def begin(load: Load) -> "subprocess.Popen[str]":
    """Start the generator; `finish` returns what came of it."""
    if shutil.which("wrk"):
        script = Path(tempfile.mkdtemp(prefix="payhooks-load-")) / "load.lua"
        words = {"key": load.key, "run": load.run, "body": payment().decode()}
        script.write_text(_SCRIPT % words, encoding="utf-8")
        command = [
            *("wrk", "--threads", "1", "--connections", str(load.connections)),
            *("--duration", f"{load.seconds}s", "--timeout", "30s", "--script", str(script)),
            f"http://127.0.0.1:{load.port}{load.path}",
        ]
    else:
        words = {name: getattr(load, name) for name in Load.__dataclass_fields__}
        command = [sys.executable, "-m", "benchmarks.load", json.dumps(words)]
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
        self._head = (
            f"POST {load.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {load.key}\r\n"
        ).encode()
        self._body = payment()
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
        key = f"idempotency-key: {self._keys}-{self._sent}\r\n"
        length = f"content-length: {len(self._body)}\r\n\r\n"
        self._transport.write(self._head + key.encode() + length.encode() + self._body)


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
    print(uvloop.run(_generate(Load(**json.loads(sys.argv[1])))))

"""Providers by the thousand: signed, forged and mutated requests over connections that are kept."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.support.providers import payment, signature

_ANSWER_S_MAX: Final = 30.0
_WAYS: Final = ("flipped", "other secret", "no signature", "cut signature", "old", "another body")

Request = tuple[bytes, dict[str, str]]


def signed(number: int | str) -> Request:
    """Return a message as the provider sends it."""
    body = payment(number)
    return body, signature(body, at_s=int(time.time()))


def forged(number: int, random: Random) -> Request:
    """Return a message that is not the provider's, in one of several ways."""
    body = payment(f"forged{number}")
    now_s = int(time.time())
    good = signature(body, at_s=now_s)["owlpay-signature"]
    match random.choice(_WAYS):
        case "flipped":
            at = random.randrange(len(body))
            changed = body[:at] + bytes([body[at] ^ (1 << random.randrange(8))]) + body[at + 1 :]
            return changed, {"owlpay-signature": good}
        case "other secret":
            return body, signature(body, at_s=now_s, secret=f"whs_{random.getrandbits(64):x}")
        case "no signature":
            return body, {}
        case "cut signature":
            return body, {"owlpay-signature": good[: -1 - random.randrange(20)]}
        case "old":
            return body, signature(body, at_s=now_s - 301 - random.randrange(10_000))
        case _:
            return payment(f"{number}other"), {"owlpay-signature": good}


@dataclass(slots=True)
class Load:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)


class Line:
    """One connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """Send one request; return the status of its answer."""
        head = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        head += [f"content-length: {len(body)}", "", ""]
        self._writer.write("\r\n".join(head).encode() + body)
        async with asyncio.timeout(_ANSWER_S_MAX):
            answer = await self._reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in answer.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            await self._reader.readexactly(length)
        return int(answer.split(b" ", 2)[1])


@asynccontextmanager
async def line(port: int) -> AsyncIterator[Line]:
    """Yield a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


async def in_turn(port: int, path: str, requests: Iterator[Request], *, lines: int) -> Load:
    """Send all requests, so many at once, each as soon as the one before it was answered."""
    load = Load()

    async def send() -> None:
        async with line(port) as connection:
            for body, headers in requests:
                began_s = time.monotonic()
                load.statuses[await connection.post(path, body, headers)] += 1
                load.took_s.append(time.monotonic() - began_s)

    await asyncio.gather(*[send() for _ in range(lines)])
    return load


async def at_rate(  # noqa: PLR0913 - where, what, and how much of it
    port: int, path: str, make: Callable[[int], Request], *, per_s: float, s: float, lines: int
) -> Load:
    """Send so many a second whatever the answers take; each counts from when it was due."""
    load = Load()
    began_s = time.monotonic()
    numbers = iter(range(int(per_s * s)))

    async def send() -> None:
        async with line(port) as connection:
            for number in numbers:
                due_s = began_s + number / per_s
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                load.statuses[await connection.post(path, *make(number))] += 1
                load.took_s.append(time.monotonic() - due_s)

    await asyncio.gather(*[send() for _ in range(lines)])
    return load


def percentile(values: list[float], part: float) -> float:
    """Return the value below which so much of them lies."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]

"""A name server that says what a test wants said, over UDP and, for what is too long, TCP.

The script is asked for each question about an IPv4 address: addresses are an answer, a `Code` is
a refusal, None is silence. Questions about IPv6 get an empty answer.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import Final, cast

_HEADER: Final = struct.Struct("!HHHHHH")
_QUESTION: Final = struct.Struct("!HH")
_RECORD: Final = struct.Struct("!HHHIH")
_A: Final = 1
_IN: Final = 1
_SAME_NAME: Final = 0xC00C  # where every question begins
_ANSWERS: Final = 0x8180
_TRUNCATED: Final = 0x0200
_UDP_BYTES_MAX: Final = 512


class Code(IntEnum):
    """Why there is no answer."""

    SERVFAIL = 2
    NXDOMAIN = 3


Said = tuple[str, ...] | Code | None
Script = Callable[[str], Said]


class NameServer(asyncio.DatagramProtocol):
    """What was asked, and the script, which a test may change."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[str] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is none of the class that it documents.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        answer = self._answer(data)
        if answer is None:
            return
        if len(answer) > _UDP_BYTES_MAX:
            answer = _pack(data, _ANSWERS | _TRUNCATED, ())
        self._transport.sendto(answer, addr)

    async def over_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every question of one connection."""
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                answer = self._answer(await reader.readexactly(length))
                if answer is not None:
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, data: bytes) -> bytes | None:
        name, end = _name(data)
        kind, _ = _QUESTION.unpack_from(data, end)
        said: Said = self.script(name)
        if kind == _A:
            self.asked.append(name)
        if said is None:
            return None
        if isinstance(said, Code):
            return _pack(data, _ANSWERS | said, ())
        return _pack(data, _ANSWERS, said if kind == _A else ())


@asynccontextmanager
async def name_server(script: Script) -> AsyncIterator[NameServer]:
    """Serve on port 53 of loopback: of a namespace of the test's own, for it needs that port."""
    loop = asyncio.get_running_loop()
    where = ("127.0.0.1", 53)
    udp, served = await loop.create_datagram_endpoint(
        lambda: NameServer(script), local_addr=where, family=socket.AF_INET
    )
    tcp = await asyncio.start_server(served.over_tcp, *where)
    try:
        yield served
    finally:
        udp.close()
        tcp.close()
        await asyncio.sleep(0)


def _name(data: bytes) -> tuple[str, int]:
    """Return the name of the question in lower case, and where it ends."""
    labels = []
    at = _HEADER.size
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _pack(asked: bytes, flags: int, addresses: tuple[str, ...]) -> bytes:
    number = int.from_bytes(asked[:2], "big")
    _, end = _name(asked)
    question = asked[_HEADER.size : end + _QUESTION.size]
    records = b"".join(
        _RECORD.pack(_SAME_NAME, _A, _IN, 0, 4) + socket.inet_aton(address) for address in addresses
    )
    return _HEADER.pack(number, flags, 1, len(addresses), 0, 0) + question + records

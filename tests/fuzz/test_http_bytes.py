"""What arrives on a connection, in pieces of any size, against the protocol and all behind it.

In this process and without a socket, so that thousands of connections fit into a second; the
same bytes are given whole and in pieces.
"""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import uvicorn
from hypothesis import strategies as st
from tests.support.api_world import OPERATOR_KEY, World
from tests.support.fuzzing import hunt, mutated
from uvicorn.server import ServerState

from payhooks.api.protocol import GuardedHttp, guarded_http

_WAIT_S: Final = 10.0  # bounds a test, and measures nothing
_END: Final = b"\r\n\r\n"
_TOKENS: Final = [
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"0\r\n\r\n", b"1\r\n{\r\n", b"ffffffffffffffffff",
    b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"expect: 100-continue\r\n",
    b"connection: close\r\n", b"connection: upgrade\r\nupgrade: h2c\r\n", b"HTTP/1.0", b"HTTP/2.0",
    b"host: other\r\n", b"authorization: Bearer x\r\n", b"GET ", b"CONNECT ", b"OPTIONS * ", b"%00",
    b"/healthz", b"x" * 5_000, b"content-type: text/plain\r\n", b"\xff", b"@", b"?a=b", b"..",
]  # fmt: skip


class _Wire(asyncio.Transport):
    """The server's end of a connection that is nowhere."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711), "sockname": ("127.0.0.1", 80)})
        self.said = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:  # noqa: ANN401 - bytes, of whatever kind
        if not self.closed:  # as a socket: nobody hears what is said behind the end
            self.said += data

    def write_eof(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Server:
    """The application, and connections to it, on a loop of their own."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._loop = runner.get_loop()
        self.world = World()
        self.merchant = runner.run(self.world.merchant())
        runner.run(self.world.publish(self.merchant))
        self._made: type[GuardedHttp] = guarded_http(
            self.world.ids, plain=self.world.application.plain
        )
        self._config = uvicorn.Config(
            self.world.app, lifespan="off", ws="none", log_config=None, proxy_headers=False
        )
        self._config.load()

    def requests(self) -> list[bytes]:
        """Return good requests, to begin from."""
        body = b'{"type":"payment_succeeded","data":{}}'
        about = f"host: a\r\nauthorization: Bearer {OPERATOR_KEY}\r\n".encode()
        json = b"content-type: application/json\r\n"
        post = f"POST /v1/merchants/{self.merchant}/events HTTP/1.1\r\n".encode() + about + json
        chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
        return [
            post + b"content-length: %d\r\n\r\n%b" % (len(body), body),
            post + b"idempotency-key: k\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body),
            post + b"transfer-encoding: chunked\r\n\r\n" + chunks + b"x-a: b\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
            b"GET /v1/merchants HTTP/1.1\r\n" + about + b"\r\n",
            b"PATCH /v1/merchants/x HTTP/1.1\r\n" + about + json + b"content-length: 2\r\n\r\n{}",
        ]

    async def answers(self, pieces: Sequence[bytes]) -> list[int]:
        """Return the statuses of what a connection with these pieces is told."""
        wire, state = _Wire(), ServerState()
        protocol = self._made(
            config=self._config, server_state=state, app_state={}, _loop=self._loop
        )
        protocol.connection_made(wire)
        for piece in pieces:
            if wire.closed:
                break
            protocol.data_received(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(_WAIT_S):
            while not (wire.closed or _is_waiting(protocol)):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
        wire.closed = True
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)
        return _statuses(bytes(wire.said))


def _is_waiting(protocol: GuardedHttp) -> bool:
    """Whether all was answered, or only more bytes can bring the next answer."""
    cycle = protocol.cycle
    if cycle is None or cycle.response_complete:
        return not protocol.pipeline
    return not cycle.response_started and getattr(cycle, "more_body", False)


def _statuses(said: bytes) -> list[int]:
    """Return the status of each answer; fails where the bytes are not one after another."""
    found = []
    while said:
        assert said.startswith(b"HTTP/1.1 "), said[:200]
        head, end, rest = said.partition(_END)
        assert end, said[:200]
        status = int(head[9:12])
        if status == 100:
            said = rest
            continue
        found.append(status)
        [size] = [
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        assert len(rest) >= size
        said = rest[size:]
    return found


def test_a_connection_is_answered_the_same_however_its_bytes_were_cut() -> None:
    """And never by a bug, nor by bytes that are no answer."""
    raised: list[dict[str, Any]] = []
    with asyncio.Runner() as runner:
        server = _Server(runner)
        runner.get_loop().set_exception_handler(lambda _loop, about: raised.append(about))

        def check(raw: bytes, cuts: list[int]) -> None:
            places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
            pieces = [raw[first:last] for first, last in pairwise(places)]
            whole = runner.run(server.answers([raw] if raw else []))
            cut = runner.run(server.answers(pieces))
            assert server.world.bugs == []
            assert raised == []
            assert all(status < 500 for status in [*whole, *cut])
            # What was refused at the end is told, or the connection just ends: that depends on
            # whether the answers before it were out already.
            assert _accepted(whole) == _accepted(cut), (whole, cut)

        corpus = server.requests()
        hunt(check, mutated(corpus, _TOKENS), st.lists(st.integers(0, 600), max_size=6))


def _accepted(statuses: list[int]) -> list[int]:
    return [status for status in statuses if status < 300]

"""What receivers answer, as the transport reads it off a real socket."""

import asyncio
from typing import Final

from tests.support.fuzzing import hunt, mutated
from tests.support.raw_server import Connection, open_transport, post, raw_server

from payhooks import limits
from payhooks.model.attempt import Answer, OurFault, Outcome

_ANSWERS: Final = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 503 No\r\nRetry-After: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
    b"HTTP/1.1 410 Gone\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
]
_TOKENS: Final = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b":",
    b" ",
    b"HTTP/1.1 ",
    b"HTTP/2 ",
    b"HTTP/0.9",
    b"1000",
    b"99",
    b"Content-Length: -1\r\n",
    b"Content-Length: 9\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"ffffffff",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\n",
    b"x" * 40_000,
    b"Trailer: a\r\n",
    b"\xff",
    b"0\r\n\r\n",
]


def test_an_answer_is_an_answer_or_a_silence_and_never_our_fault() -> None:
    """A receiver may say anything: it is evidence, and costs nobody else a delivery."""
    with asyncio.Runner() as runner:

        def check(raw: bytes) -> None:
            outcome = runner.run(_outcome(raw))
            assert not isinstance(outcome, OurFault), outcome
            if isinstance(outcome, Answer):
                assert 200 <= outcome.status <= 999
                assert len(outcome.body) <= limits.ANSWER_KEPT_BYTES_MAX
                assert all(name == name.lower() for name, _ in outcome.headers)

        hunt(check, mutated(_ANSWERS, _TOKENS))


async def _outcome(raw: bytes) -> Outcome:
    """Return what came of a request that is answered so."""

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(raw)

    async with raw_server(script) as server, open_transport() as transport:
        request = post(f"http://127.0.0.1:{server.port}/", deadline_s=2.0)
        return await transport.send(request)

"""No attempt outlives its deadline, and no answer costs more than a little memory."""

import asyncio
import resource
import socket
import zlib
from pathlib import Path

import pytest
from tests.support.raw_server import Connection, Script, open_transport, post, raw_server, says

from payhooks import limits
from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence

SLACK_S = 0.3
MEMORY_GROWTH_BYTES_MAX = 5 * limits.MIB
DRIP_S = 0.02


async def outcome_within(script: Script, *, deadline_s: float) -> Outcome:
    """Return the outcome, after seeing that it came before the deadline and a little."""
    loop = asyncio.get_running_loop()
    async with raw_server(script) as server, open_transport() as transport:
        started = loop.time()
        outcome = await transport.send(
            post(f"http://127.0.0.1:{server.port}/", deadline_s=deadline_s)
        )
        assert loop.time() - started < deadline_s + SLACK_S
    return outcome


def drips(head: bytes, drop: bytes) -> Script:
    """Return a script that says *head* and then *drop* again and again, slowly, for ever."""

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(head)
        while True:
            await connection.say(drop)
            await asyncio.sleep(DRIP_S)

    return script


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        pytest.param(b"", b"H", id="a status line that never ends"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"x", id="a header that never ends"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", id="headers that never end"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="continue, for ever"),
        pytest.param(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", id="early hints, for ever"),
    ],
)
@pytest.mark.shows("F45")
async def test_an_answer_that_drips_ends_with_the_deadline(head: bytes, drop: bytes) -> None:
    """A timeout between bytes would never fire: there is always one more."""
    outcome = await outcome_within(drips(head, drop), deadline_s=0.4)
    assert isinstance(outcome, Silence)
    assert outcome.reason in {Reason.TIMEOUT, Reason.PROTOCOL}


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.shows("F45")
async def test_a_body_that_drips_does_not_change_the_verdict(status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: 1000000\r\n\r\n".encode()
    outcome = await outcome_within(drips(head, b"x"), deadline_s=0.4)
    assert isinstance(outcome, Answer)
    assert outcome.status == status
    assert outcome.body_truncated


@pytest.mark.parametrize("status", [100, 102, 103])
@pytest.mark.shows("F45")
async def test_a_flood_of_informational_answers_is_cut(status: int) -> None:
    async def script(connection: Connection) -> None:
        await connection.read_request()
        while True:
            await connection.say(f"HTTP/1.1 {status} X\r\n\r\n".encode() * 100)

    outcome = await outcome_within(script, deadline_s=2.0)
    assert isinstance(outcome, Silence)


@pytest.mark.shows("F44")
async def test_a_receiver_that_never_answers_costs_its_deadline_and_no_more() -> None:
    async def silent(connection: Connection) -> None:
        await connection.wait_until_closed()

    loop = asyncio.get_running_loop()

    async with raw_server(silent) as server, open_transport() as transport:

        async def late_s(deadline_s: float) -> float:
            """Return how much later it ends than a plain timer: a machine may stand still."""
            started = loop.time()
            rang: list[float] = []
            timer = loop.call_later(deadline_s, lambda: rang.append(loop.time()))
            outcome = await transport.send(
                post(f"http://127.0.0.1:{server.port}/", deadline_s=deadline_s)
            )
            ended = loop.time()
            timer.cancel()
            assert isinstance(outcome, Silence)
            assert outcome.reason is Reason.TIMEOUT
            return ended - (rang[0] if rang else started + deadline_s)

        late = await asyncio.gather(*(late_s(0.2 + 0.005 * number) for number in range(100)))
    assert max(late) < SLACK_S


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 10000000000\r\n\r\n", id="10 GB announced"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", id="chunks without end"),
        pytest.param(b"\r\n", id="until the connection closes"),
    ],
)
@pytest.mark.shows("F46")
async def test_a_huge_answer_is_read_a_little(head: bytes) -> None:
    said = 0
    block = b"10000\r\n" + b"x" * 0x10000 + b"\r\n" if b"chunked" in head else b"x" * 0x10000

    async def script(connection: Connection) -> None:
        nonlocal said
        await connection.read_request()
        await connection.say(b"HTTP/1.1 200 OK\r\n" + head)
        while True:
            await connection.say(block)
            said += len(block)

    before = resident_bytes()
    outcome = await outcome_within(script, deadline_s=3.0)
    assert isinstance(outcome, Answer)
    assert outcome.status == 200
    assert outcome.body_truncated
    assert len(outcome.body) == limits.ANSWER_KEPT_BYTES_MAX
    assert outcome.timing.total_s < 1, "it is closed at once, not at the deadline"
    assert said < 16 * limits.MIB, "what was said beyond our limit sits in socket buffers"
    assert resident_bytes() - before < MEMORY_GROWTH_BYTES_MAX


def bomb(times: int) -> bytes:
    """Return 200 MB of zeros, compressed *times* over, made without holding them."""
    compressor = zlib.compressobj(9, wbits=31)
    zeros = bytes(limits.MIB)
    packed = b"".join(compressor.compress(zeros) for _ in range(200)) + compressor.flush()
    for _ in range(times - 1):
        compressor = zlib.compressobj(9, wbits=31)
        packed = compressor.compress(packed) + compressor.flush()
    return packed


@pytest.mark.parametrize(("times", "encoding"), [(1, "gzip"), (2, "gzip, gzip")])
@pytest.mark.shows("F47")
async def test_a_decompression_bomb_stays_packed(times: int, encoding: str) -> None:
    """200 MB in a few hundred bytes: what is never decoded cannot go off."""
    packed = bomb(times)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(packed)}"
    async with (
        raw_server(says(head.encode() + b"\r\n\r\n" + packed)) as server,
        open_transport() as transport,
    ):
        request = post(f"http://127.0.0.1:{server.port}/")
        first = await transport.send(request)
        before = resident_bytes()
        for _ in range(50):
            await transport.send(request)
        grown = resident_bytes() - before
    assert isinstance(first, Answer)
    assert first.body == packed[: limits.ANSWER_KEPT_BYTES_MAX]
    assert grown < MEMORY_GROWTH_BYTES_MAX


@pytest.mark.shows("F42")
async def test_a_refused_connection_is_the_receivers_failure() -> None:
    async with raw_server(says(b"")) as server:
        port = server.port
    async with open_transport() as transport:
        outcome = await transport.send(post(f"http://127.0.0.1:{port}/"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.CONNECT


@pytest.mark.shows("F42")
async def test_a_black_hole_costs_the_connect_timeout() -> None:
    """A full backlog drops what comes, as a firewall does."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)  # noqa: FBT003 - socket's own signature
                filler.connect_ex(("127.0.0.1", port))
            async with open_transport() as transport:
                started = loop.time()
                outcome = await transport.send(
                    post(f"http://127.0.0.1:{port}/", connect_timeout_s=0.4)
                )
                assert loop.time() - started < 0.4 + SLACK_S
        finally:
            for filler in fillers:
                filler.close()
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.CONNECT


@pytest.mark.shows("F76")
@pytest.mark.parametrize("left", [0, 1])
async def test_having_no_socket_left_is_our_fault(left: int) -> None:
    """The merchant's attempt is not spent on our file descriptors; one is not enough for us."""
    async with raw_server(says(b"")) as server, open_transport() as transport:
        request = post(f"http://127.0.0.1:{server.port}/")
        taken: list[socket.socket] = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                try:
                    taken.append(socket.socket())
                except OSError:
                    break
            for _ in range(left):
                taken.pop().close()
            outcome = await transport.send(request)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for held in taken:
                held.close()
    assert isinstance(outcome, OurFault)


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()

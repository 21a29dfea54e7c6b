"""What a receiver can answer, and what of it is believed."""

import asyncio

import pytest
from tests.support.raw_server import (
    Connection,
    Script,
    open_transport,
    post,
    raw_server,
    says,
    says_and_closes,
)

from payhooks import limits
from payhooks.model.attempt import Answer, OurFault, Outcome, Reason, Silence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def outcome_of(script: Script, *, deadline_s: float = 3.0) -> Outcome:
    async with raw_server(script) as server, open_transport() as transport:
        return await transport.send(post(f"http://127.0.0.1:{server.port}/", deadline_s=deadline_s))


@pytest.mark.shows("F47", "S07")
async def test_the_request_is_what_was_asked_for_and_nothing_else() -> None:
    """The signature covers bytes; a header that a library adds on its own is a surprise."""
    got: list[bytes] = []

    async def script(connection: Connection) -> None:
        got.append(await connection.read_request())
        await connection.say(OK)

    async with raw_server(script) as server, open_transport() as transport:
        outcome = await transport.send(
            post(
                f"http://127.0.0.1:{server.port}/hook?a=%20b",
                headers=(("Content-Type", "application/json"), ("webhook-id", "x"), ("Empty", "")),
                body=b'{"a":\x001}',
            )
        )
    assert isinstance(outcome, Answer)
    head, _, body = got[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hook?a=%20b HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        "Content-Length: 8",
        "Content-Type: application/json",
        "Empty:",
        f"Host: 127.0.0.1:{server.port}",
        "webhook-id: x",
    ]
    assert body == b'{"a":\x001}'


async def test_an_answer_is_kept_with_peer_headers_and_timing() -> None:
    answer = b"HTTP/1.1 202 Accepted\r\nSet-Cookie: a=1\r\nX-B:  two \r\nset-cookie: b=2\r\n"
    async with (
        raw_server(says(answer + b"Content-Length: 2\r\n\r\nok")) as server,
        open_transport() as transport,
    ):
        first = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
        second = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
    assert isinstance(first, Answer)
    assert first.status == 202
    assert first.headers == (
        ("set-cookie", "a=1"),
        ("x-b", "two"),
        ("set-cookie", "b=2"),
        ("content-length", "2"),
    )
    assert (first.body, first.body_truncated) == (b"ok", False)
    assert first.peer == f"127.0.0.1:{server.port}"
    assert 0 < first.timing.connect_s <= first.timing.total_s
    assert 0 < first.timing.wait_s <= first.timing.total_s
    assert first.timing.tls_s == 0
    assert isinstance(second, Answer)
    assert server.connections == 1, "the connection is kept"


@pytest.mark.parametrize(
    "line", ["200 OK", "201", "204 No Content", "299 Fine", "404 Not Found", "503 x", "600 Own"]
)
@pytest.mark.shows("F51")
async def test_any_final_status_is_an_answer(line: str) -> None:
    """Receivers make up their own; what it means is decided elsewhere."""
    length = b"" if line.startswith("204") else b"Content-Length: 0\r\n"
    outcome = await outcome_of(says(b"HTTP/1.1 " + line.encode() + b"\r\n" + length + b"\r\n"))
    assert isinstance(outcome, Answer)
    assert outcome.status == int(line[:3])


@pytest.mark.shows("F59")
async def test_an_informational_answer_is_not_the_answer() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    outcome = await outcome_of(says(hints + OK))
    assert isinstance(outcome, Answer)
    assert outcome.status == 200
    assert outcome.headers == (("content-length", "2"),)


@pytest.mark.shows("F51")
async def test_199_alone_is_no_answer() -> None:
    outcome = await outcome_of(says_and_closes(b"HTTP/1.1 199 Odd\r\n\r\n"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.PROTOCOL


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"hello\n", id="HTTP/0.9"),
        pytest.param(b"\x00\xff\xfe\x01 garbage\r\n\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="a status that is no number"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="two digits"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="four digits"),
        pytest.param(b"HTTP/7.3 200 OK\r\n\r\n", id="a version that does not exist"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 200", id="broken off in the status line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nServer: x\r\n", id="broken off in the headers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
            id="two lengths that differ",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
    ],
)
@pytest.mark.shows("F51")
async def test_what_is_not_http_is_a_protocol_error(answer: bytes) -> None:
    """An unreadable answer is a failure with a reason, retried, and never a success."""
    outcome = await outcome_of(says_and_closes(answer))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.PROTOCOL


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\n\r\n",
            id="length and chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nok",
            id="two equal lengths",
        ),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", id="bare line feeds"),
        pytest.param(OK + b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", id="a second answer"),
    ],
)
@pytest.mark.shows("F59")
async def test_after_an_ambiguous_answer_the_connection_is_not_used_again(answer: bytes) -> None:
    """Where the next answer begins would be a guess: one request could get another's verdict."""
    async with raw_server(says(answer)) as server, open_transport() as transport:
        for _ in range(2):
            outcome = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
            assert isinstance(outcome, Answer)
            assert outcome.status == 200
    assert server.connections == 2


@pytest.mark.shows("F59")
async def test_junk_that_comes_later_is_not_the_next_answer() -> None:
    """A receiver must not be able to answer a request that it has not seen yet."""
    said = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(OK)
        if connection.number == 1:
            await connection.say(b"HTTP/1.1 500 Early\r\nContent-Length: 0\r\n\r\n")
            said.set()
        await connection.wait_until_closed()

    async with raw_server(script) as server, open_transport() as transport:
        first = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
        await said.wait()
        second = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (first.status, second.status) == (200, 200)
    assert server.connections == 2


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", id="after the headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", id="in the body"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", id="in a chunk"
        ),
    ],
)
@pytest.mark.shows("F43")
async def test_a_yes_that_breaks_off_in_the_body_is_a_yes(said: bytes, how: str) -> None:
    """The status line decides; sending again would only make a duplicate."""

    async def script(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(said)
        if how == "reset":
            # Only when the caller has read what was said does a reset not overtake it.
            await asyncio.sleep(0.05)
            connection.reset()

    outcome = await outcome_of(script)
    assert isinstance(outcome, Answer)
    assert outcome.status == 200
    assert outcome.body_truncated


@pytest.mark.parametrize("when", ["before the request", "after the request"])
@pytest.mark.shows("F43")
async def test_a_reset_without_an_answer_is_a_failure(when: str) -> None:
    async def script(connection: Connection) -> None:
        if when == "after the request":
            await connection.read_request()
        connection.reset()

    outcome = await outcome_of(script)
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.PROTOCOL
    assert "127.0.0.1" not in outcome.detail


@pytest.mark.shows("F45")
async def test_an_answer_with_too_many_headers_is_refused() -> None:
    header = b"X-Padding: " + b"x" * 1_000 + b"\r\n"
    outcome = await outcome_of(says(b"HTTP/1.1 200 OK\r\n" + header * 40 + b"\r\n"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.PROTOCOL
    assert "32 KiB" in outcome.detail


@pytest.mark.parametrize("size", [0, 16_384, 16_385, 65_535, 65_536, 200_000])
@pytest.mark.shows("F46", "S06")
async def test_of_a_body_a_part_is_kept(size: int) -> None:
    answer = b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    outcome = await outcome_of(says(answer))
    assert isinstance(outcome, Answer)
    assert len(outcome.body) == min(size, limits.ANSWER_KEPT_BYTES_MAX)
    assert outcome.body_truncated == (size > limits.ANSWER_KEPT_BYTES_MAX)


@pytest.mark.shows("F47")
@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "br", "zstd", "no-such-coding"])
async def test_an_encoded_body_is_kept_as_it_came(coding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 4\r\n\r\n"
    outcome = await outcome_of(says(head.encode() + b"\x1f\x8b\x08x"))
    assert isinstance(outcome, Answer)
    assert outcome.body == b"\x1f\x8b\x08x"


@pytest.mark.parametrize(
    "header",
    [
        ("x", "a\r\nInjected: 1"),
        ("x", "a\nb"),
        ("x\r\nInjected", "1"),
        ("x", "\u00e9"),
        ("Host", "elsewhere.example"),
        ("transfer-encoding", "chunked"),
        ("Content-Length", "3"),
        ("x:y", "1"),
        ("", "1"),
    ],
)
async def test_a_header_that_would_change_the_request_is_our_fault(header: tuple[str, str]) -> None:
    """It was let through somewhere above; a merchant's attempt must not pay for that."""
    async with raw_server(says(OK)) as server, open_transport() as transport:
        outcome = await transport.send(post(f"http://127.0.0.1:{server.port}/", headers=(header,)))
    assert isinstance(outcome, OurFault)
    assert server.connections == 0

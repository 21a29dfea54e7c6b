"""Group A: what is wrong on the level of HTTP, sent raw to a real server.

Each case says what the server answers; all then ask a good request, and that nothing of the
bad one was stored.
"""

import asyncio

import pytest
from tests.support.served_api import Served, served

BODY = b'{"type":"payment_succeeded","data":{"bad":1}}'
LENGTH = f"content-length: {len(BODY)}"


async def _stored(server: Served) -> int:
    listed = await server.world.call("GET", f"/v1/merchants/{server.merchant}/events?limit=100")
    return len(listed.json["data"])


async def _expect(server: Served, answer_status: int | None, allowed: set[int | None]) -> None:
    assert answer_status in allowed
    assert await _stored(server) == 0
    assert await server.answers_a_good_request()
    assert server.world.bugs == []


_CHUNKED = "transfer-encoding: chunked"
_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

_HEADS: list[object] = [
    pytest.param(["content-length: 10", _CHUNKED], _CHUNK, {400}, id="A1 length and chunked"),
    pytest.param(["content-length: 10", "content-length: 12"], BODY, {400}, id="A2 two lengths"),
    pytest.param(["content-length: +5"], BODY, {400}, id="A3 +5"),
    pytest.param(["content-length: -1"], BODY, {400}, id="A3 -1"),
    pytest.param(["content-length: 5,5"], BODY, {400}, id="A3 5,5"),
    pytest.param(["content-length: 0x5"], BODY, {400}, id="A3 0x5"),
    pytest.param(["content-length: " + "9" * 31], b"", {400, 413}, id="A3 huge"),
    pytest.param(["content-length: 99999999"], b"", {413}, id="A3 larger than allowed"),
    pytest.param(["transfer-encoding: xchunked"], _CHUNK, {400, 501}, id="A4 xchunked"),
    pytest.param(
        ["transfer-encoding: chunked, identity"], _CHUNK, {400, 501}, id="A4 not chunked last"
    ),
    pytest.param([_CHUNKED], b"FFFFFFFFFFFFFFFFF\r\n", {400}, id="A5 chunk size overflows"),
    pytest.param([_CHUNKED], b"1\r\n{XX\r\n", {400}, id="A5 no line end after a chunk"),
    pytest.param([_CHUNKED], b"1\n{\n0\n\n", {400}, id="A5 bare line feeds"),
    pytest.param([LENGTH, "x-a: b\rc"], BODY, {400}, id="A7 bare CR"),
    pytest.param([LENGTH, "x-a: b\x00c"], BODY, {400}, id="A7 NUL"),
    pytest.param([LENGTH, "x-a: b", " folded"], BODY, {400}, id="A7 folded"),
    pytest.param([LENGTH, "x-a : b"], BODY, {400}, id="A7 space before the colon"),
    pytest.param([LENGTH, *["x-a: b"] * 200], BODY, {431}, id="A8 200 headers"),
    pytest.param([LENGTH, "x-a: " + "b" * 65_536], BODY, {431}, id="A8 one header of 64 KB"),
    pytest.param([LENGTH, "x-a: " + "b" * 1_000_000], BODY, {431}, id="A8 1 MB of headers"),
    pytest.param([LENGTH, "host: other.example"], BODY, {400}, id="A10 two hosts"),
    pytest.param([LENGTH, "expect: foo"], BODY, {417}, id="A15 an unknown expectation"),
    pytest.param([LENGTH, "content-encoding: gzip"], BODY, {415}, id="A19 gzip"),
    pytest.param([LENGTH, "content-encoding: gzip, gzip"], BODY, {415}, id="A19 gzip in gzip"),
]


@pytest.mark.shows("S32")
@pytest.mark.parametrize(("lines", "body", "allowed"), _HEADS)
async def test_a_request_that_is_not_http_as_it_should_be_is_refused(
    lines: list[str], body: bytes, allowed: set[int | None]
) -> None:
    """Whoever stands between us and a client may read such bytes otherwise: smuggling."""
    async with served() as server:
        answer = await server.raw(server.head(*lines), body)
        assert b"application/problem+json" in answer.bytes_
        await _expect(server, answer.status, allowed)


_TARGETS = [
    pytest.param("GET", "/" + "x" * 20_000, {414}, id="A9 20 KB path"),
    pytest.param("GET", "/v1/merchants/%00", {400, 404}, id="A9 NUL"),
    pytest.param("GET", "/v1/merchants?after=%00", {400}, id="A9 NUL in the query"),
    pytest.param("GET", "/v1/merchants/%2e%2e/merchants", {404}, id="A9 escaped dots"),
    pytest.param("GET", "//v1/merchants", {404}, id="A9 two slashes"),
    pytest.param("GET", "/v1/./merchants", {404}, id="A9 a dot"),
    pytest.param("GET", "/v1/merchants/%c0%ae", {400, 404}, id="A9 overlong UTF-8"),
    pytest.param("GET", "@google.com/x", {400}, id="A11 no slash first"),
    pytest.param("TRACE", "/v1/merchants", {405}, id="A12 TRACE"),
    pytest.param("CONNECT", "/v1/merchants", {400, 405}, id="A12 CONNECT"),
    pytest.param("PROPFIND", "/v1/merchants", {405}, id="A12 PROPFIND"),
    pytest.param("M" * 1_024, "/v1/merchants", {400}, id="A12 a method of 1 KB"),
]


@pytest.mark.parametrize(("method", "target", "allowed"), _TARGETS)
async def test_a_target_or_method_that_is_none_is_refused(
    method: str, target: str, allowed: set[int | None]
) -> None:
    """A9, A11, A12: no spelling of a path is a way around a route's check."""
    async with served() as server:
        answer = await server.raw(server.head("connection: close", method=method, target=target))
        await _expect(server, answer.status, allowed)


async def test_an_absolute_target_is_answered_as_the_path_it_names_or_refused() -> None:
    """A11: authorisation looks at the route, so another name in the target gains nothing."""
    async with served() as server:
        target = "http://other.example/v1/merchants"
        request = server.head("connection: close", method="GET", target=target)
        answer = await server.raw(request.replace(b"authorization", b"x-nothing"))
        await _expect(server, answer.status, {400, 401, 421})


@pytest.mark.parametrize("host", ["", "a/b?x", "@evil", "a b", "exa\u00e4mple"])
async def test_a_host_that_is_none_is_refused(host: str) -> None:
    """A10: links and redirects are made of it elsewhere."""
    async with served() as server:
        head = server.head(LENGTH).replace(
            f"host: 127.0.0.1:{server.port}".encode(), f"host: {host}".encode("latin-1")
        )
        await _expect(server, (await server.raw(head, BODY)).status, {400})
        without = server.head(LENGTH).replace(f"host: 127.0.0.1:{server.port}\r\n".encode(), b"")
        assert (await server.raw(without, BODY)).status == 400


@pytest.mark.shows("A13", "S32")
async def test_a_head_that_does_not_end_is_cut_and_harms_nobody() -> None:
    """A13: five hundred of these must not cost the others their answers."""
    async with served() as server:
        slow = [server.raw(b"POST / HTTP/1.1\r\nhost: x\r\n", wait_s=3) for _ in range(100)]
        waiting = asyncio.gather(*slow)
        assert await server.answers_a_good_request()
        answers = await waiting
        assert {answer.status for answer in answers} == {408}
        assert all(answer.closed for answer in answers)


@pytest.mark.shows("S32")
async def test_a_head_that_goes_on_and_on_is_cut_before_its_end() -> None:
    """A8: what never ends must not be kept until it does."""
    async with served() as server:
        answer = await server.raw(b"GET / HTTP/1.1\r\nx-a: ", b"b" * 200_000)
        await _expect(server, answer.status, {431})
        assert answer.closed


@pytest.mark.shows("A13", "S32")
async def test_a_body_that_drips_is_cut() -> None:
    """A13: a byte now and then is no request; its connection goes to somebody else."""
    async with served() as server:
        answer = await server.raw(server.head(LENGTH), BODY[:1], BODY[1:2], wait_s=3)
        assert answer.closed
        await _expect(server, answer.status, {408})


@pytest.mark.shows("A13")
@pytest.mark.parametrize("sent", [b"\r\n", b"G"], ids=["a line end", "a letter"])
async def test_a_connection_that_was_answered_is_cut_like_a_new_one(sent: bytes) -> None:
    """A line end begins no request; with it anybody could hold connections for nothing."""
    async with served() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(server.head(method="GET", target="/healthz"))
        assert b"200 OK" in await reader.readuntil(b"}}")
        writer.write(sent)
        async with asyncio.timeout(4):
            assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


@pytest.mark.shows("A13")
async def test_a_refused_body_that_never_ends_is_cut() -> None:
    """Read on so that its sender learns why, but not for ever, and with one answer."""
    async with served() as server:
        head = server.head(LENGTH, "connection: close").replace(b"Bearer op", b"Bearer no")
        answer = await server.raw(head, BODY[:1], wait_s=4)
        assert answer.status == 401
        assert answer.closed
        assert answer.bytes_.count(b"HTTP/1.1 ") == 1


async def test_a_connection_too_many_is_told_when_to_come_back() -> None:
    """In the words of every other refusal: a publisher that can read one can read this one."""
    async with served(connections_max=3) as server:
        request = server.head(LENGTH) + BODY
        others = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        for pieces in ((request,), (request[:-5], request[-5:])):
            answer = await server.raw(*pieces)
            assert (answer.status, answer.closed) == (503, True)
            assert b"application/problem+json" in answer.bytes_
            assert b"retry-after: 1\r\n" in answer.bytes_
        for _, writer in others:
            writer.close()
            await writer.wait_closed()
        await _expect(server, 503, {503})


async def test_a_body_that_breaks_off_is_not_stored() -> None:
    """A14: half a request is no request, whichever half it was."""
    async with served() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(server.head(LENGTH) + BODY[:-5])
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert await reader.read() == b""
        await _expect(server, None, {None})


async def test_a_caller_without_a_key_is_told_before_it_sends_its_body() -> None:
    """A15: what nobody may send is not read."""
    async with served() as server:
        head = server.head(LENGTH, "expect: 100-continue").replace(b"Bearer op", b"Bearer no")
        answer = await server.raw(head)
        assert answer.bytes_.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "line",
    ["x-http-method-override: DELETE", "x-forwarded-for: 10.0.0.1", "forwarded: for=1.2.3.4"],
)
async def test_headers_that_claim_to_be_something_else_are_ignored(line: str) -> None:
    """A20, A21: nobody in front of us is trusted, so these say nothing."""
    async with served() as server:
        answer = await server.raw(server.head(LENGTH, line, "connection: close"), BODY)
        assert answer.status == 202
        entries = await server.world.call("GET", f"/v1/merchants/{server.merchant}/audit-log")
        assert {entry["ip"] for entry in entries.json["data"]} == {"192.0.2.1"}


@pytest.mark.shows("S32")
async def test_pipelined_requests_are_answered_in_order() -> None:
    """A22: a client may send ahead; it gets one answer each, in the order it asked."""
    async with served() as server:
        request = server.head(method="GET", target="/healthz")
        last = server.head("connection: close", method="GET", target="/healthz")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request * 99 + last)
        await writer.drain()
        async with asyncio.timeout(10):
            got = await reader.read(-1)
        writer.close()
        assert got.count(b"HTTP/1.1 200 OK") == 100


@pytest.mark.shows("S32")
async def test_a_body_that_does_not_end_is_cut_at_the_limit() -> None:
    """B9: a gigabyte, streamed, costs us the limit and no more."""
    async with served() as server:
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        answer = await server.raw(server.head(_CHUNKED), *[chunk] * 20)
        await _expect(server, answer.status, {413, None})
        assert answer.closed


async def test_a_page_of_another_site_gets_no_permission() -> None:
    """C17: no CORS header means that no browser hands an answer to a stranger's page."""
    async with served() as server:
        for origin in ("https://evil.example", "null"):
            answer = await server.raw(
                server.head(
                    f"origin: {origin}",
                    "access-control-request-method: POST",
                    "connection: close",
                    method="OPTIONS",
                )
            )
            assert answer.status == 405
            assert b"access-control" not in answer.bytes_.lower()


async def test_a_balancer_may_ask_for_health_without_the_body() -> None:
    """Many ask by HEAD; told 405, they take a healthy process out."""
    async with served() as server:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/v1/merchants", 405)):
            answer = await server.raw(server.head("connection: close", method="HEAD", target=path))
            assert answer.status == status
            assert answer.bytes_.endswith(b"\r\n\r\n")

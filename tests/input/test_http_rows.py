"""Group A: what is wrong on the level of HTTP, byte for byte, against a real process."""

import gzip
import socket
import struct
from collections.abc import Collection
from typing import Final

import pytest
from tests.support.bad_input import GOOD, LENGTH, Ground, case, read
from tests.support.server import OPERATOR_KEY

CHUNKED: Final = "transfer-encoding: chunked"
CHUNKS: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
CLOSED_TOO: Final = {400, 431, 408}


# Lines added to a good head, what follows it, the statuses allowed.
_FRAMING: Final = [
    case("A1", "length and chunks", ["content-length: 10", CHUNKED], CHUNKS, {400}),
    case("A1", "chunks and length", [CHUNKED, "content-length: 10"], CHUNKS, {400}),
    case("A2", "two lengths", ["content-length: 10", "content-length: 12"], GOOD, {400}),
    case("A2", "the same length twice", [LENGTH, LENGTH], GOOD, {400}),
    case("A3", "plus", ["content-length: +5"], GOOD, {400}),
    case("A3", "minus", ["content-length: -1"], GOOD, {400}),
    case("A3", "a list", ["content-length: 5,5"], GOOD, {400}),
    case("A3", "hexadecimal", ["content-length: 0x5"], GOOD, {400}),
    case("A3", "a digit of another script", ["content-length: \xd9\xa5"], GOOD, {400}),
    case("A3", "with a space inside", ["content-length: 1 2"], GOOD, {400}),
    case("A3", "empty", ["content-length: "], GOOD, {400}),
    case("A3", "thirty digits", ["content-length: 1" + "0" * 30], GOOD, {400, 413}),
    case("A4", "unknown", ["transfer-encoding: xchunked"], CHUNKS, {400}),
    case("A4", "chunked not last", ["transfer-encoding: chunked, identity"], CHUNKS, {400}),
    case("A4", "another below", ["transfer-encoding: gzip, chunked"], CHUNKS, {400}),
    case("A4", "unknown below", ["transfer-encoding: x, chunked"], CHUNKS, {400}),
    case("A4", "twice", [CHUNKED, CHUNKED], CHUNKS, {400}),
    case("A4", "vertical tab", ["transfer-encoding: chunked\x0b"], CHUNKS, {400}),
    case("A4", "Kelvin sign", ["transfer-encoding: chun\xe2\x84\xaaed"], CHUNKS, {400}),
    case("A5", "size overflows", [CHUNKED], b"FFFFFFFFFFFFFFFFF\r\n", {400}),
    case("A5", "size is minus", [CHUNKED], b"-2\r\n{}\r\n0\r\n\r\n", {400}),
    case("A5", "size with 0x", [CHUNKED], b"0x2\r\n{}\r\n0\r\n\r\n", {400}),
    case("A5", "size and a space", [CHUNKED], b"2 \r\n{}\r\n0\r\n\r\n", {400}),
    case("A5", "no line end after a chunk", [CHUNKED], b"1\r\n{XX\r\n", {400}),
    case("A5", "line feeds alone", [CHUNKED], b"1\n{\n0\n\n", {400}),
    case("A5", "line feed in an extension", [CHUNKED], b"2;a\nb\r\n{}\r\n0\r\n\r\n", {400}),
    case("A5", "an extension of 1 MB", [CHUNKED], b"1;e=" + b"x" * 1_000_000 + b"\r\n{\r\n", {413}),
    case("A6", "a length behind", [CHUNKED], CHUNKS[:-2] + b"content-length: 5\r\n\r\n", {400}),
    case("A6", "trailers of 1 MB", [CHUNKED], CHUNKS[:-2] + b"x-a: b\r\n" * 125_000, {413}),
    case("A6", "a trailer of 1 MB", [CHUNKED], CHUNKS[:-2] + b"x-a: " + b"b" * 1_000_000, {413}),
    case("A7", "bare CR", [LENGTH, "x-a: b\rc"], GOOD, {400}),
    case("A7", "bare LF", [LENGTH, "x-a: b\nx-c: d"], GOOD, {400}),
    case("A7", "NUL", [LENGTH, "x-a: b\x00c"], GOOD, {400}),
    case("A7", "DEL", [LENGTH, "x-a: \x7f"], GOOD, {400}),
    case("A7", "folded", [LENGTH, "x-a: b", " folded"], GOOD, {400}),
    case("A7", "space before the colon", [LENGTH, "x-a : b"], GOOD, {400}),
    case("A7", "no name", [LENGTH, ": b"], GOOD, {400}),
    case("A8", "200 headers", [LENGTH, *["x-a: b"] * 200], GOOD, {431}),
    case("A8", "one header of 64 KB", [LENGTH, "x-a: " + "b" * 65_536], GOOD, {431}),
    case("A10", "two hosts", [LENGTH, "host: other.example"], GOOD, {400}),
    case("A15", "an unknown expectation", [LENGTH, "expect: foo"], GOOD, {417}),
    case("A18", "a form", [LENGTH, "content-type: multipart/form-data; boundary=x"], GOOD, {415}),
    case("A19", "gzip", [LENGTH, "content-encoding: gzip"], GOOD, {415}),
    case("A19", "ten codings", [LENGTH, "content-encoding: " + "gzip," * 9 + "br"], GOOD, {415}),
]


@pytest.mark.parametrize(("lines", "body", "allowed"), _FRAMING)
def test_a_request_that_two_programs_could_read_differently_is_refused(
    served_ground: Ground, lines: list[str], body: bytes, allowed: Collection[int]
) -> None:
    """What stands between us and a client may see it end elsewhere: that is smuggling."""
    head = served_ground.head(*lines)
    if any(line.startswith("content-type") for line in lines):
        head = head.replace(b"content-type: application/json\r\n", b"", 1)
    served_ground.refuses(lambda: served_ground.raw(head, body), allowed)


# Method, target, version, the statuses allowed.
_TARGETS: Final = [
    case("A9", "20 KB of path", "GET", "/" + "x" * 20_000, "1.1", {414}),
    case("A9", "NUL", "GET", "/v1/merchants/%00", "1.1", {400}),
    case("A9", "NUL in the query", "GET", "/v1/merchants?after=%00", "1.1", {400}),
    case("A9", "escaped dots", "GET", "/v1/merchants/%2e%2e/merchants", "1.1", {404}),
    case("A9", "two slashes", "GET", "//v1/merchants", "1.1", {404}),
    case("A9", "a dot", "GET", "/v1/./merchants", "1.1", {404}),
    case("A9", "overlong UTF-8", "GET", "/v1/merchants/%c0%ae", "1.1", {404}),
    case("A9", "an escape that is none", "GET", "/v1/merchants/%zz", "1.1", {404}),
    case("A9", "bytes beyond ASCII", "GET", "/v1/merchants/\xe4", "1.1", {400}),
    case("A11", "no slash first", "POST", "@google.com/x", "1.1", {400, 421}),
    case("A11", "as if to publish", "POST", "@google.com/events", "1.1", {400, 421}),
    case("A11", "half an address", "POST", "http://[::1/events", "1.1", {400}),
    case("A11", "a host alone", "POST", "http://other.example?/events", "1.1", {400, 404, 421}),
    case("A11", "a star", "OPTIONS", "*", "1.1", {400, 405, 421}),
    case("A12", "TRACE", "TRACE", "/v1/merchants", "1.1", {405}),
    case("A12", "CONNECT", "CONNECT", "other.example:443", "1.1", {400, 405}),
    case("A12", "CONNECT with a path", "CONNECT", "/v1/merchants", "1.1", {400, 405}),
    case("A12", "PROPFIND", "PROPFIND", "/v1/merchants", "1.1", {405}),
    case("A12", "lower case", "post", "/v1/merchants", "1.1", {400}),
    case("A12", "1 KB of method", "M" * 1_024, "/v1/merchants", "1.1", {400}),
    case("A12", "version 1.2", "GET", "/v1/merchants", "1.2", {400}),
    case("A12", "version 9.9", "GET", "/v1/merchants", "9.9", {400}),
    case("A12", "version 2.0", "GET", "/v1/merchants", "2.0", {400}),
]


@pytest.mark.parametrize(("method", "target", "version", "allowed"), _TARGETS)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "before its body"])
def test_a_target_or_method_that_is_none_is_refused(  # noqa: PLR0913 - a request's parts
    served_ground: Ground,
    method: str,
    target: str,
    version: str,
    allowed: Collection[int],
    *,
    whole: bool,
) -> None:
    """No spelling of a path is a way around a route's check, nor a way to no answer at all."""
    lines = ["connection: close"] if whole else [LENGTH]
    head = served_ground.head(*lines, method=method, target=target, version=version)
    served_ground.refuses(lambda: served_ground.raw(head), allowed)


@pytest.mark.shows("A11")
def test_an_absolute_target_opens_nothing(served_ground: Ground) -> None:
    """Authorisation looks at the route, so another name in the target gains nothing."""
    head = served_ground.head(
        "connection: close", method="GET", target="http://other.example/v1/merchants", key=None
    )
    served_ground.refuses(lambda: served_ground.raw(head), {400, 401, 421})


@pytest.mark.shows("A10")
@pytest.mark.parametrize(
    "host", [None, "", "a/b?x", "@evil", "a b", "exa\xe4mple", "a:b", "a:1:2", "[::1", "a,b"]
)
def test_a_host_that_is_none_is_refused(served_ground: Ground, host: str | None) -> None:
    """Links are made of it elsewhere."""
    said = f"host: 127.0.0.1:{served_ground.server.port}\r\n".encode()
    wanted = b"" if host is None else f"host: {host}\r\n".encode("latin-1")
    head = served_ground.head(LENGTH, "connection: close").replace(said, wanted)
    served_ground.refuses(lambda: served_ground.raw(head, GOOD), {400})


@pytest.mark.shows("A1")
@pytest.mark.shows("A4")
def test_chunks_in_http_1_0_are_refused(served_ground: Ground) -> None:
    """Whoever stands in front of such a client may not know chunks, and see another end."""
    head = served_ground.head(CHUNKED, version="1.0")
    reply = served_ground.refuses(lambda: served_ground.raw(head, CHUNKS), {400})
    assert reply.headers["connection"] == "close"


@pytest.mark.shows("A6")
@pytest.mark.parametrize(
    ("line", "status"),
    [(f"authorization: Bearer {OPERATOR_KEY}", 401), ("idempotency-key: behind", 202)],
)
def test_what_follows_a_body_is_not_taken_for_its_head(
    served_ground: Ground, line: str, status: int
) -> None:
    """A proxy that checks keys, or takes them out, looks at the head alone."""
    key = None if status == 401 else OPERATOR_KEY
    head = served_ground.head(CHUNKED, key=key)
    pieces = (head, CHUNKS[:-2] + f"{line}\r\n\r\n".encode())
    for whole in (True, False):
        sent = (b"".join(pieces),) if whole else pieces
        with served_ground.unharmed(stores=status == 202):
            reply = served_ground.raw(*sent)
            served_ground.judge(reply, {status})
            assert "idempotent-replayed" not in reply.headers


@pytest.mark.shows("A8")
def test_a_head_that_goes_on_and_on_is_cut(served_ground: Ground) -> None:
    """What never ends must not be kept until it does."""
    with served_ground.unharmed():
        reply = served_ground.raw(b"GET / HTTP/1.1\r\nx-a: ", b"b" * 120_000, to_the_end=True)
        served_ground.judge(reply, {431})
        for pieces in ((served_ground.head("x-a: " + "b" * 1_000_000),), (b"G",) * 200_000):
            # So much is in flight that the answer may not outlive the end of the connection.
            reply = served_ground.raw(b"".join(pieces), to_the_end=True)
            served_ground.judge(reply, {400, 431, None})
            assert reply.closed


@pytest.mark.shows("A12")
def test_a_body_where_none_belongs_begins_no_second_request(served_ground: Ground) -> None:
    """The body of a GET means nothing, and above all it is not a request of its own."""
    hidden = served_ground.head(LENGTH, method="POST") + GOOD
    head = served_ground.head(
        f"content-length: {len(hidden)}", "connection: close", method="GET", target="/healthz"
    )
    with served_ground.unharmed():
        reply = served_ground.raw(head, hidden, to_the_end=True)
        assert (reply.status, reply.more) == (200, b"")


@pytest.mark.shows("A12")
@pytest.mark.shows("A16")
def test_a_wish_for_another_protocol_is_passed_over(served_ground: Ground) -> None:
    """Some clients ask for HTTP/2 with every first request; they get their answer in HTTP/1.1."""
    wish = ["connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk"]
    for pieces in (
        (served_ground.head(*wish, LENGTH) + GOOD,),
        (served_ground.head(*wish, LENGTH), GOOD[:5], GOOD[5:]),
        (served_ground.head("connection: upgrade", "upgrade: websocket", LENGTH), GOOD),
        (served_ground.head(*wish, CHUNKED), CHUNKS),
    ):
        with served_ground.unharmed(stores=True), served_ground.connect() as connection:
            for _ in range(2):  # the connection serves the next request too
                for piece in pieces:
                    connection.sendall(piece)
                assert read(connection).status == 202


@pytest.mark.shows("A22")
def test_a_thousand_wishes_sent_ahead_are_passed_over_one_by_one(served_ground: Ground) -> None:
    """Each is read once more without its wish, and that must not nest."""
    wish = ["connection: upgrade", "upgrade: h2c"]
    ask = served_ground.head(*wish, method="GET", target="/healthz", key=None)
    last = served_ground.head("connection: close", method="GET", target="/healthz")
    with served_ground.unharmed(), served_ground.connect() as connection:
        connection.sendall(ask * 1_000 + last)
        answers = _until_closed(connection).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200"] * 1_001


@pytest.mark.shows("A16")
@pytest.mark.parametrize(
    "sent",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 1_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        bytes(range(256)),
    ],
    ids=["HTTP/2", "TLS", "SSH", "every byte"],
)
def test_another_protocol_is_refused_and_its_connection_closed(
    served_ground: Ground, sent: bytes
) -> None:
    """No flood of frames costs anything where no frame is read."""
    reply = served_ground.refuses(lambda: served_ground.raw(sent, to_the_end=True), {400, None})
    assert reply.closed


@pytest.mark.shows("A14")
@pytest.mark.parametrize("ending", ["FIN", "RST"])
@pytest.mark.parametrize(
    ("line", "body"),
    [(LENGTH, GOOD[:-5]), (CHUNKED, CHUNKS[:-3]), (CHUNKED, CHUNKS[:20]), (LENGTH, b"")],
    ids=["a part", "all but the last end", "half a chunk", "nothing"],
)
def test_a_body_that_breaks_off_is_not_stored(
    served_ground: Ground, ending: str, line: str, body: bytes
) -> None:
    """Half a request is no request, whichever half it was."""
    with served_ground.unharmed():
        connection = served_ground.connect()
        connection.sendall(served_ground.head(line) + body)
        if ending == "RST":
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            connection.shutdown(socket.SHUT_WR)
            assert read(connection, to_the_end=True).status in {None, 400}
        connection.close()


@pytest.mark.shows("A15")
def test_who_has_no_key_is_told_before_the_body(served_ground: Ground) -> None:
    """What nobody may send is not read."""
    head = served_ground.head(LENGTH, "expect: 100-continue", key="phk_no")
    served_ground.refuses(lambda: served_ground.raw(head), {401})


@pytest.mark.shows("A15")
def test_who_asks_first_is_asked_to_go_on(served_ground: Ground) -> None:
    """The good case, so that the refusals mean something."""
    with served_ground.unharmed(stores=True), served_ground.connect() as connection:
        connection.sendall(served_ground.head(LENGTH, "expect: 100-continue"))
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(GOOD)
        assert read(connection).status == 202


@pytest.mark.shows("A18")
def test_a_hundred_thousand_parts_are_not_looked_at(served_ground: Ground) -> None:
    """What is not JSON is refused by its name, before anybody takes it apart."""
    part = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n\r\n'
    body = part * 100_000
    said = b"content-type: application/json"
    head = served_ground.head(f"content-length: {len(body)}", "connection: close").replace(
        said, b"content-type: multipart/form-data; boundary=x"
    )
    served_ground.refuses(lambda: served_ground.raw(head, body), {415})


@pytest.mark.shows("A19")
@pytest.mark.parametrize(
    "body",
    [gzip.compress(bytes(10_000_000)), gzip.compress(b"") * 10_000],
    ids=["1 to 1,000", "empty members"],
)
def test_a_compressed_body_is_not_unpacked(served_ground: Ground, body: bytes) -> None:
    """A bomb that nobody opens."""
    head = served_ground.head(f"content-length: {len(body)}", "content-encoding: gzip")
    reply = served_ground.refuses(lambda: served_ground.raw(head, body), {413, 415})
    assert reply.headers.get("accept-encoding", "identity") == "identity"


@pytest.mark.parametrize(
    "line",
    [
        case("A20", "x-forwarded-for", "x-forwarded-for: 10.0.0.1"),
        case("A20", "x-real-ip", "x-real-ip: 10.0.0.1"),
        case("A20", "forwarded", "forwarded: for=10.0.0.1;host=evil;proto=https"),
        case("A20", "x-forwarded-host", "x-forwarded-host: evil.example"),
        case("A20", "x-forwarded-proto", "x-forwarded-proto: https"),
        case("A21", "method override", "x-http-method-override: DELETE"),
        case("A21", "method", "x-method-override: DELETE"),
    ],
)
def test_a_header_that_claims_to_know_better_is_ignored(served_ground: Ground, line: str) -> None:
    """Nobody in front of this process is trusted, so these say nothing."""
    body = b'{"label":"A","url":"https://example.com/a","events":["nothing.else"]}'
    target = f"{served_ground.path}/endpoints"
    with served_ground.unharmed(stores=True):
        reply = served_ground.call("POST", target, body, line)
        assert reply.status == 201
        assert reply.headers["location"].startswith("/v1/")
        [entry] = served_ground.api.get(f"{served_ground.path}/audit-log?limit=1")["data"]
        assert (entry["action"], entry["ip"][:6]) == ("endpoint.created", "127.7.")
        served_ground.api.call("DELETE", f"{target}/{reply.json['id']}")


@pytest.mark.shows("A22")
def test_what_is_sent_ahead_is_answered_in_its_order(served_ground: Ground) -> None:
    """A client may send ahead; it gets one answer each, in the order it asked."""
    publish = served_ground.head(LENGTH) + GOOD
    ask = served_ground.head(method="GET", target="/healthz")
    last = served_ground.head("connection: close", method="GET", target="/healthz")
    with served_ground.unharmed(stores=True), served_ground.connect() as connection:
        connection.sendall((publish + ask) * 50 + last)
        answers = _until_closed(connection).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"202", b"200"] * 50 + [b"200"]


@pytest.mark.shows("A22")
def test_nonsense_behind_a_good_request_is_not_its_answer(served_ground: Ground) -> None:
    """Told 400, a publisher would drop an event that we have stored."""
    with served_ground.unharmed(stores=True):
        sent = served_ground.head(LENGTH) + GOOD + b"\x00\x01nonsense\r\n\r\n"
        reply = served_ground.raw(sent, to_the_end=True)
        assert (reply.status, reply.closed) == (202, True)


@pytest.mark.shows("B9")
@pytest.mark.parametrize("lines", [(), ("connection: close",)], ids=["kept alive", "closed"])
def test_a_client_that_sends_all_before_it_reads_learns_why(
    served_ground: Ground, lines: tuple[str, ...]
) -> None:
    """Reset instead, it would take the refusal for the network's, and send it all again."""
    body = b'{"type":"a","data":{"x":"' + b"x" * 5_000_000 + b'"}}'
    head = served_ground.head(f"content-length: {len(body)}", *lines)
    with served_ground.unharmed(), served_ground.connect() as connection:
        connection.sendall(head)
        connection.sendall(body)
        served_ground.judge(read(connection), {413})


def _until_closed(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65_536):
        got += piece
    return got

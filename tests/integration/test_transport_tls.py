"""Encrypted or not at all: every certificate that is wrong is refused, with the reason why."""

import ssl
from pathlib import Path

import pytest
from tests.support.certificates import Authority, make_authority, server_context
from tests.support.raw_server import (
    Connection,
    Script,
    ScriptedResolver,
    open_transport,
    post,
    raw_server,
    says,
)

from payhooks.model.attempt import Answer, Outcome, Reason, Silence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FRAME_HEAD_BYTES = 9
PREFACE_BYTES = 24


async def outcomes_of(
    script: Script,
    context: ssl.SSLContext | None,
    ca_bundle: str | None,
    *,
    times: int = 1,
    connect_timeout_s: float = 2.0,
) -> tuple[list[Outcome], int]:
    """Return the outcomes of requests to receiver.example, and how often it was connected."""
    resolver = ScriptedResolver(lambda _host: ("127.0.0.1",))
    async with (
        raw_server(script, tls=context) as server,
        open_transport(resolver=resolver, ca_bundle=ca_bundle) as transport,
    ):
        request = post(
            f"https://receiver.example:{server.port}/", connect_timeout_s=connect_timeout_s
        )
        return [await transport.send(request) for _ in range(times)], server.connections


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


async def test_a_trusted_certificate_is_accepted_and_the_connection_kept(
    authority: Authority, tmp_path: Path
) -> None:
    """A handshake costs as much as twenty requests."""
    context = server_context(tmp_path, authority)
    outcomes, connections = await outcomes_of(
        says(OK), context, authority.bundle(tmp_path), times=3
    )
    first = outcomes[0]
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    assert isinstance(first, Answer)
    assert first.timing.tls_s > 0
    assert connections == 1


@pytest.mark.parametrize(
    ("days", "host", "words"),
    [
        pytest.param((-10, -1), "receiver.example", "has expired", id="expired"),
        pytest.param((1, 10), "receiver.example", "not valid yet", id="not yet valid"),
        pytest.param((-1, 1), "other.example", "another host name", id="wrong host"),
    ],
)
@pytest.mark.shows("F52", "S44")
async def test_a_certificate_that_is_wrong_is_refused_by_its_fault(
    authority: Authority, tmp_path: Path, days: tuple[int, int], host: str, words: str
) -> None:
    context = server_context(tmp_path, authority, host=host, days=days)
    (outcome,), _ = await outcomes_of(says(OK), context, authority.bundle(tmp_path))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.TLS
    assert words in outcome.detail


@pytest.mark.shows("F52", "S44")
async def test_a_self_signed_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    (outcome,), _ = await outcomes_of(
        says(OK), server_context(tmp_path, None), authority.bundle(tmp_path)
    )
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.TLS
    assert "self-signed" in outcome.detail


@pytest.mark.parametrize("trusted", ["another authority", "the machine's"])
@pytest.mark.shows("F52", "S44")
async def test_an_unknown_authority_is_refused(
    authority: Authority, tmp_path: Path, trusted: str
) -> None:
    context = server_context(tmp_path, authority)
    bundle = make_authority().bundle(tmp_path) if trusted == "another authority" else None
    (outcome,), _ = await outcomes_of(says(OK), context, bundle)
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.TLS


@pytest.mark.shows("F52", "S44")
async def test_old_tls_is_refused(authority: Authority, tmp_path: Path) -> None:
    """A receiver that offers nothing newer gets no event, whatever it answers."""
    context = server_context(tmp_path, authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    (outcome,), _ = await outcomes_of(says(OK), context, authority.bundle(tmp_path))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.TLS


@pytest.mark.shows("F52", "S44")
async def test_a_server_without_tls_is_a_tls_failure(authority: Authority, tmp_path: Path) -> None:
    async def plain(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await connection.wait_until_closed()

    (outcome,), _ = await outcomes_of(plain, None, authority.bundle(tmp_path))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.TLS


@pytest.mark.shows("F52")
async def test_a_handshake_that_stalls_ends_with_the_connect_timeout(
    authority: Authority, tmp_path: Path
) -> None:
    async def silent(connection: Connection) -> None:
        await connection.wait_until_closed()

    (outcome,), _ = await outcomes_of(
        silent, None, authority.bundle(tmp_path), connect_timeout_s=0.3
    )
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.TLS
    assert outcome.timing.total_s < 1


async def _speak_http2(connection: Connection) -> None:
    """Answer every stream with 200 and no body: just enough HTTP/2 for that."""
    await connection.read_exactly(PREFACE_BYTES)
    await connection.say(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")  # SETTINGS
    while True:
        head = await connection.read_exactly(FRAME_HEAD_BYTES)
        kind, flags, stream = head[3], head[4], head[5:9]
        await connection.read_exactly(int.from_bytes(head[:3], "big"))
        if kind == 4 and not flags & 1:
            await connection.say(b"\x00\x00\x00\x04\x01\x00\x00\x00\x00")  # SETTINGS, ACK
        if kind in (0, 1) and flags & 1:  # DATA or HEADERS with END_STREAM
            # HEADERS, END_HEADERS and END_STREAM; 0x88 is ":status: 200".
            await connection.say(b"\x00\x00\x01\x01\x05" + stream + b"\x88")


async def test_http2_is_spoken_where_the_receiver_speaks_it(
    authority: Authority, tmp_path: Path
) -> None:
    context = server_context(tmp_path, authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    outcomes, connections = await outcomes_of(
        _speak_http2, context, authority.bundle(tmp_path), times=3
    )
    for outcome in outcomes:
        assert isinstance(outcome, Answer)
        assert outcome.status == 200
    assert connections == 1

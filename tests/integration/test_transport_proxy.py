"""An egress proxy of the operator: everything goes through it, and its faults are ours."""

import pytest
from tests.support.raw_server import (
    Connection,
    ScriptedResolver,
    open_transport,
    post,
    raw_server,
    says,
    says_and_closes,
)

from payhooks.model.attempt import Answer, OurFault, Reason, Silence
from payhooks.transport import Unresolved

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"
NOT_ASKED = ScriptedResolver(lambda _host: Unresolved.UNKNOWN)


@pytest.mark.shows("S05")
async def test_a_request_goes_through_the_tunnel_and_the_proxy_resolves() -> None:
    """Workers behind a proxy often have no name server at all."""
    got: list[bytes] = []

    async def proxy(connection: Connection) -> None:
        got.append(await connection.read_request())
        await connection.say(TUNNEL)
        while request := await connection.read_request():
            got.append(request)
            await connection.say(OK)

    async with (
        raw_server(proxy) as server,
        open_transport(
            proxy=f"http://127.0.0.1:{server.port}", resolver=NOT_ASKED, allowed=()
        ) as transport,
    ):
        for _ in range(2):
            outcome = await transport.send(post("http://receiver.example/hook"))
            assert isinstance(outcome, Answer)
            assert outcome.headers == (("content-length", "2"),)
            assert outcome.peer is None, "the proxy's address is the operator's business"
    assert got[0].startswith(b"CONNECT receiver.example:80 HTTP/1.1\r\n")
    assert got[1].startswith(b"POST /hook HTTP/1.1\r\n")
    assert len(got) == 3
    assert server.connections == 1
    assert NOT_ASKED.asked == []


async def test_the_proxys_yes_is_not_the_receivers() -> None:
    """Its 200 means a tunnel; taken for the answer it would lose the event."""
    async with (
        raw_server(says_and_closes(TUNNEL)) as server,
        open_transport(proxy=f"http://127.0.0.1:{server.port}", allowed=()) as transport,
    ):
        outcome = await transport.send(post("http://receiver.example/hook"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.PROTOCOL


@pytest.mark.shows("S05")
async def test_a_dead_proxy_spends_no_attempt() -> None:
    async with raw_server(says(OK)) as server:
        port = server.port
    async with open_transport(proxy=f"http://127.0.0.1:{port}", allowed=()) as transport:
        outcome = await transport.send(post("https://receiver.example/hook"))
    assert isinstance(outcome, OurFault)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, Reason.BLOCKED_ADDRESS), (407, None), (502, Reason.CONNECT), (504, Reason.CONNECT)],
)
async def test_what_the_proxy_refuses(status: int, expected: Reason | None) -> None:
    """403 is its address guard; another 4xx is our set-up; a 5xx is the receiver."""
    answer = f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()
    async with (
        raw_server(says_and_closes(answer)) as server,
        open_transport(proxy=f"http://127.0.0.1:{server.port}", allowed=()) as transport,
    ):
        outcome = await transport.send(post("https://receiver.example/hook"))
    if expected is None:
        assert isinstance(outcome, OurFault)
    else:
        assert isinstance(outcome, Silence)
        assert outcome.reason is expected


@pytest.mark.shows("S05")
async def test_private_addresses_are_refused_before_the_proxy_is_asked() -> None:
    async with (
        raw_server(says(OK)) as server,
        open_transport(proxy=f"http://127.0.0.1:{server.port}", allowed=()) as transport,
    ):
        outcome = await transport.send(post("https://10.0.0.1/hook"))
    assert isinstance(outcome, Silence)
    assert outcome.reason is Reason.BLOCKED_ADDRESS
    assert server.connections == 0

"""Asking a provider: what he answers is taken whole or not at all, and only he is asked."""

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
from payhooks.errors import UnavailableError
from payhooks.model.attempt import Answer
from payhooks.ports.fetching import Fetch, Fetched
from payhooks.transport.fetching import TransportFetcher

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def fetched(script: Script) -> Fetched:
    async with raw_server(script) as server, open_transport() as transport:
        url = f"http://127.0.0.1:{server.port}/"
        return await TransportFetcher(transport).fetch(Fetch(url=url, allow_http=True))


async def test_a_question_is_a_get_without_a_body_that_shows_who_asks() -> None:
    """A provider that gets a POST would take it for an order."""
    got: list[bytes] = []

    async def script(connection: Connection) -> None:
        got.append(await connection.read_request())
        await connection.say(OK)

    async with raw_server(script) as server, open_transport() as transport:
        url = f"http://127.0.0.1:{server.port}/v2/payments/tr_1?embed=refunds,chargebacks"
        request = Fetch(url=url, headers=(("authorization", "Bearer test_1"),), allow_http=True)
        answer = await TransportFetcher(transport).fetch(request)
    assert answer == Fetched(status=200, body=b"ok")
    lines = got[0].decode().removesuffix("\r\n\r\n").split("\r\n")
    assert lines[0] == "GET /v2/payments/tr_1?embed=refunds,chargebacks HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        f"Host: 127.0.0.1:{server.port}",
        "authorization: Bearer test_1",
    ]


async def test_a_question_between_two_deliveries_changes_neither() -> None:
    """They take turns on one handle, which remembers how it was used last."""
    got: list[bytes] = []

    async def script(connection: Connection) -> None:
        while request := await connection.read_request():
            got.append(request)
            await connection.say(OK)

    async with raw_server(script) as server, open_transport() as transport:
        url = f"http://127.0.0.1:{server.port}/"
        outcomes = [await transport.send(post(url, body=b"one"))]
        await TransportFetcher(transport).fetch(Fetch(url=url, allow_http=True))
        outcomes.append(await transport.send(post(url, body=b"two")))
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    heads_and_bodies = [request.partition(b"\r\n\r\n") for request in got]
    assert [head[:5] for head, _, _ in heads_and_bodies] == [b"POST ", b"GET /", b"POST "]
    assert [body for _, _, body in heads_and_bodies] == [b"one", b"", b"two"]


async def test_more_of_an_answer_is_kept_than_of_a_delivery() -> None:
    """A payment with its refunds is larger than the evidence that a failed delivery leaves."""
    body = b"x" * (limits.ANSWER_KEPT_BYTES_MAX + 1)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert (await fetched(says(head + body))).body == body


@pytest.mark.parametrize("status", [204, 302, 404, 500])
async def test_any_status_is_an_answer_and_a_redirect_is_not_followed(status: int) -> None:
    """What it means is for whoever asked; another address gets no credential."""
    answer = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert await fetched(says(answer.encode())) == Fetched(status=status, body=b"")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000, id="too large"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroken", id="broken off"),
        pytest.param(b"no HTTP at all\r\n\r\n", id="not HTTP"),
    ],
)
async def test_half_an_answer_is_none(answer: bytes) -> None:
    """A payment whose refunds were cut off would read as one without any."""
    with pytest.raises(UnavailableError):
        await fetched(says_and_closes(answer))


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [
        pytest.param("http://10.0.0.1/", True, id="a private address"),
        pytest.param("http://169.254.169.254/latest/meta-data", True, id="the cloud's own"),
        pytest.param("http://127.0.0.1/", False, id="plain http"),
        pytest.param("file:///etc/passwd", True, id="no HTTP"),
    ],
)
async def test_an_address_that_deliveries_may_not_call_may_not_be_asked(
    url: str, *, allow_http: bool
) -> None:
    """A URL in a forged webhook must not make us look around in our own network."""
    dialled: list[str] = []
    async with open_transport(on_dial=dialled.append) as transport:
        with pytest.raises(UnavailableError):
            await TransportFetcher(transport).fetch(Fetch(url=url, allow_http=allow_http))
    assert dialled == []


async def test_who_gives_up_asking_closes_the_connection() -> None:
    """A process that stops must not hold connections of which nobody reads."""
    asked, closed = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read_request()
        asked.set()
        await connection.wait_until_closed()
        closed.set()

    async with raw_server(script) as server, open_transport() as transport:
        request = Fetch(url=f"http://127.0.0.1:{server.port}/", allow_http=True)
        asking = asyncio.ensure_future(TransportFetcher(transport).fetch(request))
        await asyncio.wait_for(asked.wait(), 5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(closed.wait(), 5)

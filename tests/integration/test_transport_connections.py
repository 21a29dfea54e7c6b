"""How connections live: kept, closed by the other side, cancelled, and all freed at the end."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop
from tests.support.raw_server import (
    Connection,
    open_transport,
    post,
    raw_server,
    says,
    says_and_closes,
)

from payhooks.model.attempt import Answer, OurFault, Reason, Silence
from payhooks.testing import ManualClock

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUESTS = 300
AT_ONCE = 20


@pytest.mark.shows("F58")
async def test_a_kept_connection_that_the_receiver_closed_is_replaced() -> None:
    """Every server closes idle connections; that must cost nobody an attempt."""
    async with raw_server(says_and_closes(OK)) as server, open_transport() as transport:
        for _ in range(2):
            outcome = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
            assert isinstance(outcome, Answer)
            # libcurl looks whether a connection is alive when it was not used for a second.
            await asyncio.sleep(1.05)
    assert server.connections == 2


@pytest.mark.shows("F58")
async def test_a_receiver_that_closes_after_each_answer_fails_once_and_is_remembered() -> None:
    """Some servers do, without saying so; every second delivery to them would fail."""
    clock = ManualClock()
    async with raw_server(says_and_closes(OK)) as server, open_transport(clock=clock) as transport:
        request = post(f"http://127.0.0.1:{server.port}/")
        outcomes = []
        for _ in range(10):
            outcomes.append(await transport.send(request))
            await asyncio.sleep(0.01)
        clock.advance(timedelta(minutes=11))
        later = [await transport.send(request) for _ in range(2)]
    silent = [outcome for outcome in outcomes if isinstance(outcome, Silence)]
    assert len(silent) == 1
    assert silent[0].reason is Reason.PROTOCOL
    assert isinstance(later[0], Answer)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.shows("F58")
async def test_a_request_that_may_have_been_read_is_not_silently_sent_again(how: str) -> None:
    """Libcurl would, POST or not: whoever broke off may have acted on it already."""
    requests = 0

    async def script(connection: Connection) -> None:
        nonlocal requests
        await connection.read_request()
        requests += 1
        await connection.say(OK)
        if await connection.read_request():
            requests += 1
        if how == "reset":
            connection.reset()

    async with raw_server(script) as server, open_transport() as transport:
        first = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
        second = await transport.send(post(f"http://127.0.0.1:{server.port}/"))
    assert isinstance(first, Answer)
    assert isinstance(second, Silence)
    assert second.reason is Reason.PROTOCOL
    assert (requests, server.connections) == (2, 1)


async def test_an_answer_that_says_close_is_heeded() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with raw_server(says(answer)) as server, open_transport() as transport:
        for _ in range(2):
            await transport.send(post(f"http://127.0.0.1:{server.port}/"))
    assert server.connections == 2


async def test_cancelling_a_send_closes_its_connection() -> None:
    """A worker that drains must not leave requests running behind its back."""
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.read_request()
        arrived.set()
        await connection.wait_until_closed()
        closed.set()

    async with raw_server(script) as server, open_transport() as transport:
        task = asyncio.create_task(transport.send(post(f"http://127.0.0.1:{server.port}/")))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(closed.wait(), 2)


async def test_the_transport_works_on_after_a_cancelled_send() -> None:
    async def script(connection: Connection) -> None:
        request = await connection.read_request()
        if b"/hang" in request:
            await connection.wait_until_closed()
        await connection.say(OK)

    async with raw_server(script) as server, open_transport() as transport:
        url = f"http://127.0.0.1:{server.port}"
        hanging = [asyncio.create_task(transport.send(post(f"{url}/hang"))) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        outcome = await transport.send(post(f"{url}/ok"))
    assert isinstance(outcome, Answer)


async def test_closing_ends_what_is_under_way_and_frees_every_socket() -> None:
    arrived = asyncio.Event()

    async def script(connection: Connection) -> None:
        while request := await connection.read_request():
            if b"/hang" in request:
                arrived.set()
                await connection.wait_until_closed()
                return
            await connection.say(OK)

    async with raw_server(script) as server:
        before = open_files()
        async with open_transport() as transport:
            url = f"http://127.0.0.1:{server.port}"
            await transport.send(post(f"{url}/ok"))
            hanging = asyncio.create_task(transport.send(post(f"{url}/hang")))
            await arrived.wait()
        outcome = await hanging
        assert isinstance(outcome, OurFault), "no attempt is spent on our going away"
        assert isinstance(await transport.send(post(f"{url}/ok")), OurFault)
        await transport.close()
        await asyncio.sleep(0.05)
        assert open_files() <= before


async def load(transport_count: int) -> int:
    """Send many requests over few connections; return how many connections that took."""
    async with raw_server(says(OK)) as server, open_transport() as transport:
        request = post(f"http://127.0.0.1:{server.port}/", body=b"x" * 100_000)

        async def send_some() -> None:
            for _ in range(REQUESTS // transport_count):
                assert isinstance(await transport.send(request), Answer)

        await asyncio.gather(*(send_some() for _ in range(transport_count)))
        return server.connections


async def test_under_load_connections_are_used_again() -> None:
    assert await load(AT_ONCE) <= AT_ONCE


def test_on_uvloop_it_is_the_same() -> None:
    """What serves runs on uvloop; tests run on asyncio."""
    assert uvloop.run(load(AT_ONCE)) <= AT_ONCE


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())

"""Endpoints that nobody answers for: each way of being away has its words and its end."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.netns import Namespace, namespace
from tests.support.ports import free_port
from tests.support.raw_server import Connection, raw_server
from tests.support.served_endpoints import Merchant, served, until
from tests.support.server import Server

from payhooks import limits

LOST, UNREACHABLE = "10.66.0.0/16", "10.67.0.0/16"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """Yield a host of our own, with us in it, that loses some packets and refuses others."""
    with namespace() as host, host.entered():
        host.lose(LOST)
        host.refuse(UNREACHABLE)
        yield host


@pytest.fixture(scope="module")
def server(host: Namespace) -> Iterator[Server]:
    allowed = f"127.0.0.1/32 {LOST} {UNREACHABLE}"
    with served({"PAYHOOKS_EGRESS_ALLOW": allowed}) as server:
        yield server


@pytest.fixture
async def merchant(server: Server) -> Merchant:
    return await asyncio.to_thread(Merchant, server)


@pytest.mark.parametrize(
    ("address", "words", "took_s"),
    [
        pytest.param("127.0.0.1", "refused", 0.0, id="refused"),
        pytest.param("10.67.0.1", "no way", 0.0, id="unreachable"),
        pytest.param("10.66.0.1", "in time", limits.CONNECT_TIMEOUT_S, id="a black hole"),
    ],
)
@pytest.mark.shows("F42")
async def test_no_connection_says_why_and_ends_in_time(
    merchant: Merchant, address: str, words: str, took_s: float
) -> None:
    """Who mends it must know whether a process, a route or a firewall is the matter."""
    endpoint = await merchant.endpoint(f"http://{address}:{free_port()}/")
    await merchant.publish()
    found = await merchant.attempted(endpoint)
    [attempt] = found["attempts"]
    assert (found["status"], found["reason"]) == ("scheduled", "connect")
    assert words in attempt["detail"]
    assert abs(attempt["timing_ms"]["total"] / 1_000 - took_s) < 1


@pytest.mark.shows("F44")
async def test_a_receiver_that_never_answers_costs_its_time_and_frees_its_slot(
    merchant: Merchant,
) -> None:
    """Four hang at most; the rest of its events is neither lost nor sent into the void."""
    silent = True

    async def hangs(connection: Connection) -> None:
        while await connection.read_request():
            if silent:
                await connection.wait_until_closed()
            await connection.say(OK)

    async with raw_server(hangs) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        endpoint = await merchant.endpoint(url, timeout_s=1, retry_policy=[2, 2, 2, 2])
        await merchant.publish(3)
        found = await until(
            lambda: merchant.deliveries(endpoint, reason="timeout"),
            lambda found: len(found) == 3,
        )
        assert {each["status"] for each in found} == {"scheduled"}
        first = await merchant.get(f"/deliveries/{found[0]['id']}")
        assert 1_000 <= first["attempts"][0]["timing_ms"]["total"] < 2_000
        silent = False
        await until(
            lambda: merchant.deliveries(endpoint, status="delivered"),
            lambda found: len(found) == 3,
        )


@pytest.mark.shows("F44")
@pytest.mark.long
async def test_without_a_time_of_its_own_an_endpoint_has_fifteen_seconds(
    merchant: Merchant,
) -> None:
    async def hangs(connection: Connection) -> None:
        await connection.wait_until_closed()

    async with raw_server(hangs) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        await merchant.publish()
        found = await merchant.attempted(endpoint)
    took_s = found["attempts"][0]["timing_ms"]["total"] / 1_000
    assert limits.TIMEOUT_S_DEFAULT <= took_s < limits.TIMEOUT_S_DEFAULT + 1


@pytest.mark.shows("F58")
async def test_a_receiver_that_closes_idle_connections_costs_nobody_an_attempt(
    merchant: Merchant,
) -> None:
    """Every server does; a delivery must not fail for it."""

    async def closes(connection: Connection) -> None:
        await connection.read_request()
        await connection.say(OK)

    async with raw_server(closes) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        for number in range(3):
            await merchant.publish()
            await until(
                lambda: merchant.deliveries(endpoint, status="delivered"),
                lambda found, n=number: len(found) > n,  # type: ignore[misc] # Bound now.
            )
            # libcurl looks whether a connection is alive when it was not used for a second.
            await asyncio.sleep(1.1)
    found = await merchant.deliveries(endpoint)
    assert [each["attempts_made"] for each in found] == [1, 1, 1]

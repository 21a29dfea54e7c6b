"""An endpoint changes while requests to it are under way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.raw_server import Connection, raw_server
from tests.support.served_endpoints import Merchant, served, until
from tests.support.server import Json, Server

from payhooks import limits

UNDER_WAY = limits.IN_FLIGHT_PER_UNPROVEN_LANE
EVENTS = UNDER_WAY + 6
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class SlowReceiver:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.got = 0
        self.answers = asyncio.Event()
        self.url = ""

    async def script(self, connection: Connection) -> None:
        while await connection.read_request():
            self.got += 1
            await self.answers.wait()
            await connection.say(OK)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
async def merchant(server: Server) -> Merchant:
    return await asyncio.to_thread(Merchant, server)


@pytest.fixture
async def receiver() -> AsyncIterator[SlowReceiver]:
    slow = SlowReceiver()
    async with raw_server(slow.script) as served_:
        slow.url = f"http://127.0.0.1:{served_.port}/"
        yield slow


async def _under_way(merchant: Merchant, receiver: SlowReceiver) -> str:
    """Publish more than may be under way; return the endpoint when the receiver has its share."""
    endpoint = await merchant.endpoint(receiver.url)
    await merchant.publish(EVENTS)

    async def got() -> int:
        return receiver.got

    await until(got, lambda count: count == UNDER_WAY)
    return endpoint


def _statuses(found: list[Json]) -> Counter[str]:
    return Counter(each["status"] for each in found)


@pytest.mark.parametrize(
    ("change", "becomes"), [("delete", "cancelled"), ("disable", "held"), ("pause", "held")]
)
@pytest.mark.shows("F57")
async def test_what_is_under_way_ends_and_the_rest_is_called_off(
    merchant: Merchant, receiver: SlowReceiver, change: str, becomes: str
) -> None:
    """A request that has left has left: its answer counts. Nothing else may leave afterwards."""
    endpoint = await _under_way(merchant, receiver)
    if change == "delete":
        await merchant.call("DELETE", f"/endpoints/{endpoint}")
    else:
        await merchant.call("POST", f"/endpoints/{endpoint}/{change}")
    receiver.answers.set()
    found = await until(
        lambda: merchant.deliveries(endpoint),
        lambda found: _statuses(found) == {"delivered": UNDER_WAY, becomes: EVENTS - UNDER_WAY},
    )
    assert receiver.got == UNDER_WAY
    assert all(each["attempts_made"] == (each["status"] == "delivered") for each in found)


@pytest.mark.shows("F57")
async def test_what_waits_goes_to_the_url_of_the_moment_it_is_sent(
    merchant: Merchant, receiver: SlowReceiver
) -> None:
    """Who mends a wrong URL wants everything that waits to go to the right one."""
    moved = SlowReceiver()
    moved.answers.set()
    endpoint = await _under_way(merchant, receiver)
    async with raw_server(moved.script) as other:
        url = f"http://127.0.0.1:{other.port}/"
        await merchant.call("PATCH", f"/endpoints/{endpoint}", {"url": url})
        receiver.answers.set()
        await until(
            lambda: merchant.deliveries(endpoint, status="delivered"),
            lambda found: len(found) == EVENTS,
        )
    assert (receiver.got, moved.got) == (UNDER_WAY, EVENTS - UNDER_WAY)

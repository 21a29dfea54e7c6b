"""What a receiver answers, and what becomes of the delivery, its lane and its endpoint."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.raw_server import Script, raw_server, says
from tests.support.served_endpoints import Merchant, served, until
from tests.support.server import Json, Server

from payhooks import limits

BURST = 40
ROUND = limits.IN_FLIGHT_PER_UNPROVEN_LANE


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
async def merchant(server: Server) -> Merchant:
    return await asyncio.to_thread(Merchant, server)


def _says(answer: str) -> Script:
    return says(answer.encode() + b"Content-Length: 0\r\n\r\n")


def _at_rest(found: list[Json]) -> bool:
    return len(found) == BURST and all(each["status"] == "scheduled" for each in found)


@pytest.mark.parametrize(
    ("answer", "spent_max"),
    [
        pytest.param("HTTP/1.1 429 Busy\r\nRetry-After: 3600\r\n", ROUND, id="it asked for it"),
        # The fifth failure in a row opens the breaker; the others of its round had left.
        pytest.param("HTTP/1.1 500 Dead\r\n", 2 * ROUND, id="it is dead"),
    ],
)
@pytest.mark.shows("F50", "F53")
async def test_a_rest_holds_back_what_this_process_had_taken_already(
    merchant: Merchant, answer: str, spent_max: int
) -> None:
    """One burst must not spend an attempt of each event on a receiver that is known to be away."""
    async with raw_server(_says(answer)) as receiver:
        endpoint = await merchant.endpoint(f"http://127.0.0.1:{receiver.port}/")
        await merchant.publish(BURST)
        found = await until(lambda: merchant.deliveries(endpoint), _at_rest)
    assert 1 <= sum(each["attempts_made"] for each in found) <= spent_max

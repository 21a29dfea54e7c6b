"""Many endpoints that hang or are gone cost only themselves, whatever the others need."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.receiver import Receiver
from tests.support.served_endpoints import Merchant, served
from tests.support.server import Server

from payhooks import limits

# More of them, with more each, than fit into a process twice over.
HANGING = 200
EVENTS_EACH = 16
HEALTHY_EVENTS = 20
LANES_OF_A_MOUNTAIN = 10
# Far below the five seconds that anything of theirs may wait in memory.
LATE_S_MAX = 2.5


@pytest.fixture
def server() -> Iterator[Server]:
    with served() as server:
        yield server


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.close()


@pytest.mark.shows("F53", "F54")
@pytest.mark.parametrize("whose", ["the same merchant's", "another merchant's"])
async def test_what_has_to_be_leased_does_not_wait_for_endpoints_that_hang(
    server: Server, receiver: Receiver, whose: str
) -> None:
    """Ordered deliveries and retries come from the store: the dead must leave them room there."""
    dead = await asyncio.to_thread(Merchant, server)
    healthy = dead if whose.startswith("the same") else await asyncio.to_thread(Merchant, server)
    for number in range(HANGING):
        await dead.endpoint(receiver.url(f"/hang/{number}"), events=["dead"])
    await healthy.endpoint(receiver.url("/ok"), events=["alive"], ordering="object")
    await dead.publish(EVENTS_EACH, type="dead")
    await receiver.until(lambda got: len(got) >= HANGING // 2)
    loop = asyncio.get_running_loop()
    for number in range(HEALTHY_EVENTS):
        begun_s = loop.time()
        await healthy.publish(type="alive")
        await receiver.until(lambda got, n=number: _alive(got) > n)  # type: ignore[misc] # A default is no parameter that callers give.
        assert loop.time() - begun_s < LATE_S_MAX


@pytest.mark.shows("F54")
async def test_of_a_backlog_for_an_endpoint_that_hangs_a_few_are_under_way(
    server: Server, receiver: Receiver
) -> None:
    """The rest waits where it costs nothing; another endpoint does not notice."""
    merchant = await asyncio.to_thread(Merchant, server)
    await merchant.endpoint(receiver.url("/hang"), events=["slow"], timeout_s=30)
    await merchant.endpoint(receiver.url("/ok"), events=["alive"], ordering="object")
    await merchant.publish(limits.BATCH_EVENTS_MAX, type="slow")
    for number in range(HEALTHY_EVENTS):
        await merchant.publish(type="alive")
        await receiver.until(lambda got, n=number: _alive(got) > n)  # type: ignore[misc] # As above.
    hanging = sum(each.path == "/hang" for each in receiver.received)
    assert hanging == limits.IN_FLIGHT_PER_UNPROVEN_LANE


@pytest.mark.shows("F56")
async def test_a_merchant_with_a_mountain_does_not_stand_in_anothers_way(
    server: Server, receiver: Receiver
) -> None:
    """Its lanes are slow, so its mountain stays; what the other publishes goes at once."""
    noisy = await asyncio.to_thread(Merchant, server)
    quiet = await asyncio.to_thread(Merchant, server)
    for number in range(LANES_OF_A_MOUNTAIN):
        await noisy.endpoint(receiver.url(f"/slow/{number}?s=0.2"), events=["mountain"])
    await quiet.endpoint(receiver.url("/ok"), events=["alive"], ordering="object")
    await noisy.publish(limits.BATCH_EVENTS_MAX, type="mountain")
    loop = asyncio.get_running_loop()
    for number in range(HEALTHY_EVENTS):
        begun_s = loop.time()
        await quiet.publish(type="alive")
        await receiver.until(lambda got, n=number: _alive(got) > n)  # type: ignore[misc] # As above.
        assert loop.time() - begun_s < LATE_S_MAX
    waits = await noisy.get("/deliveries?status=scheduled&limit=1")
    assert waits["data"], "else it was no mountain"


def _alive(got: object) -> int:
    assert isinstance(got, list)
    return sum(each.path == "/ok" for each in got)

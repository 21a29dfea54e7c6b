"""Counts outlive the process that made them: all when it stops, the stored ones at a kill."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.receiver import Receiver
from tests.support.server import EVENT_TYPE, Api, Server, Tenant, sqlite_url

EVENTS = 25


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Yield a server of a merchant, which answers everything with 200."""
    receiver = await Receiver().start()
    yield receiver
    await receiver.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Yield a process that serves on SQLite, started."""
    with sqlite_url(tmp_path) as url:
        server = Server(tmp_path / "server", url)
        try:
            await server.start_async()
            yield server
        finally:
            server.close()


def _publish(server: Server, url: str) -> Tenant:
    tenant = Tenant(Api(server.port))
    tenant.endpoint(url)
    for number in range(EVENTS):
        tenant.publish({"n": number})
    return tenant


def _counted(server: Server, tenant: Tenant) -> tuple[int, int, int]:
    """Return events, deliveries and attempts of the last hours, as the chart has them."""
    steps = Tenant.at(tenant, server.port).api.get(f"{tenant.path}/stats?range=24h&step=1h")["data"]
    names = ("accepted", "delivered", "attempts")
    accepted, delivered, attempts = (sum(step[name] for step in steps) for name in names)
    return accepted, delivered, attempts


async def test_a_process_that_stops_has_counted_everything(
    server: Server, receiver: Receiver
) -> None:
    """A deployment a day must not eat away at the charts."""
    tenant = await asyncio.to_thread(_publish, server, receiver.url("/hooks"))
    await receiver.until(lambda came: len(came) == EVENTS)
    # Much sooner than it hands over by itself.
    assert await asyncio.to_thread(server.stop) == 0
    await server.start_async()
    accepted, delivered, attempts = await asyncio.to_thread(_counted, server, tenant)
    assert (delivered, attempts) == (EVENTS, EVENTS)
    # That the endpoint was made is an event too, told when its turn comes.
    assert accepted in {EVENTS, EVENTS + 1}


async def test_a_kill_costs_counts_and_nothing_of_the_record(
    server: Server, receiver: Receiver
) -> None:
    """They are statistics; events and deliveries were on the disk before anybody was told."""
    tenant = await asyncio.to_thread(_publish, server, receiver.url("/hooks"))
    await receiver.until(lambda came: len(came) == EVENTS)
    await asyncio.to_thread(server.kill)
    await server.start_async()
    accepted, _, _ = await asyncio.to_thread(_counted, server, tenant)
    asking = f"{tenant.path}/events?type={EVENT_TYPE}"
    asked = Tenant.at(tenant, server.port).api
    events = await asyncio.to_thread(lambda: list(asked.pages(asking)))
    assert len(events) == EVENTS
    assert accepted <= EVENTS + 1

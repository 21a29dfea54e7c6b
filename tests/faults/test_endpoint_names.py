"""Names that lead nowhere, and name servers that fail: whose fault it is, and who pays."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.support.dns_stub import Code, NameServer, Said, name_server
from tests.support.netns import Namespace, namespace
from tests.support.raw_server import RawServer, raw_server, says
from tests.support.served_endpoints import Merchant, served, until
from tests.support.server import SERVE, Server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HERE = ("127.0.0.1",)
METADATA = "169.254.169.254"
# Of so many domains the last three failures in a row mean our resolver.
DOMAINS = ("one.example", "two.example", "three.example")


@pytest.fixture(scope="module")
def host() -> Iterator[Namespace]:
    """Yield a host of our own, with us in it: its port 53 is free, and its resolver ours."""
    with namespace() as host, host.entered():
        host.ask_names_of("127.0.0.1")
        yield host


@pytest.fixture(scope="module")
def server(host: Namespace) -> Iterator[Server]:
    allowed = {"PAYHOOKS_EGRESS_ALLOW": "127.0.0.0/8"}
    with served(allowed, command=host.module(*SERVE)) as server:
        yield server


@pytest.fixture
def fresh(host: Namespace) -> Iterator[Server]:
    """Yield a server whose resolver has never answered."""
    with served(command=host.module(*SERVE)) as server:
        yield server


@pytest.fixture
async def merchant(server: Server) -> Merchant:
    return await asyncio.to_thread(Merchant, server)


@pytest.fixture
async def names(host: Namespace) -> AsyncIterator[NameServer]:
    async with name_server(lambda _name: HERE) as names:
        yield names


@pytest.fixture
async def receiver(host: Namespace) -> AsyncIterator[RawServer]:
    async with raw_server(says(OK)) as receiver:
        yield receiver


@pytest.mark.shows("F40")
async def test_a_name_that_does_not_exist_is_tried_again_on_schedule(
    merchant: Merchant, names: NameServer, receiver: RawServer
) -> None:
    """A zone that was broken for a minute must not cost the endpoint."""
    exists = False
    names.script = lambda name: HERE if exists or name == "other.example" else Code.NXDOMAIN
    url = f"http://gone.example:{receiver.port}/"
    endpoint = await merchant.endpoint(url, retry_policy=[7, 600])
    await merchant.publish()
    found = await merchant.attempted(endpoint)
    assert (found["status"], found["reason"], found["attempts_made"]) == ("scheduled", "dns", 1)
    assert (await merchant.get(f"/endpoints/{endpoint}"))["status"] == "active"
    exists = True
    await until(lambda: merchant.deliveries(endpoint, status="delivered"), bool)
    assert receiver.connections == 1


@pytest.mark.parametrize("said", [Code.SERVFAIL, None], ids=["refused", "silent"])
@pytest.mark.shows("F41")
async def test_a_domain_whose_servers_fail_is_the_receivers_failure(
    merchant: Merchant, names: NameServer, receiver: RawServer, said: Said
) -> None:
    """Others resolve, so the resolver lives: this one is retried, and its attempts count."""
    names.script = lambda name: HERE if name == "works.example" else said
    works = await merchant.endpoint(f"http://works.example:{receiver.port}/")
    broken = await merchant.endpoint(f"http://broken.example:{receiver.port}/")
    await merchant.publish()
    found = await merchant.attempted(broken)
    assert (found["status"], found["reason"], found["attempts_made"]) == ("scheduled", "dns", 1)
    assert (await merchant.attempted(works))["status"] == "delivered"


@pytest.mark.parametrize("said", [Code.SERVFAIL, None], ids=["refused", "silent"])
@pytest.mark.shows("F41")
async def test_a_resolver_that_fails_for_all_spends_no_attempt(
    fresh: Server, names: NameServer, receiver: RawServer, said: Said
) -> None:
    """It is our network then, and no merchant's budget pays for that."""
    merchant = await asyncio.to_thread(Merchant, fresh)
    names.script = lambda _name: said
    for domain in DOMAINS:
        endpoint = await merchant.endpoint(f"http://{domain}:{receiver.port}/", events=[domain])
        await merchant.publish(type=domain)
        await until(
            lambda endpoint=endpoint: merchant.deliveries(endpoint),  # type: ignore[misc] # Bound now.
            lambda found: bool(found) and found[0]["status"] == "scheduled",
        )
    late = await merchant.endpoint(f"http://four.example:{receiver.port}/", events=["four"])
    await merchant.publish(type="four")
    [found] = await until(
        lambda: merchant.deliveries(late),
        lambda found: bool(found) and found[0]["status"] == "scheduled",
    )
    assert (found["attempts_made"], found["reason"]) == (0, None)
    assert "our_fault" in await merchant.metrics()


@pytest.mark.shows("F41")
@pytest.mark.long
async def test_a_resolver_that_came_back_delivers_what_waited(
    fresh: Server, names: NameServer, receiver: RawServer
) -> None:
    """Lanes look again by themselves; nobody has to replay anything."""
    merchant = await asyncio.to_thread(Merchant, fresh)
    names.script = lambda _name: Code.SERVFAIL
    endpoints = [
        await merchant.endpoint(f"http://{domain}:{receiver.port}/", retry_policy=[20, 20, 600])
        for domain in (*DOMAINS, "four.example")
    ]
    await merchant.publish()
    for endpoint in endpoints:
        await until(
            lambda endpoint=endpoint: merchant.deliveries(endpoint),  # type: ignore[misc] # Bound now.
            lambda found: bool(found) and found[0]["status"] == "scheduled",
        )
    names.script = lambda _name: HERE
    for endpoint in endpoints:
        await until(
            lambda endpoint=endpoint: merchant.deliveries(endpoint, status="delivered"),  # type: ignore[misc] # Bound now.
            bool,
            s=60,
        )


async def test_of_a_name_with_five_hundred_addresses_a_few_are_tried(
    merchant: Merchant, names: NameServer
) -> None:
    """They come over TCP, because they do not fit into a datagram; and cost no 500 connections."""
    names.script = lambda _name: tuple(f"127.0.{n // 250}.{n % 250 + 1}" for n in range(500))
    async with raw_server(says(OK)) as gone:
        port = gone.port
    endpoint = await merchant.endpoint(f"http://many.example:{port}/")
    await merchant.publish()
    found = await merchant.attempted(endpoint)
    assert (found["status"], found["reason"]) == ("scheduled", "connect")
    assert found["attempts"][0]["timing_ms"]["total"] < 1_000


async def test_a_name_that_moves_to_a_private_address_is_not_followed(
    merchant: Merchant, names: NameServer, receiver: RawServer
) -> None:
    """Public when it was saved, our metadata service when it is called."""
    names.script = lambda _name: ("127.0.0.1", METADATA)
    endpoint = await merchant.endpoint(f"http://evil.example:{receiver.port}/")
    await merchant.publish()
    found = await merchant.attempted(endpoint)
    assert (found["status"], found["reason"]) == ("scheduled", "blocked_address")
    assert receiver.connections == 0

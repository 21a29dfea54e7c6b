"""What lasts longer than a request must not outlast the right to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.api_world import World

from payhooks import limits
from payhooks.api.asgi import Message

ENDS_WITHIN_S = 5.0


@asynccontextmanager
async def _listening(world: World, merchant: str, key: str) -> AsyncIterator[asyncio.Task[None]]:
    """Yield a stream that began; it ends by itself, or is cancelled here."""
    path = f"/v1/merchants/{merchant}/listen"
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"x"), (b"authorization", f"Bearer {key}".encode())],
        "client": ("192.0.2.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    began = asyncio.Event()

    async def receive() -> Message:
        never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        return await never

    async def send(message: Message) -> None:
        if b"event: ready" in message.get("body", b""):
            began.set()

    stream = asyncio.ensure_future(world.app(scope, receive, send))
    try:
        await asyncio.wait_for(began.wait(), ENDS_WITHIN_S)
        yield stream
    finally:
        stream.cancel()
        await asyncio.wait([stream], timeout=ENDS_WITHIN_S)


@pytest.mark.shows("S27")
async def test_a_stream_ends_when_its_key_is_revoked() -> None:
    """Who revokes a leaked key wants whoever has it to hear nothing more, not from now on only."""
    world = World()
    merchant = await world.merchant()
    key = await world.key(merchant, "endpoints:write")
    [listed] = (await world.call("GET", f"/v1/merchants/{merchant}/keys")).json["data"]
    async with _listening(world, merchant, key) as stream:
        revoked = await world.call("DELETE", f"/v1/merchants/{merchant}/keys/{listed['id']}")
        assert revoked.status == 200
        await asyncio.wait_for(stream, ENDS_WITHIN_S)


@pytest.mark.shows("S27")
async def test_a_stream_ends_when_its_key_expires() -> None:
    """An end that only stops new requests is none for one that is open."""
    world = World()
    merchant = await world.merchant()
    soon = world.clock.now().replace(minute=59).isoformat()
    key = await world.key(merchant, "endpoints:write", expires_at=soon)
    async with _listening(world, merchant, key) as stream:
        world.advance(3_600)
        await asyncio.wait_for(stream, ENDS_WITHIN_S)


async def test_a_stream_ends_when_its_endpoint_is_deleted() -> None:
    """It would hear nothing more, and look busy for ever."""
    world = World()
    merchant = await world.merchant()
    key = await world.key(merchant, "endpoints:write")
    async with _listening(world, merchant, key) as stream:
        [listed] = (await world.call("GET", f"/v1/merchants/{merchant}/endpoints")).json["data"]
        gone = await world.call("DELETE", f"/v1/merchants/{merchant}/endpoints/{listed['id']}")
        assert gone.status == 204
        await asyncio.wait_for(stream, ENDS_WITHIN_S)


@pytest.mark.shows("S33")
async def test_streams_count_among_the_endpoints_that_a_merchant_may_have() -> None:
    """Numbers of endpoints are in the ids of deliveries: opening streams must not use them up."""
    world = World()
    merchant = await world.merchant()

    async def last_number(_merchant: object) -> int:
        return limits.ENDPOINTS_PER_MERCHANT_MAX + 1

    world.break_store("next_number", last_number)
    answer = await world.call("GET", f"/v1/merchants/{merchant}/listen")
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "quota")

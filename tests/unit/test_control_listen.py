"""Listening: a stream that is an endpoint, settled by what the listener says."""

import asyncio
import base64
import json
from typing import Any

from tests.support.api_world import OPERATOR_KEY, World

from payhooks.api.asgi import Message
from payhooks.receiver import verify


class _Listener:
    """Holds a stream open and keeps what comes."""

    def __init__(self, world: World, merchant: str) -> None:
        self._hung_up = asyncio.Event()
        self._buffer = b""
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        path = f"/v1/merchants/{merchant}/listen"
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": b"events=payment_*", "root_path": "",
            "headers": [(b"host", b"x"), (b"authorization", f"Bearer {OPERATOR_KEY}".encode())],
            "client": ("192.0.2.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        self._task = asyncio.ensure_future(world.app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._buffer += message.get("body", b"")
        while b"\n\n" in self._buffer:
            block, _, self._buffer = self._buffer.partition(b"\n\n")
            lines = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            if "event" in lines:
                self.events.put_nowait((lines["event"], json.loads(lines["data"])))

    async def hang_up(self) -> None:
        """End the stream."""
        self._hung_up.set()
        await self._task


async def test_a_stream_delivers_signed_requests_and_an_ack_settles_them() -> None:
    """What a developer sees at home must be what the receiver would get, signature and all."""
    world = World()
    merchant = await world.merchant()
    listener = _Listener(world, merchant)
    name, ready = await asyncio.wait_for(listener.events.get(), 5)
    assert name == "ready"
    await world.publish(merchant, type="refund_failed")
    await world.publish(merchant, type="payment_failed")
    name, sent = await asyncio.wait_for(listener.events.get(), 5)
    assert (name, sent["event_type"]) == ("delivery", "payment_failed")
    body = base64.b64decode(sent["body"])
    assert verify(body, dict(sent["headers"]), ready["secret"], now=world.clock.now())
    acks = f"/v1/merchants/{merchant}/listen/{ready['id']}/acks"
    ack = {"delivery_id": sent["delivery_id"], "fence": sent["fence"], "status": 204}
    acknowledged = await world.call("POST", acks, ack)
    assert (acknowledged.status, acknowledged.json) == (200, {"settled": True})
    read = await world.call("GET", f"/v1/merchants/{merchant}/deliveries/{sent['delivery_id']}")
    assert (read.json["status"], read.json["attempts"][0]["status"]) == ("delivered", 204)
    await world.tallier.hand_over()
    chart = await world.call("GET", f"/v1/merchants/{merchant}/stats?range=1h&step=1h")
    assert (chart.json["data"][0]["delivered"], chart.json["data"][0]["attempts"]) == (1, 1)
    await listener.hang_up()
    for _ in range(10):
        await asyncio.sleep(0)
    gone = await world.call("GET", f"/v1/merchants/{merchant}/endpoints/{ready['id']}")
    assert gone.status == 404
    assert (await world.audit_actions(merchant))[-2:] == ["listener.started", "listener.stopped"]


async def test_an_ack_for_what_is_not_the_streams_is_refused() -> None:
    """A listener may settle its own deliveries, nobody else's."""
    world = World()
    merchant = await world.merchant()
    await world.endpoint(merchant)
    await world.publish(merchant)
    [other] = (await world.call("GET", f"/v1/merchants/{merchant}/deliveries")).json["data"]
    listener = _Listener(world, merchant)
    _, ready = await asyncio.wait_for(listener.events.get(), 5)
    acks = f"/v1/merchants/{merchant}/listen/{ready['id']}/acks"
    ack = {"delivery_id": other["id"], "fence": 1, "status": 204}
    assert (await world.call("POST", acks, ack)).status == 404
    assert (await world.call("POST", acks, {**ack, "delivery_id": "del_x"})).status == 422
    await listener.hang_up()

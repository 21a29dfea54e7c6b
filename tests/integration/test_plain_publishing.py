"""The short way of a plain request to publish: what it says is what the long way says.

The long way is taken by force where a request names the charset of its JSON: that is right,
but not plain.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from tests.support.api_world import OPERATOR_KEY
from tests.support.served_api import RawAnswer, Served, served
from tests.support.shipped import example_of

from payhooks.control import merchants
from payhooks.control.merchants import MerchantDraft
from payhooks.errors import UnavailableError
from payhooks.model.merchant import TypeCheck

GOOD = b'{"type":"payment_succeeded","data":{"amount":1.10}}'
NOT_PLAIN = b"content-type: application/json; charset=utf-8"


@dataclass(frozen=True)
class Publisher:
    """Somebody with a merchant's own key, of whom the process has heard before."""

    server: Served
    key: str

    def request(self, body: bytes = GOOD, *lines: str) -> bytes:
        """Return a plain request."""
        head = self.server.head(f"content-length: {len(body)}", *lines)
        return head.replace(OPERATOR_KEY.encode(), self.key.encode()) + body

    async def short(self, body: bytes = GOOD, *lines: str) -> RawAnswer:
        """Send it so that the short way can be taken."""
        return await self.server.raw(self.request(body, *lines))

    async def long(self, body: bytes = GOOD, *lines: str) -> RawAnswer:
        """Send it so that the long way must be taken."""
        request = self.request(body, *lines)
        return await self.server.raw(request.replace(b"content-type: application/json", NOT_PLAIN))


@contextlib.asynccontextmanager
async def _publishing() -> AsyncIterator[Publisher]:
    async with served() as server:
        key = await server.world.key(server.merchant, "events:write")
        publisher = Publisher(server, key)
        assert (await publisher.long()).status == 202
        await server.by_app.get()
        yield publisher
        assert server.world.bugs == []


def _said(answer: RawAnswer) -> tuple[set[bytes], dict[str, object]]:
    """Return the headers and the body, without what differs from request to request."""
    head, _, body = answer.bytes_.partition(b"\r\n\r\n")
    lines = {line for line in head.split(b"\r\n") if not line.startswith((b"date", b"x-request"))}
    members = json.loads(body)
    for name in ("id", "created_at", "request_id"):
        members.pop(name, None)
    return lines, members


async def test_a_plain_request_is_answered_without_the_application() -> None:
    """The short way is there to be taken; without this, every other test here says nothing."""
    async with _publishing() as publisher:
        answer = await publisher.short()
        assert answer.status == 202
        assert publisher.server.by_app.empty()
        assert answer.bytes_.count(b"x-request-id: req_") == 1


_ASKED = [
    pytest.param(GOOD, [], 202, id="good"),
    pytest.param(b'{"type":"nobodys.word","data":{}}', [], 202, id="with a finding"),
    pytest.param(b'{"type":"payment_succeeded","data":{},"data":{}}', [], 400, id="a key twice"),
    pytest.param(b'{"type":"payment_succeeded"}', [], 422, id="a member is missing"),
    pytest.param(b"", [], 400, id="no body"),
    pytest.param(GOOD, ["idempotency-key: "], 422, id="an empty idempotency key"),
    pytest.param(
        GOOD, ["idempotency-key: a", "idempotency-key: b"], 422, id="two idempotency keys"
    ),
    pytest.param(GOOD, ["content-encoding: gzip"], 415, id="an encoding"),
    pytest.param(GOOD, ["expect: foo"], 417, id="an expectation"),
    pytest.param(GOOD, ["host: other.example"], 400, id="two hosts"),
    pytest.param(GOOD, ["authorization: Bearer x"], 401, id="two credentials"),
    pytest.param(GOOD, ["connection: close"], 202, id="the last of its connection"),
]


@pytest.mark.shows("S32")
@pytest.mark.parametrize(("body", "lines", "status"), _ASKED)
async def test_both_ways_give_one_answer(body: bytes, lines: list[str], status: int) -> None:
    """Nobody can see which way his request went."""
    async with _publishing() as publisher:
        short, long = await publisher.short(body, *lines), await publisher.long(body, *lines)
        assert short.status == status
        assert _said(short) == _said(long)
        assert short.closed == long.closed


async def test_the_same_key_gets_the_same_answer_either_way() -> None:
    """A client that repeats after a lost answer may come another way the second time."""
    async with _publishing() as publisher:
        key = "idempotency-key: k-1"
        first = await publisher.short(GOOD, key)
        again = await publisher.short(GOOD, key)
        other = await publisher.short(GOOD.replace(b"1.10", b"1.1"), key)
        assert b"idempotent-replayed: true" not in first.bytes_
        assert b"idempotent-replayed: true" in again.bytes_
        assert first.bytes_.partition(b"\r\n\r\n")[2] == again.bytes_.partition(b"\r\n\r\n")[2]
        assert other.status == 409
        assert _said(again) == _said(await publisher.long(GOOD, key))
        # The member that says where is the only one that the target is in.
        assert _said(other) == _said(await publisher.long(GOOD.replace(b"1.10", b"1.1"), key))


async def test_two_requests_with_one_key_at_once_are_one_event() -> None:
    """Who follows must wait for who leads, and the short way cannot wait."""
    async with _publishing() as publisher:
        answers = await asyncio.gather(
            *[publisher.short(GOOD, "idempotency-key: k-2") for _ in range(8)]
        )
        assert {answer.status for answer in answers} == {202}
        assert len({answer.bytes_.partition(b"\r\n\r\n")[2] for answer in answers}) == 1


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    """A short way that overtook the long one would give a client another's answer."""
    async with _publishing() as publisher:
        keys = [f"idempotency-key: ahead-{n}" for n in range(9)]
        requests = [publisher.request(GOOD, key) for key in keys]
        for n in (2, 3, 7):
            requests[n] = requests[n].replace(b"content-type: application/json", NOT_PLAIN)
        last = publisher.request(GOOD, keys[0], "connection: close")
        reader, writer = await asyncio.open_connection("127.0.0.1", publisher.server.port)
        writer.write(b"".join(requests) + last)
        async with asyncio.timeout(10):
            got = await reader.read(-1)
        writer.close()
        answers = got.split(b"HTTP/1.1 202 Accepted\r\n")[1:]
        ids = [json.loads(answer.partition(b"\r\n\r\n")[2])["id"] for answer in answers]
        assert len(ids) == 10
        assert ids[:9] == sorted(set(ids))
        assert ids[9] == ids[0]


async def test_an_endpoint_made_a_moment_ago_gets_the_event() -> None:
    """Subscribed at accept time counts, whatever the process remembers."""
    async with _publishing() as publisher:
        publisher.server.world.changed_elsewhere = True
        await publisher.server.world.endpoint(publisher.server.merchant)
        _, members = _said(await publisher.short())
        assert members["deliveries"] == 1
        assert publisher.server.by_app.empty()


async def test_stricter_rules_hold_for_the_next_event() -> None:
    """An operator who has been told 200 believes that typos are refused from now on."""
    async with _publishing() as publisher:
        typo = b'{"type":"payment_succeded","data":{}}'
        world, merchant = publisher.server.world, publisher.server.merchant
        known = await merchants.find(world.control, world.caller, merchant)
        stricter = MerchantDraft(type_check=TypeCheck.STRICT)
        await merchants.edit(world.control, world.caller, known, stricter, if_version=None)
        short = await publisher.short(typo)
        assert short.status == 422
        assert publisher.server.by_app.empty()
        assert _said(short) == _said(await publisher.long(typo))
        example = example_of("owngateway", "payment_succeeded")
        known_type = json.dumps({"type": "payment_succeeded", "data": example}).encode()
        assert (await publisher.short(known_type)).status == 202


@pytest.mark.shows("S27")
async def test_a_key_revoked_a_moment_ago_opens_nothing() -> None:
    """The key is looked at with every routing table that a plan is made from."""
    async with _publishing() as publisher:
        world, merchant = publisher.server.world, publisher.server.merchant
        keys = await world.call("GET", f"/v1/merchants/{merchant}/keys")
        [key_id] = [key["id"] for key in keys.json["data"]]
        gone = await world.call("DELETE", f"/v1/merchants/{merchant}/keys/{key_id}")
        assert gone.status == 200
        assert (await publisher.short()).status == 401


async def test_a_store_that_is_down_is_said_and_nothing_is_kept() -> None:
    """Never worse than late: 503 with Retry-After on the short way too."""
    async with _publishing() as publisher:

        async def down(*_: object, **__: object) -> list[object]:
            raise UnavailableError("down", retry_after_s=2.0)

        publisher.server.world.break_store("accept", down)
        short = await publisher.short()
        assert short.status == 503
        assert publisher.server.by_app.empty()
        assert b"retry-after: 2" in short.bytes_
        assert _said(short) == _said(await publisher.long())


async def test_a_request_in_two_pieces_is_taken_too() -> None:
    """What has begun to wait for the rest must not be forgotten."""
    async with _publishing() as publisher:
        request = publisher.request()
        reader, writer = await asyncio.open_connection("127.0.0.1", publisher.server.port)
        writer.write(request[:-5])
        # The head is with the application when it has been heard of there.
        async with asyncio.timeout(5):
            await publisher.server.by_app.get()
        writer.write(request[-5:])
        assert (await reader.readline()) == b"HTTP/1.1 202 Accepted\r\n"
        writer.close()

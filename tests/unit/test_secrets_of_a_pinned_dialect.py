"""Deliveries that wait while their endpoint is given another dialect: signed as they are pinned."""

import base64
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.dialects.registry import DIALECTS
from payhooks.flow.publication import Published
from payhooks.model.attempt import Reason
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint, Signature, SignatureType
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Change, Window
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock
from payhooks.testing.transport import answer

HEX = f"whsec_{'ab' * 32}"  # a secret of both dialects: text of one, base64 in the other
PRIVATE = "whsk_" + base64.b64encode(bytes(range(32))).decode()
MINUTE = timedelta(minutes=1)
SIGNED = Signature(type=SignatureType.ENDPOINT_SECRET)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


async def _give_secret(
    world: World, merchant: Merchant, endpoint: Endpoint, text: str, **members: object
) -> None:
    secret = world.secret(merchant, endpoint.id, sealed=text.encode(), **members)
    await world.store.apply(Change(audit=world.audit(merchant.id), secrets=(secret,)))


@pytest.mark.parametrize(("old", "new"), [("standard", "stripe"), ("stripe", "standard")])
async def test_a_retry_is_signed_as_the_dialect_it_is_pinned_to_reads_the_secret(
    world: World, old: str, new: str
) -> None:
    """The same text is another key in each; the receiver of the first attempt verifies both."""
    flow = Flow(world, script=lambda _request: answer(503))
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=SIGNED, dialect=old)
    await _give_secret(world, merchant, endpoint, HEX)
    await flow.publish(merchant, payment())
    await flow.settled()
    await world.edit(endpoint, dialect=new)
    await flow.publish(merchant, payment(2))  # in the new one, so both are spoken at once
    await flow.settled()
    for _ in range(2):  # a lane that rests lets one through at first
        await world.advance(timedelta(hours=1).total_seconds())
        await flow.lease_and_send()
    spoken = [_spoken(request.headers, request.body) for request in flow.transport.sent]
    assert min(spoken.count(old), spoken.count(new)) >= 2


@pytest.mark.parametrize("old", ["stripe", "owlpay", "treezor", "owngateway"])
async def test_a_secret_of_another_kind_fails_what_is_pinned_in_plain_sight(
    world: World, old: str
) -> None:
    """A private key cannot make a signature of these, and unsigned it would not be trusted."""
    flow = Flow(world, script=lambda _request: answer(503))
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, signature=SIGNED, dialect=old)
    await _give_secret(world, merchant, endpoint, HEX, expires_at=world.now() + MINUTE / 2)
    publication = msgspec.structs.replace(payment(), data=b'{"payins":[{"payinId":"1"}]}')
    [published] = await flow.publish(merchant, publication)
    await flow.settled()
    edited = await world.edit(endpoint, dialect="standard")
    await _give_secret(world, merchant, edited, PRIVATE)
    await world.advance(timedelta(hours=1).total_seconds())
    assert await flow.lease_and_send() == 1
    assert len(flow.transport.sent) == 1, "the first attempt's"
    assert isinstance(published, Published)
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, Window(limit=9))
    assert (delivery.state, delivery.reason) == (State.FAILED, Reason.NOT_CARRIED)


def _spoken(headers: tuple[tuple[str, str], ...], body: bytes) -> str:
    given = {name.lower(): value for name, value in headers}
    if "stripe-signature" in given:
        name, signed_at = "stripe", given["stripe-signature"][2:].partition(",")[0]
    else:
        name, signed_at = "standard", given["webhook-timestamp"]
    dialect = DIALECTS[name]
    now = datetime.fromtimestamp(int(signed_at), UTC)
    dialect.verify(given, body, [dialect.verifying_secret(HEX)], now)
    return name

"""A failed delivery sent again after its endpoint got another dialect: in that one, wholly."""

from datetime import timedelta

import msgspec
import pytest
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.flow.publication import Published
from payhooks.ids import delivery_id
from payhooks.ports.controlling import Requeue
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock
from payhooks.testing.transport import answer


@pytest.mark.parametrize("dialect", ["treezor", "stripe", "owlpay"])
async def test_what_is_sent_again_is_written_anew(dialect: str) -> None:
    """The body kept of the first attempts is another language's, which nobody there reads."""
    clock = ManualClock()
    world = World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))
    flow = Flow(world, script=lambda _request: answer(410))
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    said = msgspec.structs.replace(payment(), data=b'{"payins":[{"payinId":"1"}]}')
    [published] = await flow.publish(merchant, said)
    await flow.settled()
    assert isinstance(published, Published)
    await world.edit(endpoint, dialect=dialect)
    again = Requeue(
        delivery_id=delivery_id(published.event_id, endpoint.number),
        merchant_id=merchant.id, endpoint_id=endpoint.id, event_type=said.type, order_key=None,
        dialect=dialect, dialect_version=1,
    )  # fmt: skip
    await world.store.requeue([again], audit=None)
    await world.advance(timedelta(hours=1).total_seconds())
    await flow.lease_and_send()
    first, second = [request.body for request in flow.transport.sent]
    assert first.startswith(b'{"type":')
    assert not second.startswith(b'{"type":')

"""A delivery whose dialect is not installed any more: it waits, and costs its merchant nothing."""

import msgspec
from tests.support.flow import Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.flow.publication import Published
from payhooks.model.delivery import State
from payhooks.model.endpoint import Ordering, Signature, SignatureType
from payhooks.ports.controlling import Window
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock


async def test_a_delivery_pinned_to_a_dialect_that_is_gone_waits() -> None:
    """Its endpoint may speak another by now; what was made before still needs this one."""
    clock = ManualClock()
    world = World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))
    flow = Flow(world)
    merchant = await world.merchant()
    unsigned = Signature(type=SignatureType.NONE)
    await world.endpoint(merchant, ordering=Ordering.STRICT, signature=unsigned)
    event = await flow.publish(merchant, payment())
    taken_at_s = world.clock.monotonic_s()
    [leased] = (await world.store.lease(owner=7, lanes_max=1, per_lane_max=1, skip=[])).leased
    pinned = msgspec.structs.replace(leased, dialect="gone")
    flow.dispatcher.offer(pinned, taken_at_s=taken_at_s)
    await flow.settled()
    assert flow.transport.sent == []
    assert isinstance(event[0], Published)
    [delivery] = await world.store.deliveries_of(merchant.id, event[0].event_id, Window(limit=9))
    assert (delivery.state, delivery.attempts_made) == (State.SCHEDULED, 0)

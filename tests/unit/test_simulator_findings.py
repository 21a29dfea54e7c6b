"""What the simulator has found, each in the few steps it takes without a simulator."""

from collections.abc import Sequence
from typing import cast

import pytest
from tests.support.flow import OWNER, Flow, payment
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.errors import OutcomeUnknownError, UnavailableError
from payhooks.flow.publication import Published
from payhooks.model.delivery import State
from payhooks.model.endpoint import Ordering
from payhooks.ports.accepting import Acceptance, Arrival, Routing
from payhooks.ports.controlling import Window
from payhooks.ports.leasing import LaneReport
from payhooks.ports.store import Store
from payhooks.storage.memory import MemoryStore
from payhooks.testing import ManualClock, QuietTelemetry
from payhooks.testing.transport import answer

ALL = Window(limit=100)


@pytest.fixture
def world() -> World:
    clock = ManualClock()
    return World(OpenedStore(store=MemoryStore(clock=clock), clock=clock))


class Unlucky:
    """A store of which some answers are lost and some calls refused, as a test says."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lose_accepts = self.refuse_reports = self.refuse_routing = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def accept(self, arrivals: Sequence[Arrival], *, owner: int) -> list[Acceptance]:
        acceptances = await self._store.accept(arrivals, owner=owner)
        if self.lose_accepts:
            self.lose_accepts -= 1
            await self._store.lease(owner=OWNER, lanes_max=9, per_lane_max=9, skip=[])
            raise OutcomeUnknownError("the answer is lost")
        return acceptances

    async def report(self, reports: Sequence[LaneReport]) -> None:
        if self.refuse_reports:
            self.refuse_reports -= 1
            raise UnavailableError("refused")
        await self._store.report(reports)

    async def routing(self, merchant_ids: Sequence[bytes]) -> list[Routing]:
        if self.refuse_routing:
            self.refuse_routing -= 1
            raise UnavailableError("refused")
        return await self._store.routing(merchant_ids)  # type: ignore[arg-type] # passed on


async def test_what_the_lease_loop_took_is_not_handed_off_when_a_batch_goes_again(
    world: World,
) -> None:
    """Both leases have the number 1; sent under both, nothing would explain the duplicate."""
    store = Unlucky(world.store)
    flow = Flow(world, store=cast("Store", store))
    merchant = await world.merchant()
    await world.endpoint(merchant, ordering=Ordering.OBJECT)
    store.lose_accepts = 1
    [published] = await flow.publish(merchant, payment())
    await flow.settled()
    assert isinstance(published, Published)
    assert flow.transport.sent == []


async def test_an_outcome_is_kept_although_the_news_of_its_lane_are_refused(world: World) -> None:
    """Forgotten three times, a delivery that arrived each time would end as poisoned."""
    store = Unlucky(world.store)
    flow = Flow(world, store=cast("Store", store), script=lambda _request: answer(200))
    merchant = await world.merchant()
    await world.endpoint(merchant)
    store.refuse_reports = 9
    [published] = await flow.publish(merchant, payment())
    await flow.settled()
    assert isinstance(published, Published)
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, ALL)
    assert delivery.state is State.DELIVERED
    assert _bugs(flow) == []


async def test_a_delivery_whose_routing_cannot_be_read_is_given_back(world: World) -> None:
    """A lease that merely runs out costs half a minute and counts towards poison."""
    store = Unlucky(world.store)
    flow = Flow(world, store=cast("Store", store))
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant, ordering=Ordering.OBJECT)
    [published] = await flow.publish(merchant, payment())
    await world.edit(endpoint, label="New")
    store.refuse_routing = 1
    await flow.lease_and_send()
    assert isinstance(published, Published)
    [delivery] = await world.store.deliveries_of(merchant.id, published.event_id, ALL)
    assert delivery.state is State.SCHEDULED
    assert delivery.attempts_made == 0
    assert _bugs(flow) == []


def _bugs(flow: Flow) -> list[tuple[str, BaseException]]:
    assert isinstance(flow.telemetry, QuietTelemetry)
    return flow.telemetry.bugs

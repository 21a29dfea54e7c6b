"""Deliveries that replays are about."""

from tests.support.world import World

from payhooks.model.endpoint import Endpoint, OnFailed, Ordering
from payhooks.model.event import Event
from payhooks.model.merchant import Merchant


async def lane(world: World) -> tuple[Merchant, Endpoint]:
    """Return a merchant with one endpoint."""
    merchant = await world.merchant()
    return merchant, await world.endpoint(merchant)


async def blocking_lane(world: World) -> tuple[Merchant, Endpoint]:
    """Return a merchant with one endpoint, where objects whose head failed wait for a person."""
    merchant = await world.merchant()
    return merchant, await world.endpoint(
        merchant, ordering=Ordering.OBJECT, on_failed=OnFailed.BLOCK
    )


async def all_failed(world: World, merchant: Merchant, *endpoints: Endpoint) -> Event:
    """Return an event whose deliveries have failed for good."""
    event = await world.publish(merchant, *endpoints)
    await world.fail(*await world.lease())
    return event

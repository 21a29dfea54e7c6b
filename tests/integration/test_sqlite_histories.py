"""Histories that the SQLite store once told otherwise than the one in memory."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from tests.support.stores import OpenedStore
from tests.support.world import World

from payhooks.model.endpoint import EndpointStatus
from payhooks.ports.controlling import Cancelled
from payhooks.storage.sqlite import SqliteStore
from payhooks.testing import ManualClock

_KEY = bytes(16)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield a world around an empty store."""
    clock = ManualClock()
    store = await SqliteStore.open(tmp_path / "payhooks.sqlite", clock=clock, random=Random(1))
    yield World(OpenedStore(store, clock))
    await store.close()


async def test_a_repeated_settlement_with_other_content_keeps_none_of_it(world: World) -> None:
    """The first word stands: a body that was never sent must not become the one that is."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint)
    leased = await world.lease_one()
    await world.settle(world.failed(leased, delay_s=1.0))

    assert await world.settle(world.failed(leased, rendered=b"another body")) == [True]

    await world.advance(1.0)
    assert (await world.lease_one()).rendered is None


async def test_no_object_is_held_up_on_a_deleted_endpoint(world: World) -> None:
    """There is nobody left to decide, so a cancel must not say that it unblocked something."""
    merchant = await world.merchant()
    endpoint = await world.endpoint(merchant)
    await world.publish(merchant, endpoint, order_key=_KEY)
    leased = await world.lease_one()
    await world.edit(endpoint, status=EndpointStatus.DELETED)
    await world.settle(world.given_up(leased, block_order=True))

    cancelled = await world.store.cancel(merchant.id, leased.id, world.audit(merchant.id))

    assert cancelled is Cancelled.FINAL

"""A world on PostgreSQL, and a hand beside it: what tests of that store alone start from."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.postgres_hand import Hand, open_hand
from tests.support.postgres_plans import Explained, explaining
from tests.support.stores import open_store, postgres_database
from tests.support.world import World


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Yield the URL of a migrated database of this module's; each world finds it empty."""
    with postgres_database() as url:
        yield url


@pytest.fixture
async def world(database: str, tmp_path: Path) -> AsyncIterator[World]:
    """Yield a world around an empty store."""
    async with open_store("postgres", tmp_path, database) as opened:
        yield World(opened)


@pytest.fixture
async def hand(database: str, world: World) -> AsyncIterator[Hand]:
    """Yield a hand on the database; the world has emptied it by then."""
    async with open_hand(database) as other:
        yield other


@pytest.fixture(params=["force_generic_plan", "force_custom_plan"])
async def explained(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Explained]:
    """Yield a hand, once as the first calls are planned and once as all later ones may be."""
    async with explaining(database) as hand:
        await hand.script(f"SET LOCAL plan_cache_mode = {request.param}")
        yield hand

"""Every test here is asked of all three stores: ``world`` is each of them in turn."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.stores import STORES, open_store, postgres_database
from tests.support.world import World


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Yield the URL of a migrated PostgreSQL database; each test finds it empty."""
    with postgres_database() as url:
        yield url


@pytest.fixture(params=STORES)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Yield a world around an empty store."""
    # Asked for by name, so that the other stores need no cluster.
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(request.param, tmp_path, database) as opened:
        yield World(opened)

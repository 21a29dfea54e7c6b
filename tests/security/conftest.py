"""The whole API over each store in turn, for what must hold whatever keeps the rows."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.api_world import World
from tests.support.stores import STORES, open_store, postgres_database


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Yield the URL of a migrated PostgreSQL database; each test finds it empty."""
    with postgres_database() as url:
        yield url


@pytest.fixture(params=STORES)
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Yield an empty installation."""
    # Asked for by name, so that the other stores need no cluster.
    database = request.getfixturevalue("database") if request.param == "postgres" else None
    async with open_store(request.param, tmp_path, database) as opened:
        yield World(opened)

"""Both ends of the way: a receiver of the test's own, and a server that the test lets live and die.

Neither is anybody else's, so a test may kill, stop and start them as it wants.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.postgres import cluster
from tests.support.receiving import Receiving
from tests.support.server import Server, postgres_url, sqlite_url


@pytest.fixture
def receiving(stack: ExitStack) -> Receiving:
    """Return a receiver that keeps all that it gets."""
    receiving = Receiving()
    stack.callback(receiving.close)
    return receiving


@pytest.fixture
def server(stack: ExitStack, tmp_path: Path) -> Server:
    """Return a server that is not started yet.

    It is on SQLite, which takes leases back when it starts: after a kill no test waits for them.
    """
    server = Server(tmp_path / "server", stack.enter_context(sqlite_url(tmp_path)))
    stack.callback(server.close)
    return server


@pytest.fixture(params=["sqlite", "postgres"])
def any_server(
    request: pytest.FixtureRequest, stack: ExitStack, server: Server, tmp_path: Path
) -> Server:
    """Return a server on each store; on PostgreSQL a lease has to run out first."""
    if request.param == "sqlite":
        return server
    name = f"kills_{abs(hash(str(tmp_path))) % 10**12}"
    url = stack.enter_context(postgres_url(stack.enter_context(cluster()), name))
    server = Server(tmp_path / "postgres", url)
    stack.callback(server.close)
    return server

"""What tests of the outbox start from; a module asks for them with ``pytest_plugins``."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.outbox import Hooks, outbox_database
from tests.support.postgres import cluster

from payhooks.publisher import Forwarder, OutboxTable, open_table


@pytest.fixture(scope="session")
def outbox_cluster() -> Iterator[str]:
    """Yield the URL of a running PostgreSQL cluster."""
    with cluster() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def outbox_url(request: pytest.FixtureRequest, stack: ExitStack, tmp_path: Path) -> str:
    """Return a database of either kind, with an outbox."""
    kind: str = request.param
    # Asked for by name, so that SQLite needs no cluster.
    return stack.enter_context(
        outbox_database(kind, tmp_path, lambda: request.getfixturevalue("outbox_cluster"))
    )


@pytest.fixture
def outbox_table(outbox_url: str) -> Iterator[OutboxTable]:
    """Yield the outbox as its keeper sees it."""
    found = open_table(outbox_url)
    yield found
    found.close()


@pytest.fixture
def forwarder_to(outbox_url: str, stack: ExitStack) -> Callable[[Hooks], Forwarder]:
    """Return what makes forwarders of the database; all of them hang up in the end."""

    def forwarder(hooks: Hooks) -> Forwarder:
        url = "https://hooks.example.com"
        found = Forwarder(outbox_url, url, "k", send=hooks.send, poll_s=0.01)
        # A forwarder that is told to stop before it runs does no more than hang up.
        stack.callback(found.run)
        stack.callback(found.stop)
        return found

    return forwarder

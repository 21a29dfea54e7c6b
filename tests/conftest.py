"""What every test may count on: properties that are checked the same way each time."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.support.server import Server, sqlite_url
from tests.support.shown import pytest_collection_modifyitems, pytest_configure
from tests.support.soak import OtherProcess, receiver_process

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]  # hooks that pytest finds here

# Derandomised: a change must not turn red because of a draw it has nothing to do with. The
# number is small enough for the time budget of the unit tests; rare values are pinned with
# @example where they matter.
settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=100,
    deadline=None,  # two busy cores say nothing about the code's speed
    suppress_health_check=[HealthCheck.too_slow],
)
# Looks further, with new draws each time: for whoever hunts a bug.
settings.register_profile("dev", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Yield what is closed, last first, when the test is over."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def receiver(stack: ExitStack, tmp_path: Path) -> OtherProcess:
    """Return a receiver in a process of its own that journals what it gets."""
    return stack.enter_context(receiver_process(tmp_path / "journal"))


@pytest.fixture
def on_sqlite(stack: ExitStack, tmp_path: Path) -> Server:
    """Return a running server process on a SQLite file of its own."""
    server = Server(tmp_path / "server", stack.enter_context(sqlite_url(tmp_path)))
    stack.callback(server.close)
    return server.start()

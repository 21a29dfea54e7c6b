"""One installation for each file of tests, one browser for all, windows for each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.support.chromium import Chromium, Installation, browser


@pytest.fixture(scope="session")
def chromium_process() -> Iterator[Browser]:
    """Yield the browser, which takes a second to start."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Yield a served installation with a team."""
    made = Installation(tmp_path_factory.mktemp("console"))
    made.server.start()
    try:
        yield made
    finally:
        made.server.close()


@pytest.fixture
def chromium(chromium_process: Browser, installation: Installation) -> Iterator[Chromium]:
    """Yield what opens windows; they are closed with the test."""
    with Chromium(chromium_process, installation) as opened:
        yield opened

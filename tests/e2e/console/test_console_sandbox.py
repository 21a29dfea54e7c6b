"""The sandbox in a real browser: a scenario is chosen, played, watched and stopped."""

from collections.abc import Iterator
from itertools import product

import pytest
from playwright.sync_api import expect
from tests.support.captured import Capture, capturing
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme, Window
from tests.support.server import Api

LIST = "/console/sandbox"
TITLE = "Queued sale, with a tip"
THEMES: tuple[Theme, Theme] = ("light", "dark")
LOOKS = [
    pytest.param(width, theme, id=f"{width}-{theme}")
    for width, theme in product((NARROW, WIDE), THEMES)
]
_LIVE_MS = 15_000


@pytest.fixture(scope="module")
def capture() -> Iterator[Capture]:
    """Yield the merchant's server, which takes whatever comes."""
    with capturing() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def webhook(installation: Installation, capture: Capture) -> str:
    """Return the label of a webhook of the merchant's, which gets everything."""
    said = {"label": "Order system", "url": capture.url("/hooks"), "events": ["*"]}
    Api(installation.server.port).post(f"{installation.merchant_path}/endpoints", said)
    return "Order system"


def ended(window: Window, events: int) -> None:
    """Wait until the run's page says by itself that all is published and delivered."""
    page = window.page
    expect(page.get_by_text("Finished")).to_be_visible(timeout=_LIVE_MS)
    expect(page.locator("tbody .chip.good")).to_have_count(events, timeout=_LIVE_MS)
    expect(page.locator("[data-live]")).to_have_count(0, timeout=_LIVE_MS)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_a_scenario_is_played_and_watched(
    chromium: Chromium, webhook: str, width: int, theme: Theme
) -> None:
    """From the list to the last delivery, on a phone at night and on a wide screen by day."""
    window = chromium.signed_in("developer", width, theme)
    page = window.open(LIST)
    window.examine(f"sandbox-{width}-{theme}")
    page.get_by_label("Search").fill("sale-queued")
    page.keyboard.press("Enter")
    page.locator("details").get_by_role("link", name=TITLE).click()
    page.get_by_label("Tip").fill("much")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_label("Tip")).to_have_attribute("aria-invalid", "true")
    window.examine(f"sandbox-refused-{width}-{theme}")
    page.get_by_label("Tip").fill("2.00")
    page.get_by_label("Speed").select_option("1h=1s")
    page.get_by_role("radio", name="All twice").check()
    window.examine(f"sandbox-asked-{width}-{theme}")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_text("events published")).to_be_visible()
    window.examine(f"sandbox-playing-{width}-{theme}")
    ended(window, 3)
    expect(page.get_by_text(webhook)).to_have_count(3)
    window.examine(f"sandbox-finished-{width}-{theme}")
    window.open(f"{LIST}/runs")
    window.examine(f"sandbox-runs-{width}-{theme}")

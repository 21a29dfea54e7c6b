"""The sandbox in a real browser: a scenario is chosen, played, watched and stopped."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from tests.support.captured import Capture, capturing
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme, Window
from tests.support.server import Api

pytestmark = pytest.mark.shows("E21")

LIST = "/console/sandbox"
TITLE = "Queued sale, with a tip"
SALE = "transaction.sale.success"
# All looks of the pages as they stand are in another file; these are of steps between.
LOOKS: tuple[tuple[int, Theme], ...] = ((NARROW, "dark"), (WIDE, "light"))
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


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_an_inbox_shows_what_a_webhook_gets_and_that_it_is_signed(
    chromium: Chromium, installation: Installation, width: int, theme: Theme
) -> None:
    """From the empty inbox to a played event in it, checked with the webhook's own secret."""
    window = chromium.signed_in("developer", width, theme)
    page = window.open(f"{LIST}/inboxes")
    page.get_by_role("button", name="Make an inbox").click()
    expect(page.get_by_text("Nothing has come yet")).to_be_visible()
    window.examine(f"inbox-empty-{width}-{theme}")
    here = page.url.removeprefix(installation.url)
    api = Api(installation.server.port)
    path = urlsplit(page.locator(".copy code").first.inner_text()).path
    api.post(path, {"by": "<b>a stranger</b>", "turned": "\u202eexe.png"})
    expect(page.get_by_text("Not checked").first).to_be_visible(timeout=_LIVE_MS)
    window.examine(f"inbox-stranger-{width}-{theme}")
    page.get_by_role("button", name="Add a webhook that sends here").click()
    expect(page.get_by_text("The webhook Inbox sends here.")).to_be_visible()
    api.post(f"{installation.merchant_path}/sandbox/runs", {"scenario": "card-sale"})
    # One tells of the webhook itself; which of them comes first is left open.
    verified = page.get_by_role("link", name="POST · Signature verified")
    expect(verified).to_have_count(2, timeout=_LIVE_MS)
    window.examine(f"inbox-verified-{width}-{theme}")
    bodies = []
    for address in [each.get_attribute("href") for each in verified.all()]:
        window.open(address or "")
        bodies.append(page.get_by_role("region", name="Body, indented").inner_text())
    assert [SALE in body for body in bodies].count(True) == 1
    page.get_by_role("link", name="POST · Not signed").click()
    expect(page.get_by_text("a stranger").first).to_be_visible()
    window.examine(f"inbox-chosen-{width}-{theme}")
    window.open(f"{LIST}/inboxes")
    window.examine(f"inboxes-{width}-{theme}")
    window.open(here)
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Remove inbox").click()
    expect(page.get_by_text("The inbox is removed.")).to_be_visible()


def test_without_scripts_a_run_is_begun_looked_at_stopped_and_an_inbox_made(
    chromium: Chromium,
) -> None:
    """Everything but watching it move works with forms and links alone."""
    page = chromium.signed_in("developer", scripts=False).open(f"{LIST}?scenario=sale-queued")
    page.get_by_label("Speed").select_option("1m=1s")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("link", name="Look again").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The run is stopped.")).to_be_visible()
    page.get_by_role("button", name="Play again").click()
    expect(page.get_by_text("Playing", exact=True)).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("The run is stopped.")).to_be_visible()
    page.goto(page.url.partition("/runs")[0] + "/inboxes")
    page.get_by_role("button", name="Make an inbox").click()
    expect(page.get_by_text("Nothing has come yet")).to_be_visible()

"""The catalogue in a real browser: from a word to a type, and its example at a webhook."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from threading import Thread

import pytest
from playwright.sync_api import expect
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme
from tests.support.server import Api

pytestmark = pytest.mark.shows("E13")

_LIVE_MS = 15_000
THEMES: tuple[Theme, Theme] = ("light", "dark")
# The largest picture, the flow chart, a type that an object has one state for, one of ours.
PAGES = (
    "owlpay/payment_intent.captured",
    "treezor",
    "merchant-console/transaction.sale.success",
    "payhooks/webhook.disabled",
)


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture(scope="module")
def webhook(installation: Installation) -> Iterator[str]:
    """Yield the id of a webhook whose server takes everything; it hears of sales."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    said = {
        "label": "Finance ledger",
        "url": f"http://127.0.0.1:{server.server_port}/hooks",
        "events": ["transaction.*"],
    }
    api = Api(installation.server.port)
    try:
        yield api.post(f"{installation.merchant_path}/endpoints", said)["id"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.long
@pytest.mark.parametrize("path", PAGES)
def test_the_pages_of_the_catalogue_are_sound(chromium: Chromium, webhook: str, path: str) -> None:
    """Pictures are wider than a telephone: they scroll in their box, and the page does not."""
    window = chromium.signed_in()
    window.open(f"/console/event-types/{path}")
    for width, theme in product((NARROW, WIDE), THEMES):
        window.look(width, theme)
        window.examine(f"catalogue-{path.replace('/', '-')}-{width}-{theme}")


def test_a_type_is_found_and_its_example_arrives(chromium: Chromium, webhook: str) -> None:
    """With the keyboard: a word, the type, Send example; the page tells what came of it."""
    window = chromium.signed_in("developer")
    page = window.open("/console/event-types")
    page.keyboard.press("/")
    page.keyboard.type("has been approved")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="transaction.sale.success").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("transaction.sale.success")
    expect(page.get_by_role("link", name="Finance ledger")).to_be_visible()
    page.get_by_role("button", name="Send example").focus()
    page.keyboard.press("Enter")
    told = "Your server took the example transaction.sale.success."
    expect(page.get_by_text(told)).to_be_visible(timeout=_LIVE_MS)
    window.examine("catalogue-sent")


def test_without_scripts_an_example_is_sent_and_a_webhook_added_for_a_type(
    chromium: Chromium, webhook: str
) -> None:
    """Forms and links alone do it; who hears of nothing yet is one link from hearing of it."""
    page = chromium.signed_in(scripts=False).open("/console/event-types/treezor/payin.update")
    expect(page.get_by_text("No webhook of yours.")).to_be_visible()
    page.get_by_role("button", name="Send example").click()
    expect(page.get_by_role("link", name="See the delivery")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Add one").click()
    expect(page.get_by_role("checkbox", name="payin.update No type of yours.")).to_be_checked()

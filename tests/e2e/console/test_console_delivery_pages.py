"""Deliveries, events and replays in a real browser: from a failure to the word that it is fixed."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from threading import Thread

import pytest
from playwright.sync_api import Page, expect
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme
from tests.support.server import Api

THEMES: tuple[Theme, Theme] = ("light", "dark")
LOOKS = [
    pytest.param(width, theme, id=f"{width}-{theme}")
    for width, theme in product((NARROW, WIDE), THEMES)
]
_WAIT_S = 20.0
_LIVE_MS = 15_000


class Receiver(ThreadingHTTPServer):
    """A merchant's server that fails until somebody mends it."""

    mended = False
    daemon_threads = True


class _Answers(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = b"" if self.server.mended else b'{"error": "our database is away", "code": 17}'
        self.send_response(204 if self.server.mended else 503)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """Yield the merchant's server."""
    server = Receiver(("127.0.0.1", 0), _Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Shop:
    """The demo merchant with two webhooks, of whose deliveries some have failed."""

    def __init__(self, installation: Installation, receiver: Receiver) -> None:
        self.api = Api(installation.server.port)
        self.path = installation.merchant_path
        self.receiver = receiver
        self.webhooks: list[str] = []
        address = f"http://127.0.0.1:{receiver.server_port}/hooks?shop=harbour"
        self._add("Finance ledger", address, ["transaction.*"], retry_policy=[])
        self._add("Order fulfilment", address, ["transaction.sale.*"])

    def _add(self, label: str, url: str, events: list[str], **members: object) -> None:
        said = {"label": label, "url": url, "events": events, **members}
        self.webhooks.append(self.api.post(f"{self.path}/endpoints", said)["id"])

    def rested(self) -> None:
        """Let the webhooks try at once: those that only fail are left alone for a while."""
        for each in self.webhooks:
            self.api.post(f"{self.path}/endpoints/{each}/pause")
            self.api.post(f"{self.path}/endpoints/{each}/resume")

    def publish(self, type_: str, number: int) -> str:
        """Publish an event and return its id."""
        data = {"amount": 5.10, "currency": "USD", "note": "Two flat whites " * 3}
        body = {
            "type": type_,
            "data": data,
            "object": {"type": "transaction", "id": f"trx_{number:04}"},
            "metadata": {"till": number},
        }
        text: str = self.api.post(f"{self.path}/events", body)["id"]
        return text

    def failed(self, event_id: str) -> str:
        """Return the delivery of an event that has failed, once it has."""
        self.rested()
        deadline_s = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline_s:
            found = self.api.get(f"{self.path}/events/{event_id}/deliveries")["data"]
            failed = [each["id"] for each in found if each["status"] == "failed"]
            if failed:
                text: str = failed[0]
                return text
            time.sleep(0.05)
        raise AssertionError("nothing has failed")


@pytest.fixture(scope="module")
def shop(installation: Installation, receiver: Receiver) -> Shop:
    """Return the merchant after an outage that goes on."""
    made = Shop(installation, receiver)
    made.publish("ach.submitted", 1)
    for number in range(2, 6):
        made.failed(made.publish("transaction.refund.success", number))
    made.failed(made.publish("transaction.sale.captured", 6))
    return made


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_pages_of_deliveries_are_sound(
    chromium: Chromium, shop: Shop, width: int, theme: Theme
) -> None:
    """Read on a phone at night and on a wide screen by day, by people and by what reads to them."""
    event = shop.publish("transaction.sale.captured", 7)
    delivery = shop.failed(event)
    window = chromium.signed_in("owner", width, theme)
    window.open("/console/deliveries")
    if width == WIDE:
        expect(window.page.get_by_role("link", name="Live tail")).to_be_visible()
    for path, name in (
        ("deliveries", "deliveries"),
        (f"deliveries/{delivery}", "delivery-request"),
        (f"events/{event}", "event"),
        ("replays/new?include=failed&count=1", "replay-counted"),
    ):
        window.open(f"/console/{path}")
        window.examine(f"{name}-{width}-{theme}")


@pytest.mark.parametrize(("width", "theme"), [(NARROW, "dark"), (WIDE, "light")])
def test_the_parts_of_a_delivery_and_of_lists_are_sound(
    chromium: Chromium, shop: Shop, width: int, theme: Theme
) -> None:
    """They are made of what the pages before are made of, so two looks are enough."""
    delivery = shop.failed(shop.publish("transaction.refund.success", 12))
    window = chromium.signed_in("owner", width, theme)
    for path, name in (
        ("deliveries?status=blocked", "deliveries-none"),
        ("deliveries?from=soon", "deliveries-refused"),
        (f"deliveries/{delivery}?view=response", "delivery-response"),
        (f"deliveries/{delivery}?view=timing", "delivery-timing"),
        (f"deliveries/{delivery}?view=signature", "delivery-signature"),
        ("events", "events"),
    ):
        window.open(f"/console/{path}")
        window.examine(f"{name}-{width}-{theme}")


@pytest.mark.shows("K09")
def test_a_failure_is_replayed_until_it_is_fixed(chromium: Chromium, shop: Shop) -> None:
    """The page tells the result by itself, first that it still fails, then that it is fixed."""
    shop.failed(shop.publish("transaction.refund.failure", 8))
    window = chromium.signed_in("support")
    page = window.open("/console/deliveries?status=failed&type=transaction.refund.failure")
    page.locator("tbody a").first.click()
    expect(page.get_by_text("Your server answered 503", exact=False).first).to_be_visible()
    page.get_by_role("button", name="Copy as curl").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -i")
    # Its failure may have opened the circuit again, which rests for longer than anybody waits here.
    shop.rested()
    page.get_by_role("button", name="Replay now").click()
    expect(page.get_by_text("Still failing.")).to_be_visible(timeout=_LIVE_MS)
    window.examine("delivery-still-failing")
    shop.receiver.mended = True
    try:
        shop.rested()
        page.get_by_role("button", name="Replay now").click()
        expect(page.get_by_text("Fixed: the replay was delivered.")).to_be_visible(timeout=_LIVE_MS)
        window.examine("delivery-fixed")
    finally:
        shop.receiver.mended = False


@pytest.mark.shows("K11")
def test_without_scripts_a_delivery_is_found_replayed_and_an_event_resent(
    chromium: Chromium, shop: Shop
) -> None:
    """Everything but copying and the live tail works with forms and links alone."""
    event = shop.publish("transaction.refund.success", 9)
    delivery = shop.failed(event)
    page = chromium.signed_in("support", scripts=False).open("/console/deliveries")
    page.fill("#q", delivery)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("transaction.refund.success")
    page.get_by_role("button", name="Replay now").click()
    expect(page.get_by_text("It is on its way again.")).to_be_visible()
    page.get_by_role("link", name=event).click()
    page.get_by_text("Resend to…").click()
    page.get_by_label("Order fulfilment").check()
    page.get_by_role("button", name="Resend", exact=True).click()
    expect(page.get_by_text("It is on its way to 1 of 1 webhooks.")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)


@pytest.mark.shows("K10")
def test_what_failed_in_an_outage_is_recovered(chromium: Chromium, shop: Shop) -> None:
    """From the list, with the keyboard alone: counted, begun, followed to its end."""
    shop.rested()
    window = chromium.signed_in("owner")
    page = window.open("/console/deliveries?status=failed")
    page.get_by_role("link", name="Replay all that match…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("deliveries match.")).to_be_visible()
    shop.receiver.mended = True
    try:
        page.get_by_role("button", name="Replay", exact=False).first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("main .chip.good")).to_have_text("Done", timeout=_LIVE_MS)
        window.examine("replay-done")
        page = window.open("/console/deliveries?status=failed")
        _until_empty(page)
    finally:
        shop.receiver.mended = False
    window.open("/console/replays")
    window.examine("replays")


def test_a_live_list_shows_what_comes(chromium: Chromium, shop: Shop) -> None:
    """Without a reload; and the focus is taken from nobody."""
    window = chromium.signed_in("viewer")
    page = window.open("/console/events?type=payment_*")
    expect(page.get_by_text("No event matches")).to_be_visible()
    shop.publish("payment_succeeded", 10)
    page.reload()
    page.get_by_role("link", name="Live tail").click()
    expect(page.locator("#rows[data-live]")).to_be_visible()
    with page.expect_response(lambda answer: "live=1" in answer.url, timeout=_LIVE_MS):
        pass
    shop.publish("payment_succeeded", 11)
    expect(page.locator("tbody tr")).to_have_count(2, timeout=_LIVE_MS)
    assert window.complaints == []


def _until_empty(page: Page) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        if page.get_by_text("No delivery matches").is_visible():
            return
        page.reload()
    raise AssertionError(json.dumps(page.locator("tbody").all_inner_texts()))

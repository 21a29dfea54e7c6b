"""Find by payment in a real browser: from what its provider sent to where each event went."""

import re
import time
from itertools import product
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect
from tests.support import owlpay_sender, providers
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme
from tests.support.ports import free_port
from tests.support.server import Api

THEMES: tuple[Theme, Theme] = ("light", "dark")
ID = "sale/4711 ä"
_FAILED_S_MAX = 20.0
_READ_S_MAX = 20.0
CONNECTORS = "/console/settings/connectors"


@pytest.fixture(scope="module")
def payment(installation: Installation) -> str:
    """Return the id of a sale that was voided, unvoided and told late; a webhook missed it all."""
    api, at = Api(installation.server.port), installation.merchant_path
    nowhere = f"http://127.0.0.1:{free_port()}/hooks"
    said = {"label": "Finance ledger", "url": nowhere, "events": ["transaction.*"]}
    api.post(f"{at}/endpoints", {**said, "retry_policy": []})
    for minute, event in (
        (2, "transaction.sale.success"),
        (3, "transaction.sale.voided"),
        (1, "transaction.sale.queued"),
        (4, "transaction.sale.unvoided"),
    ):
        body = {
            "type": event,
            "data": {"type": "transaction", "key": "4711", "amount": "5.00"},
            "object": {"type": "transaction", "id": ID},
            "occurred_at": f"2026-11-20T18:0{minute}:00Z",
        }
        last = api.post(f"{at}/events", body)["id"]
    deadline_s = time.monotonic() + _FAILED_S_MAX
    while time.monotonic() < deadline_s:
        [delivery] = api.get(f"{at}/events/{last}/deliveries")["data"]
        if delivery["attempts_made"]:
            return ID
        time.sleep(0.05)
    raise AssertionError("nobody was asked")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_payment_is_followed_from_its_id_to_its_delivery(
    chromium: Chromium, payment: str, *, scripts: bool
) -> None:
    """With the keyboard alone, by whoever has the customer on the telephone."""
    window = chromium.signed_in("support", scripts=scripts)
    page = window.open("/console/payments")
    page.get_by_label("Payment id").fill(payment)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(payment)
    expect(page.get_by_text("A correction: what was final is not any more.")).to_be_visible()
    expect(page.get_by_text("It came late: newer news of this had come before.")).to_be_visible()
    page.get_by_role("link", name="Finance ledger").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("transaction.sale.unvoided →")
    page.get_by_role("link", name="evt_").click()
    page.get_by_role("link", name=payment).click()
    expect(page.locator("h1")).to_have_text(payment)


@pytest.mark.long
def test_the_page_of_a_payment_is_sound_in_every_look(chromium: Chromium, payment: str) -> None:
    """A long list of what happened, on a telephone at night and on a wide screen by day."""
    window = chromium.signed_in("viewer")
    page = window.open("/console/payments")
    page.get_by_label("Payment id").fill(payment)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(payment)
    for width, theme in product((NARROW, WIDE), THEMES):
        window.look(width, theme)
        window.examine(f"payment-{width}-{theme}")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_what_a_provider_sent_is_followed_to_its_payment(
    chromium: Chromium, installation: Installation, *, scripts: bool
) -> None:
    """A connector that was given the wrong secret, found out and mended, and nothing was lost."""
    window = chromium.signed_in("developer", NARROW, "dark", scripts=scripts)
    page = window.open(f"{CONNECTORS}/new")
    page.get_by_role("link", name="OwlPay").click()
    page.get_by_label("Name").fill("owl pay")
    page.get_by_label("Signing secret").fill("whs_that_was_mistyped_0123456789")
    page.get_by_role("button", name="Add connector").click()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    name = "scripted" if scripts else "plain"
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add connector").click()
    expect(page.locator("h1")).to_have_text(name)
    url = page.locator(".panel", has_text="Its URL").locator("code").inner_text()
    body = providers.payment(name)
    headers = providers.signature(body, at_s=int(time.time()))
    told = providers.post(installation.server.port, urlsplit(url).path, body, headers)
    assert told.status == 401
    page.reload()
    expect(page.get_by_text("The last request was not verified")).to_be_visible()
    if scripts:  # which what examines is itself
        window.examine("connector-mistaken")
    page.get_by_role("link", name="See the request").click()
    # Where the other run was first, its connector has the secret that is meant.
    found = re.compile("Nothing fits that was tried|signed for another connector of yours")
    expect(page.get_by_text(found)).to_be_visible()
    if scripts:
        window.examine("receipt-quarantined")
    page.go_back()
    page.get_by_label("Signing secret").fill(owlpay_sender.SECRET)
    page.get_by_role("button", name="Use the new secret").click()
    page.get_by_role("button", name="Verify and read again").click()
    expect(page.get_by_text("1 is verified and will be read in a moment")).to_be_visible()
    page.locator("tbody a").first.click()
    deadline_s = time.monotonic() + _READ_S_MAX
    event = page.get_by_role("link", name="payment_succeeded")
    while not scripts and not event.count():
        assert time.monotonic() < deadline_s, "it is not read"
        page.reload()
    expect(event).to_be_visible(timeout=_READ_S_MAX * 1_000)
    if scripts:
        window.examine("receipt-read")
    page.get_by_role("link", name=f"pi_{name}").first.click()
    page.get_by_role("link", name="All by time").click()
    expect(page.get_by_role("row", name="Receipt payment_intent.captured")).to_be_visible()
    window.open(f"/console/payments?id=ORD-{name}")
    expect(page.locator("h1")).to_have_text(f"pi_{name}")


def test_news_that_cannot_be_read_waits_on_the_overview(
    chromium: Chromium, installation: Installation
) -> None:
    """Signed, and no message: nobody was told, and the merchant finds it where he looks first."""
    api, at = Api(installation.server.port), installation.merchant_path
    made = {"name": "unread", "dialect": "owlpay", "secrets": [owlpay_sender.SECRET]}
    path = urlsplit(api.post(f"{at}/connectors", made)["url"]).path
    headers = providers.signature(b"{}", at_s=int(time.time()))
    assert providers.post(installation.server.port, path, b"{}", headers).status == 200
    window = chromium.signed_in("developer", NARROW, "dark")
    page = window.open("/console/overview")
    heading = page.get_by_role("heading", name="News that waits for you")
    deadline_s = time.monotonic() + _READ_S_MAX
    while not heading.count():
        assert time.monotonic() < deadline_s, "it is not read"
        page.reload()
    window.examine("overview-news-waits")
    page.get_by_role("link", name="Undecodable").click()
    expect(page.locator("tbody tr").first).to_contain_text("unread")

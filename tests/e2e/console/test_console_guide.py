r"""The console's guide, followed step by step in one installation, with its pictures.

    PAYHOOKS_TEST_SCREENSHOTS=docs/images/console python -m pytest -m long \
        tests/e2e/console/test_console_guide.py

Each step clicks what the guide says to click. In the end every word that the guide has in bold,
which is every word that it says is on the screen, must have been on it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, expect
from tests.support import providers
from tests.support.cafe import HOST, SALE, STOCK, Cafe, cafe
from tests.support.chromium import NARROW, PASSWORD, Window
from tests.support.guide_reader import Reader

GUIDE: Final = Path(__file__).parents[3] / "docs" / "console.md"
BOLD: Final = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_LIVE_MS: Final = 15_000


@pytest.fixture
def merchant(tmp_path: Path) -> Iterator[Cafe]:
    """Yield a merchant with a day behind it."""
    with cafe(tmp_path) as made:
        yield made


@pytest.mark.shows("K15")
@pytest.mark.long
def test_every_step_of_the_guide_can_be_followed(chromium_process: Browser, merchant: Cafe) -> None:
    """Whoever reads it stops reading at the first word that is not on the page."""
    context = chromium_process.new_context(reduced_motion="reduce")
    try:
        reader = Reader(Window(context, merchant.url), merchant)
        come_in(reader)
        add_a_webhook(reader)
        edit(reader)
        read_the_list(reader)
        delete(reader)
        recover(reader)
        look_at_events(reader)
        find_a_payment(reader)
        hear_a_provider(reader)
        look_up_an_event_type(reader)
        play(reader)
        manage_keys(reader)
        manage_the_team(reader)
        read_the_log(reader)
    finally:
        context.close()
    read = " ".join("\n".join(reader.read).split())
    bold = [" ".join(words.split()) for words in BOLD.findall(GUIDE.read_text(encoding="utf-8"))]
    assert bold
    assert [words for words in bold if words not in read] == []


def come_in(reader: Reader) -> None:
    """Be invited, enable a second factor, sign in with it."""
    page = reader.page
    page.goto(reader.merchant.invite("anna@harbour-coffee.example", "owner"))
    reader.sees("You are invited", "Join the team of")
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password once more").fill(PASSWORD)
    reader.press("Create your user")
    reader.sees("Two-factor authentication")
    page.locator("summary", has_text="Settings").click()
    reader.follow("Webhooks")
    reader.sees("Two-factor authentication is needed", "for your Username")
    reader.follow("Set up two-factor")
    reader.press("Set up two-factor")
    reader.sees("1. Scan this code", "2. Enter the six digits")
    reader.picture("two-factor", page.locator("main .slim"))
    seed = page.locator(".code pre").inner_text()
    page.get_by_label("Code").fill(pyotp.TOTP(seed).now())
    reader.press("Enable two-factor")
    reader.sees("Two-factor authentication is on.", "Copy all")
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    reader.follow("I have kept them")
    expect(page.get_by_role("heading", name="Webhooks", level=1)).to_be_visible()
    reader.press("Sign out")
    page.get_by_label("Username or e-mail").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    reader.sees("Forgot your password?")
    reader.press("Sign in")
    reader.sees("Enter one of your two factor authentication methods")
    reader.picture("second-factor", page.locator("main"), page.locator("main"))
    page.get_by_label("Code").fill("000000")
    reader.press("Continue")
    reader.sees("That code did not match")
    page.get_by_label("Code").fill(codes[0])
    reader.press("Continue")
    reader.sees("Overview")


def add_a_webhook(reader: Reader) -> None:
    """Fill in the modal, copy the key, send a test event."""
    reader.section("Webhooks")
    reader.follow("Add Webhook")
    modal = reader.modal("Add Webhook")
    modal.get_by_label("Webhook Label").fill("Stock in the web shop")
    modal.get_by_label("Hook URL").fill(f"https://{HOST}{STOCK}")
    modal.locator("#events").click()
    for name in ("product.inventory.adjusted", "product.inventory.ordered"):
        modal.get_by_role("checkbox", name=re.compile(f"^{re.escape(name)} ")).check()
    reader.sees("2 selected")
    modal.locator("#events").click()
    modal.get_by_role("radio", name="Basic").check()
    modal.get_by_label("Username").fill("payhooks")
    modal.get_by_label("Password").fill("a-password-of-the-shop")
    signature = modal.get_by_role("group", name="Signature")
    signature.get_by_role("radio", name="Source Key").check()
    reader.sees("There is no Source Key yet.")
    signature.get_by_role("radio", name="Signature Key").check()
    reader.sees("All of the fields are required", "Advanced")
    reader.picture("add-webhook", modal)
    reader.press("Add Hook", within=modal)
    modal = reader.modal("The webhook was added")
    reader.sees("Signed with the", "Copy the key", "Verify it on your server")
    reader.press("Copy the key")
    reader.picture("webhook-added", modal)
    reader.press("Send test event", within=modal)
    reader.sees("Your server took the test event.")
    reader.press("Close", within=modal)


def edit(reader: Reader) -> None:
    """Change a webhook in the ways there are, and lose nothing by mistake."""
    label = "Stock in the web shop"
    reader.follow(label)
    modal = reader.modal(f"Edit {label}")
    reader.press("Reset Webhook Authentication")
    reader.sees("Will be replaced when you save.", "Keep Current Configuration")
    reader.picture("edit-webhook", modal)
    reader.press("Keep Current Configuration")
    reader.sees("Reset Webhook Authentication", "Basic · user")
    modal.get_by_label("Webhook Label").fill("Stock")
    reader.press("Close", within=modal)
    reader.press("Keep Editing", within=reader.modal("Abandon your changes?"))
    expect(modal.get_by_label("Webhook Label")).to_have_value("Stock")
    reader.press("Close", within=modal)
    reader.press("Abandon Changes", within=reader.modal("Abandon your changes?"))
    reader.follow(label)
    modal = reader.modal(f"Edit {label}")
    modal.get_by_label("Webhook Label").fill("Shop stock")
    reader.merchant.relabel(label, "Stock")
    reader.press("Save Changes", within=modal)
    reader.sees("changed this webhook", "See differences", "Load their version")
    reader.press("Save Changes", within=reader.page.get_by_role("dialog").first)
    reader.sees("Shop stock was saved.")


def read_the_list(reader: Reader) -> None:
    """How webhooks fare, and what one of them may be told."""
    reader.follow("Open Shop stock")
    reader.sees("Send test event", "Activity")
    reader.press("Pause")
    reader.sees("Resume")
    reader.section("Webhooks")
    reader.sees("Last 24 h", "Success", "State", "Active", "Paused")
    reader.picture("webhooks", to=reader.page.locator("main .hint"))


def delete(reader: Reader) -> None:
    """Be asked, and lose the webhook."""
    reader.follow("Shop stock")
    reader.press("Delete Hook", within=reader.modal("Edit Shop stock"))
    second = reader.modal("Delete Shop stock?")
    reader.picture("delete-webhook", second)
    reader.press("Delete Hook", within=second)
    expect(reader.page.get_by_role("link", name="Shop stock")).to_have_count(0)


def recover(reader: Reader) -> None:
    """From the overview to what failed, to why, and to what is sent again."""
    page = reader.page
    reader.follow("Overview")
    reader.follow("24 h")
    reader.sees("Failing webhooks", "Recover 2 deliveries", "Oldest that waits")
    reader.picture(
        "overview", page.locator(".heading"), page.get_by_role("table", name="Failing webhooks")
    )
    page.locator("main td").get_by_role("link", name="Ledger").first.click()
    reader.sees("Replay selected", "Replay all that match…", "Live tail")
    page.locator("tbody a").first.click()
    reader.sees("Your server answered 503", "Attempt 2 · 503", "Copy as curl")
    reader.picture("delivery", page.locator(".heading"), page.locator(".timeline").first)
    reader.follow("Response")
    reader.sees("the ledger is closed for maintenance")
    reader.follow("Timing")
    reader.sees("ms in all")
    reader.follow("Signature")
    reader.sees("What a receiver finds")
    reader.look(NARROW, "dark")
    reader.picture("delivery-on-a-phone")
    reader.look()
    reader.merchant.shop.ledger_is_down = False
    reader.press("Replay now")
    reader.sees("Fixed: the replay was delivered.")
    reader.follow("Overview")
    reader.follow("Recover 1 delivery")
    reader.sees("delivery matches")
    count = page.get_by_role("button", name="Count again")
    reader.picture("recover", page.locator(".heading"), count)
    reader.press("Replay 1 delivery")
    expect(page.locator("main .chip.good")).to_have_text("Done", timeout=_LIVE_MS)
    reader.sees("sent on their way")


def look_at_events(reader: Reader) -> None:
    """Find an event, and send it to somebody once more."""
    page = reader.page
    reader.follow("Events")
    reader.sees("Object id", "Live tail", "Search")
    page.get_by_label("Event type").fill(SALE)
    reader.press("Filter")
    page.locator("tbody a").first.click()
    reader.sees("Facts", "Payload")
    page.get_by_text("Resend to…").click()
    page.get_by_label("Ledger").check()
    button = page.get_by_role("button", name="Resend", exact=True)
    reader.picture("event", page.locator(".heading"), button)
    button.click()
    reader.sees("It is on its way to 1 of 1 webhooks.")


def find_a_payment(reader: Reader) -> None:
    """Ask what became of one of the day's sales."""
    page = reader.page
    reader.follow("Payments")
    reader.sees("Payment id")
    page.get_by_label("Payment id").fill("4712nftvzx7xtcg")
    reader.press("Find")
    reader.sees("What was told of it")
    reader.follow("All by time")
    reader.sees("Attempt")


def hear_a_provider(reader: Reader) -> None:
    """Add a connector, let something forged come to its URL, and look at what came."""
    page = reader.page
    reader.section("Connectors")
    reader.follow("Add a connector")
    reader.follow("OwlPay")
    page.get_by_label("Name").fill("owlpay-web")
    page.get_by_label("Signing secret").fill("whs_of_the_web_shop_0123456789")
    reader.sees("Events to switch on", "The secret to bring back")
    reader.press("Add connector")
    reader.sees("Its URL", "Where to paste the URL", "New secret", "Disable…", "Delete…")
    reader.picture("connector", page.locator(".heading"), page.locator(".tiles"))
    url = page.locator(".panel", has_text="Its URL").locator("code").inner_text()
    forged = providers.payment(1)
    answer = providers.post(
        urlsplit(reader.merchant.url).port or 0,
        urlsplit(url).path,
        forged,
        providers.signature(forged, at_s=1),
    )
    assert answer.status == 401
    page.reload()
    reader.sees("The last request was not verified", "In quarantine", "Not verified")
    reader.press("Verify and read again")
    reader.sees("0 are verified")
    reader.follow("All receipts")
    reader.sees("Connector", "State")
    page.locator("tbody a").first.click()
    reader.sees("What follows from it", "Quarantined")


def look_up_an_event_type(reader: Reader) -> None:
    """Read what a type means, and have its example sent."""
    page = reader.page
    reader.follow("Event types")
    page.get_by_label("Search").fill(SALE)
    page.keyboard.press("Enter")
    reader.follow(SALE)
    reader.sees("Send example to…")
    page.get_by_label("Webhook").select_option(label="Ledger")
    reader.press("Send example")
    reader.sees("Your server took")


def play(reader: Reader) -> None:
    """Choose a scenario, watch it, stop it and play it again; make an inbox and remove it."""
    page = reader.page
    reader.follow("Sandbox")
    reader.sees("Inboxes")
    page.get_by_label("Search").fill("tip")
    reader.press("Filter")
    reader.follow("Queued sale, with a tip")
    reader.sees("Speed", "Order", "Sent", "Seed")
    page.get_by_label("Speed").select_option("1m=1s")
    reader.press("Play")
    reader.sees("Stop", "Play again")
    reader.press("Stop")
    reader.sees("The run is stopped.")
    reader.follow("Sandbox")
    reader.follow("Inboxes")
    reader.press("Make an inbox")
    reader.sees("Nothing has come yet", "Add a webhook that sends here", "Remove…")
    reader.press("Remove…")
    reader.press("Remove inbox")
    reader.sees("The inbox is removed.")


def manage_keys(reader: Reader) -> None:
    """Make a Source Key, look at the Signature Key, rotate it."""
    page = reader.page
    reader.section("API keys")
    reader.follow("Create key")
    page.get_by_label("Label").fill("Web shop")
    page.get_by_label("Source Key").check()
    page.get_by_label("Publish events").check()
    reader.sees("Expires", "Permissions")
    reader.press("Create key")
    reader.sees("Its text is shown this once.", "Copy key")
    reader.follow("I have kept it")
    reader.sees("Reveal Signature Key", "Revoke")
    reader.picture("keys", page.locator(".heading"), page.locator("table"))
    reader.press("Reveal Signature Key")
    reader.sees("Signs now")
    reader.follow("Close")
    reader.press("Rotate…")
    reader.sees("The old key goes on signing for")
    reader.press("Rotate key")
    reader.sees("The Signature Key is rotated.")


def manage_the_team(reader: Reader) -> None:
    """Invite somebody."""
    page = reader.page
    reader.section("Team")
    reader.follow("Invite")
    page.get_by_label("E-mail").fill("accounts@harbour-coffee.example")
    page.get_by_label("Role").select_option("support")
    reader.press("Invite")
    reader.sees("is invited as support.", "Copy link")
    reader.follow("Back to the team")
    reader.sees("Invited", "What the roles may do")


def read_the_log(reader: Reader) -> None:
    """Who did what, and that nobody wrote it anew."""
    page = reader.page
    reader.section("Audit log")
    page.get_by_label("Action begins with").fill("endpoint.")
    reader.press("Filter")
    page.locator("main summary").first.click()
    reader.picture("audit-log", page.locator(".heading"), page.locator("tbody tr").nth(2))
    reader.follow("Check the chain")
    reader.sees("The chain holds", "Copy mark")

"""Settings → Webhooks in a real browser: every step of the manual, at its place, in its words."""

import re
from itertools import product

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.support.chromium import NARROW, WIDE, Chromium, Theme, Window
from tests.support.ports import free_port

THEMES: tuple[Theme, Theme] = ("light", "dark")
ALL_LOOKS = tuple(product((NARROW, WIDE), THEMES))
# Each width and each theme once: what is wrong with a step is wrong with one of these.
LOOKS: tuple[tuple[int, Theme], ...] = ((NARROW, "dark"), (WIDE, "light"))
LIST = "/console/settings/webhooks"
# Nobody listens there, so what is sent fails at once.
NOWHERE = f"http://127.0.0.1:{free_port()}/hooks"


def examined(
    window: Window,
    name: str,
    *,
    dialog: bool = False,
    looks: tuple[tuple[int, Theme], ...] = LOOKS,
) -> None:
    """Examine the page as it is, in several widths and themes."""
    for width, theme in looks:
        window.look(width, theme)
        window.examine(f"{name}-{width}-{theme}")
        if dialog:
            found = window.page.evaluate(
                "[...document.querySelectorAll('dialog[open]')]"
                ".every((one) => one.scrollWidth <= one.clientWidth)"
            )
            assert found, f"a dialog of {name} scrolls sideways at {width}"
    window.look(WIDE, "light")


def opened(window: Window) -> Locator:
    """Open Add Webhook over the list and return the dialog."""
    page = window.open(LIST)
    page.get_by_role("link", name="Add Webhook").first.click()
    dialog = page.get_by_role("dialog", name="Add Webhook")
    expect(dialog).to_be_visible()
    return dialog


def choose(within: Page | Locator, *types: str) -> None:
    """Open the dropdown of events and tick these."""
    within.locator("#events").click()
    for name in types:
        within.get_by_role("checkbox", name=re.compile(rf"^{re.escape(name)} ")).check()


def fill(within: Page | Locator, label: str) -> None:
    """Fill in what every webhook needs, with a password."""
    within.get_by_label("Webhook Label").fill(label)
    within.get_by_label("Hook URL").fill(NOWHERE)
    choose(within, "transaction.sale.success", "ach.returned")
    within.get_by_role("radio", name="Basic").check()
    within.get_by_label("Username").fill("oms")
    within.get_by_label("Password").fill("correct horse")


def added(window: Window, label: str) -> None:
    """Add a webhook as the manual has it, and go back to the list."""
    dialog = opened(window)
    fill(dialog, label)
    dialog.get_by_role("button", name="Add Hook").click()
    window.page.get_by_role("dialog", name="The webhook was added").get_by_role(
        "button", name="Close"
    ).click()
    expect(window.page.get_by_role("link", name=label, exact=True)).to_be_visible()


def editing(window: Window, label: str) -> Locator:
    """Click the webhook in the list and return the dialog that this opens."""
    window.page.get_by_role("link", name=label, exact=True).click()
    dialog = window.page.get_by_role("dialog", name=f"Edit {label}")
    expect(dialog).to_be_visible()
    return dialog


def place(locator: Locator) -> dict[str, float]:
    box = locator.bounding_box()
    assert box is not None
    left, top = box["x"], box["y"]
    return {"left": left, "top": top, "right": left + box["width"], "bottom": top + box["height"]}


def told(dialog: Locator, words: str) -> None:
    """Return once *words* are there: not under the foot, where nobody looks after a click."""
    result = dialog.get_by_text(words)
    expect(result).to_be_visible()
    assert place(result)["bottom"] <= place(dialog.locator(".dialog-foot"))["top"]


@pytest.mark.shows("K09", "M01", "M05", "M07", "M21", "M22", "M26", "M27")
@pytest.mark.long
def test_a_webhook_is_added_edited_and_deleted_as_the_manual_has_it(chromium: Chromium) -> None:
    """Whoever knows the merchant console finds every word of it where it was."""
    window = chromium.signed_in()
    page = window.open("/console/account")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_role("link", name="Webhooks", exact=True).click()
    expect(page.get_by_text("No webhooks yet")).to_be_visible()
    examined(window, "webhooks-empty")
    dialog = opened(window)
    expect(dialog.get_by_text("All of the fields are required")).to_be_visible()
    close, add = (dialog.get_by_role("button", name=name) for name in ("Close", "Add Hook"))
    frame = place(dialog)
    assert place(close)["left"] - frame["left"] < 40
    assert frame["right"] - place(add)["right"] < 40
    assert place(close)["bottom"] == place(add)["bottom"]
    assert frame["bottom"] - place(add)["bottom"] < 40
    dialog.get_by_label("Webhook Label").fill("Order fulfilment")
    dialog.get_by_label("Hook URL").fill(NOWHERE)
    add.click()
    expect(page.get_by_role("alert")).to_be_focused()
    examined(window, "webhook-refused", dialog=True)
    fill_dialog = page.get_by_role("dialog", name="Add Webhook")
    fill_dialog.locator("#events").click()
    fill(fill_dialog, "Order fulfilment")
    fill_dialog.get_by_text("Advanced").click()
    examined(window, "webhook-new", dialog=True, looks=ALL_LOOKS)
    fill_dialog.get_by_role("button", name="Add Hook").click()
    shown = page.get_by_role("dialog", name="The webhook was added")
    expect(shown.get_by_role("button", name="Copy the key")).to_be_visible()
    shown.get_by_role("button", name="Send test event").click()
    told(shown, "Nothing accepts connections")
    examined(window, "webhook-added", dialog=True)
    shown.get_by_role("button", name="Close").click()
    expect(page.get_by_role("link", name="Order fulfilment", exact=True)).to_be_visible()
    examined(window, "webhooks", looks=ALL_LOOKS)
    dialog = editing(window, "Order fulfilment")
    examined(window, "webhook-edit", dialog=True)
    dialog.get_by_label("Webhook Label").fill("Fulfilment")
    choose(dialog, "ach.failed")
    dialog.get_by_role("button", name="Save Changes").click()
    expect(page.get_by_role("status").filter(has_text="Fulfilment was saved.")).to_be_visible()
    dialog = editing(window, "Fulfilment")
    expect(dialog.get_by_text("3 selected")).to_be_visible()
    dialog.get_by_role("checkbox", name=re.compile("^ach.failed ")).uncheck()
    expect(dialog.get_by_text("2 selected")).to_be_visible()
    dialog.get_by_role("button", name="Delete Hook").click()
    second = page.get_by_role("dialog", name="Delete Fulfilment?")
    expect(second.get_by_role("button", name="Close")).to_be_focused()
    examined(window, "webhook-delete", dialog=True)
    second.get_by_role("button", name="Delete Hook").click()
    expect(page.get_by_text("No webhooks yet")).to_be_visible()


@pytest.mark.shows("K09", "M23", "M24", "M25")
def test_reset_keep_close_and_abandon_lose_nothing_by_mistake(chromium: Chromium) -> None:
    """The password that only the merchant's server knows is not to be typed again."""
    window = chromium.signed_in()
    added(window, "Ledger")
    page = window.page
    dialog = editing(window, "Ledger")
    dialog.get_by_role("button", name="Reset Webhook Authentication").click()
    keep = page.get_by_role("button", name="Keep Current Configuration")
    expect(keep).to_be_focused()
    examined(window, "webhook-reset", dialog=True)
    keep.click()
    reset = page.get_by_role("button", name="Reset Webhook Authentication")
    expect(reset).to_be_focused()
    dialog = page.get_by_role("dialog", name="Edit Ledger")
    expect(dialog.get_by_text("Basic · user oms")).to_be_visible()
    dialog.get_by_label("Webhook Label").fill("Changed")
    page.keyboard.press("Escape")
    asked = page.get_by_role("dialog", name="Abandon your changes?")
    expect(asked).to_be_visible()
    examined(window, "webhook-abandon", dialog=True)
    asked.get_by_role("button", name="Keep Editing").click()
    expect(dialog.get_by_label("Webhook Label")).to_have_value("Changed")
    dialog.get_by_role("button", name="Close").click()
    asked.get_by_role("button", name="Abandon Changes").click()
    expect(page.get_by_role("link", name="Ledger", exact=True)).to_be_visible()
    dialog = editing(window, "Ledger")
    expect(dialog.get_by_label("Webhook Label")).to_have_value("Ledger")
    dialog.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(f"{LIST}$"))


def test_the_picker_filters_and_ticks_groups(chromium: Chromium) -> None:
    """Twenty-five boxes one by one is no way to choose six."""
    dialog = opened(chromium.signed_in())
    chosen = dialog.locator("[data-chosen]")
    dialog.locator("#events").click()
    group = dialog.get_by_role("checkbox", name=re.compile(r"^cau\.\* 6"))
    group.check()
    expect(chosen).to_have_text("6 selected")
    dialog.get_by_role("checkbox", name=re.compile(r"^cau\.submitted ")).uncheck()
    assert group.evaluate("(box) => box.indeterminate")
    dialog.get_by_label("Filter the events").fill("refund")
    expect(dialog.get_by_role("checkbox", name=re.compile(r"^cau\."))).to_have_count(0)
    expect(dialog.get_by_role("checkbox", name=re.compile("refund.success"))).to_be_visible()


@pytest.mark.shows("K09")
def test_the_page_of_a_webhook_shows_its_parts(chromium: Chromium) -> None:
    """Deliveries, settings and who changed what; the key for a fresh second factor."""
    window = chromium.signed_in()
    added(window, "Parts")
    page = window.page
    page.get_by_role("link", name="Open Parts").click()
    page.get_by_role("button", name="Send test event").click()
    expect(page.get_by_text("Nothing accepts connections")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="webhook.test")).to_be_visible()
    examined(window, "webhook", looks=ALL_LOOKS)
    tabs = page.get_by_role("navigation", name="Parts of the webhook")
    tabs.get_by_role("link", name="Metrics").click()
    expect(page.get_by_role("heading", name="Deliveries per hour")).to_be_visible()
    examined(window, "webhook-metrics")
    tabs.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("button", name="Reveal Signature Key")).to_be_visible()
    examined(window, "webhook-settings")
    tabs.get_by_role("link", name="Activity").click()
    expect(page.get_by_text("Created")).to_be_visible()
    examined(window, "webhook-activity")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    tabs.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Reveal Signature Key").click()
    expect(page.get_by_role("heading", name="Key of Parts")).to_be_visible()
    examined(window, "webhook-key")


@pytest.mark.shows("K10")
def test_one_adds_a_webhook_with_the_keyboard_alone(chromium: Chromium) -> None:
    """Also through the dropdown of events, which is where others have traps."""
    window = chromium.signed_in()
    page = window.open(LIST)
    page.get_by_role("link", name="Add Webhook").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Webhook Label")).to_be_focused()
    page.keyboard.type("Keys")
    page.keyboard.press("Tab")
    page.keyboard.type(NOWHERE)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("settled")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "ach.settled":
            break
    page.keyboard.press("Space")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Add Hook":
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="The webhook was added")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Keys", exact=True)).to_be_visible()
    assert window.complaints == []


@pytest.mark.shows("K11")
@pytest.mark.parametrize(("width", "theme"), [(NARROW, "dark"), (WIDE, "light")])
def test_every_step_works_without_a_script(chromium: Chromium, width: int, theme: Theme) -> None:
    """Some may not run scripts, and a script may not arrive."""
    window = chromium.signed_in("owner", width, theme, scripts=False)
    label = f"Plain {width}"
    page = window.open(LIST)
    page.get_by_role("link", name="Add Webhook").first.click()
    fill(page, label)
    page.get_by_role("button", name="Add Hook").click()
    expect(page.get_by_role("heading", name="The webhook was added")).to_be_visible()
    page.get_by_role("button", name="Send test event").click()
    expect(page.get_by_role("link", name="See the delivery")).to_be_visible()
    window.open(LIST)
    page.get_by_role("link", name=label, exact=True).click()
    page.get_by_role("button", name="Reset Webhook Authentication").click()
    page.get_by_role("button", name="Keep Current Configuration").click()
    page.get_by_label("Webhook Label").fill("Lost")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_label("Webhook Label")).to_have_value("Lost")
    page.get_by_role("button", name="Abandon Changes").click()
    page.get_by_role("link", name=label, exact=True).click()
    page.get_by_label("Webhook Label").fill(f"{label} kept")
    page.get_by_label("Webhook Label").press("Enter")
    page.get_by_role("link", name=f"{label} kept", exact=True).click()
    expect(page.get_by_text("Basic · user oms")).to_be_visible()
    page.get_by_role("button", name="Delete Hook").click()
    second = page.get_by_role("dialog", name=f"Delete {label} kept?")
    second.get_by_role("button", name="Delete Hook").click()
    expect(page.get_by_role("link", name=f"{label} kept", exact=True)).to_have_count(0)
    expect(page.get_by_role("heading", name="Webhooks")).to_be_visible()
    assert window.complaints == []

"""The merchant console's document, sentence by sentence, in a real browser and on the wire.

Places are coordinates; what is sent is what a receiver of ours got, and is checked with nothing
but the standard library.
"""

import base64
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.support.captured import Capture, capturing
from tests.support.chromium import NARROW, PASSWORD, WIDE, Chromium, Installation, Window
from tests.support.console_systems import Systems, signs

from payhooks import ids
from payhooks.model.user import Role

LIST = "/console/settings/webhooks"
SALE = "transaction.sale.success"
RETURNED = "ach.returned"
_EVENTS = Path(__file__).parents[2] / "catalogue" / "documented_events.tsv"
_EDGE_PX = 40  # how near to its corner a button is


@pytest.fixture(scope="module")
def capture() -> Iterator[Capture]:
    """Yield the second application, which takes whatever comes."""
    with capturing() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def shop(installation: Installation, capture: Capture) -> Systems:
    """Return the merchant's own systems."""
    return Systems(installation, capture)


@pytest.fixture
def window(chromium: Chromium) -> Window:
    """Return a window of the owner, who has just given a second factor."""
    return chromium.signed_in()


def adding(window: Window) -> Locator:
    """Click Add Webhook and return the modal."""
    page = window.open(LIST)
    page.get_by_role("link", name="Add Webhook").first.click()
    modal = page.get_by_role("dialog", name="Add Webhook")
    expect(modal).to_be_visible()
    return modal


def fill(modal: Locator, label: str, url: str, *events: str) -> None:
    """Fill in what the document calls fields, but authentication and signature."""
    modal.get_by_label("Webhook Label").fill(label)
    modal.get_by_label("Hook URL").fill(url)
    pick(modal, *events)


def pick(modal: Locator, *events: str, on: bool = True) -> None:
    """Open the dropdown and choose events of it, or no longer choose them."""
    # It is open already where the events are what was refused.
    if not modal.locator("details.picker[open]").count():
        modal.locator("#events").click()
    for name in events:
        line = modal.get_by_role("checkbox", name=re.compile(rf"^{re.escape(name)} "))
        line.set_checked(on)
    modal.locator("#events").click()


def basic(modal: Locator, username: str, password: str) -> None:
    """Choose Basic with these."""
    modal.get_by_role("radio", name="Basic").check()
    modal.get_by_label("Username").fill(username)
    modal.get_by_label("Password").fill(password)


def signed_by(modal: Locator, signer: str, key: str = "") -> None:
    """Choose what signs."""
    group = modal.get_by_role("group", name="Signature")
    group.get_by_role("radio", name=signer, exact=True).check()
    if key:
        select = modal.get_by_label("Source Key to sign with")
        options = select.locator("option").all_inner_texts()
        select.select_option(label=next(one for one in options if one.startswith(f"{key} ")))


def add(modal: Locator) -> None:
    """Click Add Hook and close what follows."""
    page = modal.page
    modal.get_by_role("button", name="Add Hook").click()
    after = page.get_by_role("dialog", name="The webhook was added")
    after.get_by_role("button", name="Close").click()
    expect(after).to_have_count(0)


def editing(page: Page, label: str) -> Locator:
    """Click the webhook in the list and return the modal that this opens."""
    page.get_by_role("link", name=label, exact=True).click()
    modal = page.get_by_role("dialog", name=f"Edit {label}")
    expect(modal).to_be_visible()
    return modal


def box(locator: Locator) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom."""
    found = locator.bounding_box()
    assert found is not None
    return found["x"], found["y"], found["x"] + found["width"], found["y"] + found["height"]


@pytest.mark.shows("M01", "M05")
def test_settings_opens_to_webhooks_and_the_button_is_at_the_top(window: Window) -> None:
    """Where the document says to click is where people look."""
    page = window.open("/console/overview")
    menu = page.get_by_role("navigation", name="Main")
    settings = menu.locator("summary", has_text="Settings")
    assert box(menu)[2] <= box(page.locator("main"))[0] + 1, "the menu is at the side"
    webhooks = menu.get_by_role("link", name="Webhooks", exact=True)
    expect(webhooks).to_be_hidden()
    settings.click()
    assert box(webhooks)[1] > box(settings)[1]
    webhooks.click()
    expect(page.get_by_role("heading", name="Webhooks", level=1)).to_be_visible()
    button = page.get_by_role("link", name="Add Webhook").first
    assert box(button)[3] < box(page.locator("main .empty, main table"))[1]
    assert box(button)[1] < 120


@pytest.mark.shows("M02")
@pytest.mark.parametrize(
    ("role", "method"), [(Role.SUPPORT, "app"), (Role.VIEWER, "recovery"), (Role.OWNER, "recovery")]
)
def test_every_user_is_prompted_and_let_in_with_one_of_their_methods(
    chromium: Chromium, installation: Installation, role: Role, method: str
) -> None:
    """All users, says the document; a role that may only look is one of them."""
    person = installation.people[role]
    page = chromium.at().open(LIST)
    page.fill("#name", person.username)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text("one of your two factor authentication methods")).to_be_visible()
    assert "webhook" not in page.inner_text("main").lower()
    page.fill("#second_factor", person.code() if method == "app" else person.recovery_code())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Webhooks", level=1)).to_be_visible()


@pytest.mark.shows("M03", "M04")
def test_a_user_without_a_second_factor_is_told_to_enable_one(chromium: Chromium) -> None:
    """For their Username, and with the page that says how behind the word here."""
    for path in (LIST, f"{LIST}/new"):
        page = chromium.signed_in("plain").open(path)
        expect(
            page.get_by_role("heading", name="Two-factor authentication is needed")
        ).to_be_visible()
        text = page.inner_text("main")
        assert "Enable two-factor authentication for your Username" in text
        assert "Hook" not in text
        page.get_by_role("link", name="here", exact=True).click()
        expect(page.get_by_text("Enable it for your Username")).to_be_visible()


@pytest.mark.shows("M06", "M07", "M08", "M09", "M13")
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_modal_has_its_words_at_their_places(chromium: Chromium, width: int) -> None:
    """Add Hook at the bottom right, Close at the bottom left, the fields in their order between."""
    modal = adding(chromium.signed_in("owner", width))
    expect(modal.get_by_text("All of the fields are required")).to_be_visible()
    close, done = (modal.get_by_role("button", name=name) for name in ("Close", "Add Hook"))
    frame, left, right = box(modal), box(close), box(done)
    assert right[0] > left[2], "Add Hook is right of Close"
    assert left[0] - frame[0] < _EDGE_PX
    assert frame[2] - right[2] < _EDGE_PX
    assert left[3] == right[3]
    assert abs(frame[3] - right[3]) < _EDGE_PX, "at the bottom of the modal"
    expect(modal.get_by_text("The second application gives you this URL.")).to_be_visible()
    fields = [
        modal.get_by_text("Webhook Label", exact=True),
        modal.get_by_text("Hook URL", exact=True),
        modal.locator("legend", has_text=re.compile("^Events$")),
        modal.locator("legend", has_text=re.compile("^Authentication$")),
        modal.locator("legend", has_text=re.compile("^Signature$")),
    ]
    tops = [box(field)[1] for field in fields]
    assert tops == sorted(tops)
    methods = modal.get_by_role("group", name="Authentication").locator("label").all_inner_texts()
    assert methods == ["None", "Basic"]
    signers = modal.get_by_role("group", name="Signature").locator("label").all_inner_texts()
    assert signers == ["None", "Source Key", "Signature Key"]


@pytest.mark.shows("M08", "M09", "M14")
def test_close_adds_nothing_and_what_is_left_out_is_asked_for(window: Window) -> None:
    """All of the fields are required: none is made up for somebody who forgot it."""
    modal = adding(window)
    modal.get_by_label("Webhook Label").fill("Given up")
    modal.get_by_role("button", name="Close").click()
    expect(window.page.get_by_role("dialog")).to_have_count(0)
    window.page.reload()
    expect(window.page.get_by_text("Given up")).to_have_count(0)
    modal = adding(window)
    done = modal.get_by_role("button", name="Add Hook")
    for label in ("Webhook Label", "Hook URL"):
        done.click()
        expect(modal.get_by_label(label)).to_be_focused()
        modal.get_by_label(label).fill("https://shop.example.com/")
    done.click()
    refused = window.page.get_by_role("alert")
    expect(refused).to_contain_text("Select at least one event type.")
    expect(modal.get_by_label("Hook URL")).to_have_value("https://shop.example.com/")
    modal.get_by_role("radio", name="Basic").check()
    pick(modal, SALE)
    done.click()
    expect(window.page.locator("#username-wrong, #password-wrong").first).to_be_visible()


@pytest.mark.shows("M14", "M15")
def test_the_dropdown_has_the_documents_events_with_words(window: Window) -> None:
    """Twenty-three of them, and nothing of another provider."""
    modal = adding(window)
    expect(modal.get_by_role("checkbox", name=re.compile(f"^{SALE} "))).to_be_hidden()
    modal.locator("#events").click()
    with _EVENTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    told = {row["name"]: row["words"] for row in rows if row["family"] == "merchant-console"}
    assert len(told) == 23
    shown = modal.locator(".picker-list input[name=events]").evaluate_all(
        """(boxes) => boxes.map((one) =>
            [one.value, one.parentElement.querySelector(".hint")?.textContent])"""
    )
    found = {name: words for name, words in shown if "*" not in name}
    assert {name: words for name, words in found.items() if name in told} == told
    # The provider's reference has two more than its document.
    assert found.keys() - told.keys() == {"ach.voided", "cau.created"}
    assert all(found.values())
    pick_one = modal.get_by_role("checkbox", name=re.compile(f"^{RETURNED} "))
    pick_one.check()
    expect(modal.locator("[data-chosen]")).to_have_text("1 selected")


@pytest.mark.shows("M10", "M11", "M12", "M16", "M18", "M28")
def test_what_is_added_gets_the_data_of_its_events(window: Window, shop: Systems) -> None:
    """The document's example, to its members and their order: nobody is told who sends it."""
    for label, event in (("Plain sales", SALE), ("Plain returns", RETURNED)):
        modal = adding(window)
        path = f"/{label.split()[1]}"
        fill(modal, label, shop.capture.url(path), event)
        modal.get_by_role("group", name="Authentication").get_by_label("None").check()
        signed_by(modal, "None")
        add(modal)
        expect(window.page.get_by_role("link", name=label, exact=True)).to_be_visible()
    sale, returned = shop.publish(SALE), shop.publish(RETURNED)
    [sent], [other] = shop.got("/sales"), shop.got("/returns")
    assert {"authorization", "x-signature"}.isdisjoint(sent.named)
    said, second = json.loads(sent.body), json.loads(other.body)
    assert list(said) == ["type", "event_triggered", "event_type", "event_body", "event_id"]
    assert (said["type"], said["event_type"], second["event_type"]) == ("event", SALE, RETURNED)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", said["event_triggered"])
    assert list(said["event_body"]) == ["merchant", "object"]
    about = said["event_body"]["object"]
    assert list(about) == ["type", "key", "amount_detail", "authcode"]
    assert (about["key"], about["amount_detail"]) == ("1nftvzx7xtcggm3", {"amount": "5.00"})
    assert re.fullmatch("[0-9a-f]{64}", said["event_id"])
    assert sale != returned
    assert said["event_id"] != second["event_id"]


@pytest.mark.shows("M17", "M19", "M20")
def test_what_is_sent_authenticates_and_signs_as_it_was_chosen(
    window: Window, shop: Systems, installation: Installation
) -> None:
    """Basic with what was typed; a signature of the one key that was chosen and of no other."""
    till, reader = shop.source_key("Till"), shop.source_key("Reader")
    own = shop.signature_key()
    other = ids.to_text(ids.MERCHANT, installation.other.id)
    foreign = shop.signature_key(f"/v1/merchants/{other}")
    keys = {"/till": till, "/own": own}
    for path, signer, key in (("/till", "Source Key", "Till"), ("/own", "Signature Key", "")):
        modal = adding(window)
        fill(modal, f"Signed {path}", shop.capture.url(path), "transaction.sale.voided")
        basic(modal, "oms", "correct horse: battery")
        signed_by(modal, signer, key)
        add(modal)
    shop.publish("transaction.sale.voided")
    for path, right in keys.items():
        [sent] = shop.got(path)
        scheme, _, text = sent.named["authorization"].partition(" ")
        assert (scheme, base64.b64decode(text)) == ("Basic", b"oms:correct horse: battery")
        assert [key for key in (till, reader, own, foreign) if signs(key, sent)] == [right]


@pytest.mark.shows("M21", "M22", "M23", "M24", "M25")
def test_an_edit_is_saved_or_abandoned_and_the_password_outlives_a_look(
    window: Window, shop: Systems
) -> None:
    """Reset and Keep are looked at by everybody once; the password must still be sent after."""
    modal = adding(window)
    fill(modal, "Edited", shop.capture.url("/before"), "transaction.sale.queued")
    basic(modal, "oms", "correct horse")
    add(modal)
    page = window.page
    modal = editing(page, "Edited")
    expect(modal.get_by_label("Password")).to_have_count(0)
    modal.get_by_role("button", name="Reset Webhook Authentication").click()
    expect(page.get_by_label("Password")).to_have_value("")
    page.get_by_role("button", name="Keep Current Configuration").click()
    expect(page.get_by_role("button", name="Reset Webhook Authentication")).to_be_visible()
    modal = page.get_by_role("dialog", name="Edit Edited")
    modal.get_by_label("Webhook Label").fill("Never")
    pick(modal, RETURNED)
    modal.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Abandon Changes").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    modal = editing(page, "Edited")
    expect(modal.locator("[data-chosen]")).to_have_text("1 selected")
    modal.get_by_label("Webhook Label").fill("Edited twice")
    modal.get_by_label("Hook URL").fill(shop.capture.url("/after"))
    pick(modal, "transaction.sale.captured")
    pick(modal, "transaction.sale.queued", on=False)
    modal.get_by_role("button", name="Save Changes").click()
    expect(page.get_by_role("link", name="Edited twice", exact=True)).to_be_visible()
    assert shop.sent_to(shop.publish("transaction.sale.queued")) == 0
    shop.publish("transaction.sale.captured")
    [sent] = shop.got("/after")
    assert json.loads(sent.body)["event_type"] == "transaction.sale.captured"
    text = sent.named["authorization"].removeprefix("Basic ")
    assert base64.b64decode(text) == b"oms:correct horse"


@pytest.mark.shows("M23")
def test_a_reset_that_is_saved_changes_what_is_sent(window: Window, shop: Systems) -> None:
    """The other half: whoever changes the password on their server changes it here."""
    modal = adding(window)
    fill(modal, "Reset", shop.capture.url("/reset"), "transaction.sale.adjusted")
    basic(modal, "oms", "old password")
    add(modal)
    modal = editing(window.page, "Reset")
    modal.get_by_role("button", name="Reset Webhook Authentication").click()
    expect(window.page.get_by_role("button", name="Keep Current Configuration")).to_be_visible()
    modal = window.page.get_by_role("dialog", name="Edit Reset")
    basic(modal, "oms", "new password")
    modal.get_by_role("button", name="Save Changes").click()
    expect(window.page.get_by_role("dialog")).to_have_count(0)
    shop.publish("transaction.sale.adjusted")
    [sent] = shop.got("/reset")
    text = sent.named["authorization"].removeprefix("Basic ")
    assert base64.b64decode(text) == b"oms:new password"


@pytest.mark.shows("M26", "M27")
def test_delete_hook_asks_in_a_second_modal_and_then_nothing_more_is_sent(
    window: Window, shop: Systems
) -> None:
    """At the bottom of the modal, and not on the first click."""
    for label, path in (("Doomed", "/doomed"), ("Witness", "/witness")):
        modal = adding(window)
        fill(modal, label, shop.capture.url(path), "transaction.refund.voided")
        add(modal)
    page = window.page
    modal = editing(page, "Doomed")
    delete = modal.get_by_role("button", name="Delete Hook")
    frame, place = box(modal), box(delete)
    assert abs(frame[3] - place[3]) < _EDGE_PX
    delete.click()
    second = page.get_by_role("dialog", name="Delete Doomed?")
    expect(second).to_be_visible()
    expect(modal).to_be_visible()
    assert box(second) != box(modal)
    second.get_by_role("button", name="Close").click()
    expect(second).to_be_hidden()
    delete.click()
    second.get_by_role("button", name="Delete Hook").click()
    expect(page.get_by_role("link", name="Doomed", exact=True)).to_have_count(0)
    assert shop.sent_to(shop.publish("transaction.refund.voided")) == 1
    assert shop.got("/witness")

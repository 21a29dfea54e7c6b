"""Signing in, the second factor and the user's own pages, in a real browser."""

from itertools import product
from typing import Final

import pyotp
import pytest
from playwright.sync_api import expect
from tests.support.chromium import (
    NARROW,
    PASSWORD,
    WIDE,
    Chromium,
    Installation,
    Theme,
    Window,
)

THEMES: tuple[Theme, Theme] = ("light", "dark")
LOOKS = [
    pytest.param(width, theme, id=f"{width}-{theme}")
    for width, theme in product((NARROW, WIDE), THEMES)
]
_KEYS_AFTER_CLOSING: Final = """(keys) => {
    const dialog = document.querySelector("#shortcuts");
    dialog.showModal();
    dialog.close();
    for (const key of keys) {
        const press = new KeyboardEvent("keydown", { key, bubbles: true });
        document.activeElement.dispatchEvent(press);
    }
}"""


@pytest.mark.shows("K09")
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_pages_of_signing_in_are_sound(chromium: Chromium, width: int, theme: Theme) -> None:
    """They are the first that anybody sees, and the last for whoever is locked out."""
    window = chromium.at(width, theme)
    look = f"{width}-{theme}"
    window.open("/console/sign-in")
    window.examine(f"sign-in-{look}")
    window.page.fill("#name", "owner")
    window.page.fill("#password", "not the password")
    window.page.get_by_role("button", name="Sign in").click()
    expect(window.page.get_by_role("alert")).to_be_focused()
    window.examine(f"sign-in-refused-{look}")
    for path, name in (
        ("/console/help/two-factor", "help-two-factor"),
        ("/console/help/password", "help-password"),
        ("/console/nothing", "not-found"),
    ):
        window.open(path)
        window.examine(f"{name}-{look}")


@pytest.mark.shows("K09")
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_pages_of_ones_own_are_sound(chromium: Chromium, width: int, theme: Theme) -> None:
    """Account, second factor, and the frame around them."""
    look = f"{width}-{theme}"
    window = chromium.signed_in("owner", width, theme)
    window.open("/console/account")
    window.examine(f"account-{look}")
    if width == NARROW:
        window.page.get_by_role("button", name="Menu").click()
        window.examine(f"menu-{look}")
        window.page.keyboard.press("Escape")
    window.open("/console/account/two-factor")
    window.examine(f"two-factor-on-{look}")
    window.page.get_by_role("button", name="Turn off").click()
    expect(window.page.get_by_role("dialog")).to_be_visible()
    window.examine(f"turn-off-{look}")


@pytest.mark.shows("K10")
def test_one_signs_in_with_the_keyboard_alone(
    chromium: Chromium, installation: Installation
) -> None:
    """Also on to the page that was asked for, with the focus where the typing goes on."""
    person = installation.people["walker"]
    window = chromium.at()
    page = window.open("/console/account")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type(person.username)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Two-factor authentication")).to_be_visible()
    window.examine("gate")
    expect(page.locator("#second_factor")).to_be_focused()
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("That code did not match")
    window.examine("gate-refused")
    page.fill("#second_factor", person.code())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.shows("K11", "W15")
def test_one_signs_in_without_scripts(chromium: Chromium, installation: Installation) -> None:
    """And out: what is left of the session is nothing that the back button shows."""
    person = installation.people["walker"]
    window = chromium.at(scripts=False)
    page = window.open("/console/account")
    page.fill("#name", f"{person.username}@example.com")
    page.fill("#password", PASSWORD)
    page.click("text=Sign in >> nth=-1")
    page.fill("#second_factor", person.recovery_code())
    page.click("text=Continue")
    assert page.inner_text("h1") == "Your account"
    page.click("text=Sign out")
    assert page.inner_text("h1") == "Sign in"
    assert page.inner_text("#said") == "You are signed out."
    page.go_back()
    assert page.inner_text("h1") == "Sign in"


@pytest.mark.shows("K09")
def test_a_second_factor_is_enabled_and_its_codes_are_shown_once(chromium: Chromium) -> None:
    """From a user who may not see the section to one who may."""
    window = chromium.signed_in("plain")
    page = window.open("/console/account/two-factor?next=/console/account")
    _examine_all(window, "two-factor-off")
    page.get_by_role("button", name="Set up two-factor").click()
    expect(page.locator(".qr svg")).to_be_visible()
    _examine_all(window, "two-factor-enrol")
    page.fill("#code", "12 34 56")
    page.get_by_role("button", name="Enable two-factor").click()
    expect(page.get_by_role("alert")).to_contain_text("That code did not match")
    page.fill("#code", pyotp.TOTP(page.locator(".code pre").inner_text()).now())
    page.get_by_role("button", name="Enable two-factor").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert page.locator(".codes li").count() == 10
    _examine_all(window, "recovery-codes")
    page.get_by_role("button", name="Copy all").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    assert window.complaints == []


@pytest.mark.shows("K09", "M03", "M04")
def test_an_invitation_is_accepted_and_its_user_goes_on(
    chromium: Chromium, installation: Installation
) -> None:
    """The first minutes of somebody new."""
    window = chromium.at()
    page = window.open(installation.invitation)
    _examine_all(window, "invitation")
    page.fill("#username", "newcomer")
    page.fill("#password", "123456789012")
    page.fill("#password_again", "123456789012")
    page.get_by_role("button", name="Create your user").click()
    expect(page.get_by_role("alert")).to_contain_text("among the first that people try")
    _examine_all(window, "invitation-refused")
    page.fill("#password", PASSWORD)
    page.fill("#password_again", PASSWORD)
    page.get_by_role("button", name="Create your user").click()
    expect(page.get_by_role("heading", name="Two-factor authentication")).to_be_visible()
    assert page.locator(".mode").inner_text() == "Production"
    page.goto(f"{installation.url}/console/settings/webhooks")
    expect(page.get_by_role("heading", name="Two-factor authentication is needed")).to_be_visible()
    _examine_all(window, "factor-needed")
    page.get_by_role("link", name="here").click()
    expect(page.get_by_role("heading", name="Enable it for your Username")).to_be_visible()
    window.open(installation.invitation)
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


def test_one_switches_between_merchants(chromium: Chromium) -> None:
    """Production is told apart by a word, a shape and a colour."""
    window = chromium.signed_in("both")
    page = window.open("/console/account")
    expect(page.locator(".mode")).to_have_text("Sandbox")
    page.get_by_label("Merchant").select_option(label="Harbour Coffee (Production)")
    page.get_by_role("button", name="Switch").click()
    expect(page.locator(".mode")).to_have_text("Production")
    window.open("/console/account")
    _examine_all(window, "production")


def test_shortcuts_are_told_used_and_turned_off(chromium: Chromium) -> None:
    """Single letters help who types and hinder who speaks."""
    window = chromium.signed_in("owner")
    page = window.open("/console/account")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    window.examine("shortcuts")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    # The browser takes the focus out of a closed dialog only with its next frame: keys come before.
    page.evaluate(_KEYS_AFTER_CLOSING, "gd")
    expect(page.get_by_role("heading", name="Deliveries", exact=True)).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    page.keyboard.press("?")
    page.get_by_role("button", name="Turn shortcuts off").click()
    page.wait_for_load_state()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    window.open("/console/account")
    page.get_by_role("button", name="Turn shortcuts on").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    assert window.complaints == []


def _examine_all(window: Window, name: str) -> None:
    for width, theme in product((NARROW, WIDE), THEMES):
        window.look(width, theme)
        window.examine(f"{name}-{width}-{theme}")


def test_the_theme_that_is_chosen_stays(chromium: Chromium) -> None:
    """Against what the system says, on every page, before and after signing in."""
    window = chromium.at(theme="light")
    page = window.open("/console/sign-in")
    page.get_by_role("button", name="Dark").click()
    assert page.get_attribute("html", "data-theme") == "dark"
    window.open("/console/help/password")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(15, 18, 22)"
    window.examine("dark-by-choice")


def test_sessions_are_listed_and_ended(chromium: Chromium, installation: Installation) -> None:
    """Whoever forgot to sign out elsewhere can do it from here."""
    person = installation.people["support"]
    elsewhere = chromium.at()
    page = elsewhere.open("/console/account")
    page.fill("#name", person.username)
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.fill("#second_factor", person.code())
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    here = chromium.signed_in("support")
    here.open("/console/account")
    here.page.get_by_role("button", name="End", exact=True).click()
    expect(here.page.locator("#said")).to_have_text("The session has ended.")
    elsewhere.open("/console/account")
    assert page.inner_text("h1") == "Sign in"

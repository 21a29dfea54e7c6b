"""Overview, keys, team and audit log in a real browser."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Page, expect
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme, Window
from tests.support.ports import free_port
from tests.support.server import Api

BOTH: tuple[tuple[int, Theme], ...] = ((WIDE, "dark"), (NARROW, "light"))
EVERY: tuple[tuple[int, Theme], ...] = (*BOTH, (WIDE, "light"), (NARROW, "dark"))
CLICKS_MAX = 4
_WAIT_S = 20.0
_LIVE_MS = 15_000


class _Accepts(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class Shop:
    """The demo merchant with a webhook whose server is down, until somebody starts it."""

    def __init__(self, installation: Installation) -> None:
        self.port = free_port()
        self._api = Api(installation.server.port)
        self._path = installation.merchant_path
        said = {
            "label": "Finance ledger",
            "url": f"http://127.0.0.1:{self.port}/hooks",
            "events": ["transaction.*"],
            "retry_policy": [],
            "signature": {"type": "signature_key"},
        }
        self._api.post(f"{self._path}/endpoints", said)

    def fail(self, number: int) -> None:
        """Publish so many events and wait until their deliveries have failed."""
        for _ in range(number):
            said = {"type": "transaction.sale.success", "data": {"amount": 5}}
            self._api.post(f"{self._path}/events", said)
        deadline_s = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline_s:
            found = self._api.get(f"{self._path}/deliveries?status=failed&limit=100")["data"]
            if len(found) >= number:
                return
            time.sleep(0.05)
        raise AssertionError("nothing has failed")

    @contextmanager
    def mended(self) -> Iterator[None]:
        """Start the server."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), _Accepts)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(scope="module")
def shop(installation: Installation) -> Shop:
    """Return the merchant, to whom nothing has happened yet."""
    return Shop(installation)


def examine(window: Window, name: str, looks: Sequence[tuple[int, Theme]] = BOTH) -> None:
    """Look at the page as it is, in both widths and both themes.

    After a step in two looks that have each of both, because colours do not know the width.
    """
    for width, theme in looks:
        window.look(width, theme)
        window.examine(f"{name}-{width}-{theme}")
    window.look(WIDE, "light")


def test_a_new_merchant_sees_the_first_steps(chromium: Chromium, shop: Shop) -> None:
    """With commands to copy, on a phone too."""
    window = chromium.signed_in("owner")
    window.open("/console/overview")
    examine(window, "overview-first-steps", EVERY)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("keys", "keys"),
        ("keys/new", "key-new"),
        ("team", "team"),
        ("team/invitations/new", "invite"),
        ("audit-log", "audit-log"),
        ("audit-log?action=nothing", "audit-log-none"),
        ("audit-log/chain", "audit-chain"),
    ],
)
def test_the_pages_of_settings_are_sound(
    chromium: Chromium, shop: Shop, path: str, name: str
) -> None:
    """Read on a phone at night and on a wide screen by day, by people and by what reads to them."""
    window = chromium.signed_in("owner")
    window.open(f"/console/settings/{path}")
    if name == "audit-log":
        window.page.locator("main summary").first.click()
    examine(window, name, EVERY)


@pytest.mark.shows("K05")
def test_what_failed_is_found_and_recovered_in_few_clicks(chromium: Chromium, shop: Shop) -> None:
    """After an outage nobody wants to search: from the overview, with no more than four."""
    shop.fail(3)
    window = chromium.signed_in("owner")
    page = window.open("/console/overview")
    examine(window, "overview-failing", EVERY)
    clicks = 0
    with shop.mended():
        for name in ("Recover 3 deliveries", "Replay 3 deliveries"):
            page.get_by_text(name, exact=True).click()
            clicks += 1
        expect(page.locator("main .chip.good")).to_have_text("Done", timeout=_LIVE_MS)
        _until_delivered(page, window)
    assert clicks <= CLICKS_MAX
    examine(window, "overview-recovered")


@pytest.mark.shows("K09", "K10")
def test_a_key_is_made_copied_and_revoked_with_the_keyboard_alone(chromium: Chromium) -> None:
    """What is shown once has to be got hold of by everybody."""
    window = chromium.signed_in("owner")
    page = window.open("/console/settings/keys")
    page.get_by_role("link", name="Create key").first.focus()
    page.keyboard.press("Enter")
    page.locator("#label").focus()
    page.keyboard.type("Till 1")
    page.get_by_label("Publish events").focus()
    page.keyboard.press("Space")
    _press(page, "button", "Create key")
    expect(page.locator("h1")).to_have_text("The key is made")
    examine(window, "key-made")
    text = page.locator(".code pre").first.inner_text()
    assert text.startswith("phk_sandbox_")
    _press(page, "button", "Copy key")
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == text
    _press(page, "link", "I have kept it")
    _press(page, "button", "Revoke Till 1")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    window.examine("key-revoke")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Revoke Till 1")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Revoke key").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_have_text("Till 1 is revoked.")
    expect(page.locator("tbody .chip")).to_have_text("Revoked")
    assert window.complaints == []


@pytest.mark.shows("K09")
def test_the_signature_key_is_revealed_and_rotated(chromium: Chromium, shop: Shop) -> None:
    """Both keys are there while both count."""
    window = chromium.signed_in("owner")
    page = window.open("/console/settings/keys")
    page.get_by_role("button", name="Reveal Signature Key").click()
    old = page.locator(".code pre").inner_text()
    page.get_by_role("link", name="Close").click()
    page.get_by_role("button", name="Rotate").click()
    window.look(NARROW, "dark")
    window.examine("signature-key-rotate-narrow")
    window.look(WIDE, "light")
    window.examine("signature-key-rotate")
    page.get_by_label("The old key goes on signing for").select_option(label="1 hour")
    page.get_by_role("button", name="Rotate key").click()
    expect(page.get_by_text("The Signature Key is rotated.")).to_be_visible()
    page.get_by_role("link", name="Close").click()
    page.get_by_role("button", name="Reveal Signature Key").click()
    expect(page.locator(".code pre")).to_have_count(2)
    assert page.locator(".code pre").nth(1).inner_text() == old
    examine(window, "signature-key")


@pytest.mark.shows("K11")
def test_without_scripts_keys_and_team_are_managed_and_the_log_read(chromium: Chromium) -> None:
    """Everything but copying works with forms and links alone."""
    page = chromium.signed_in("owner", scripts=False).open("/console/settings/keys/new")
    page.fill("#label", "Till 2")
    page.get_by_label("Publish events").check()
    page.get_by_label("Source Key").check()
    page.get_by_role("button", name="Create key").click()
    expect(page.locator("h1")).to_have_text("The key is made")
    page.goto(page.url.replace("/keys", "/team"))
    page.get_by_role("link", name="Invite").click()
    page.fill("#email", "new@example.com")
    page.get_by_role("button", name="Invite").click()
    assert "/console/invitations/" in page.locator(".code pre").inner_text()
    page.get_by_role("link", name="Back to the team").click()
    page.get_by_label("Role of viewer", exact=True).select_option("support")
    page.get_by_role("button", name="Change the role of viewer").click()
    expect(page.locator("#said")).to_have_text("viewer is support now.")
    page.get_by_role("link", name="Audit log").click()
    page.fill("#actor", "owner")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**actor=owner**")
    actions = page.locator("td[data-label=Action]").all_inner_texts()
    assert actions[:3] == ["member.changed", "invitation.created", "key.created"]


@pytest.mark.shows("K09")
def test_the_team_is_shown_with_its_invitations(chromium: Chromium) -> None:
    """Who can get in, and who still may."""
    window = chromium.signed_in("owner")
    page = window.open("/console/settings/team/invitations/new")
    page.fill("#email", "another@example.com")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("another@example.com is invited")).to_be_visible()
    examine(window, "invited")
    page.get_by_role("link", name="Back to the team").click()
    expect(page.locator("h1")).to_have_text("Team")
    examine(window, "team-invited")
    page.get_by_role("button", name="Remove developer").click()
    expect(page.get_by_role("dialog")).to_contain_text("developer loses access")
    window.examine("team-remove")


def _press(page: Page, role: str, name: str) -> None:
    found = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type] # Any role.
    found.focus()
    page.keyboard.press("Enter")


def _until_delivered(page: Page, window: Window) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        window.open("/console/overview")
        if page.locator(".figure").first.inner_text() == "3":
            return
    raise AssertionError(page.locator(".tiles").inner_text())

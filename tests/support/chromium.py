"""The console in a real browser: a served installation with a team, and Debian's Chromium.

``Installation`` is one served process on SQLite whose users exist from the start; ``Chromium`` is
one browser process; ``Window`` is a tab with a width and a theme that remembers what the browser
complained about. A test ends with ``window.examine(name)`` on each page that it has to show.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, Self

import pyotp
from axe_playwright_python.sync_playwright import (  # type: ignore[import-untyped] # No types.
    Axe,
)
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from tests.support.server import SECRET_KEY, Server, sqlite_url

from payhooks import ids
from payhooks.bootstrap import open_control
from payhooks.control import factors, invitations, merchants, sessions, users
from payhooks.control.context import SYSTEM, Control
from payhooks.control.merchants import MerchantDraft
from payhooks.control.sessions import Visitor
from payhooks.control.users import UserDraft
from payhooks.model.merchant import Merchant, Mode
from payhooks.model.user import Role
from payhooks.settings import Settings

EXECUTABLE: Final = "/usr/bin/chromium"
PASSWORD: Final = "seven tall herons wade"
SCREENSHOTS: Final = "PAYHOOKS_TEST_SCREENSHOTS"
NARROW: Final = 390
WIDE: Final = 1_360
Theme = Literal["light", "dark"]
_HEIGHT: Final = 900
_WAIT_MS: Final = 10_000
# Chromium says so of every page that is not a 2xx, which refusals are not.
_NOT_A_2XX: Final = "Failed to load resource: the server responded with a status of 4"
_SIDEWAYS: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Person:
    """One user, and what only that user knows."""

    username: str
    seed: str  # empty: no second factor
    recovery_codes: list[str]
    cookie: str  # of a session in which the second factor was just given

    def code(self) -> str:
        """Return the code that the app shows now. Each counts once; recovery codes do not wait."""
        return pyotp.TOTP(self.seed).now()

    def recovery_code(self) -> str:
        """Return a code that nobody used before."""
        return self.recovery_codes.pop()


class Installation:
    """One served process with a demo merchant, a second one, and a user of each role."""

    def __init__(self, folder: Path) -> None:
        with sqlite_url(folder) as url:
            self.server = Server(folder, url)
        self.people: dict[str, Person] = {}
        # On a thread of its own: Playwright's loop runs on this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(self._prepare())).result()

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def merchant_path(self) -> str:
        """Where the API has the demo merchant."""
        return f"/v1/merchants/{ids.to_text(ids.MERCHANT, self.merchant.id)}"

    async def _prepare(self) -> None:
        settings = Settings.model_validate(
            {"database_url": self.server.database_url, "secret_key": SECRET_KEY}
        )
        control = await open_control(settings)
        try:
            self.merchant = await _merchant(control, "Harbour Coffee", Mode.SANDBOX)
            self.other = await _merchant(control, "Harbour Coffee", Mode.LIVE)
            for role in Role:
                self.people[role] = await _person(control, role, self.merchant, role)
            self.people["walker"] = await _person(control, "walker", self.merchant, Role.OWNER)
            self.people["both"] = await _person(control, "both", self.merchant, Role.OWNER)
            await self._join_other(control, self.people["both"])
            self.invitation = await self._invite(control, "new@example.com")
            self.people["plain"] = await _person(
                control, "plain", self.merchant, Role.OWNER, factor=False
            )
        finally:
            await control.store.close()

    async def _invite(self, control: Control, email: str) -> str:
        """Return the path of an invitation to the merchant in production."""
        made = await invitations.invite(
            control, SYSTEM, self.other, email=email, role=Role.DEVELOPER, base_url=""
        )
        return made.url

    async def _join_other(self, control: Control, person: Person) -> None:
        signed_in = await sessions.find(control, person.cookie)
        assert signed_in is not None
        text = (await self._invite(control, "both@example.com")).rpartition("/")[2]
        await invitations.accept(control, SYSTEM, signed_in, text)


async def _merchant(control: Control, name: str, mode: Mode) -> Merchant:
    draft = MerchantDraft(name=name, families=("merchant-console",))
    return await merchants.create(control, SYSTEM, mode, draft)


async def _person(
    control: Control, name: str, merchant: Merchant, role: Role, *, factor: bool = True
) -> Person:
    draft = UserDraft(
        username=name,
        email=f"{name}@example.com",
        password=PASSWORD,
        merchant=merchant,
        role=role,
    )
    user = await users.create(control, SYSTEM, draft)
    visitor = Visitor(ip="127.0.0.1", agent="Chromium on Debian")
    opened = await sessions.sign_in(control, visitor, name=name, password=PASSWORD)
    if not factor:
        return Person(name, "", [], opened.text)
    signed_in = await sessions.find(control, opened.text)
    assert signed_in is not None
    enrolment = await factors.enrol(control, SYSTEM, user)
    # The code of the step before, so that the test may give the one that the app shows now.
    before = pyotp.TOTP(enrolment.seed).at(control.clock.now() - timedelta(seconds=30))
    codes = await factors.confirm(control, SYSTEM, signed_in, before)
    return Person(name, enrolment.seed, list(codes), opened.text)


class Window:
    """One tab in a context of its own, which nobody else's cookies reach."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(_WAIT_MS)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(_NOT_A_2XX):
            self.complaints.append(message.text)

    def open(self, path: str) -> Page:
        """Open a path of the console and return the page."""
        self.page.goto(self.url + path)
        return self.page

    def look(self, width: int, theme: Theme) -> None:
        """Become another width and theme, with the page as it is."""
        self.page.set_viewport_size({"width": width, "height": _HEIGHT})
        self.page.emulate_media(color_scheme=theme)

    def examine(self, name: str) -> None:
        """Ask of the page what every page has to be, and keep a picture under this name.

        Nothing that axe finds, nothing that the browser complains of (its policy included), no
        sideways scrolling.
        """
        # What was asked for may be there before the rest of the page.
        self.page.wait_for_load_state()
        folder = os.environ.get(SCREENSHOTS)
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
        assert self.page.evaluate(_SIDEWAYS) == 0, f"{name} scrolls sideways"
        found = Axe().run(self.page).response["violations"]
        assert not found, [_told(violation) for violation in found]
        assert self.page.locator("h1").count() == 1
        assert self.complaints == [], self.complaints


def _told(violation: Mapping[str, Any]) -> str:
    return f"{violation['id']}: {[node['html'][:160] for node in violation['nodes']]}"


class Chromium:
    """One browser process."""

    def __init__(self, browser: Browser, installation: Installation) -> None:
        self._browser = browser
        self._installation = installation
        self._contexts: list[BrowserContext] = []

    def at(self, width: int = WIDE, theme: Theme = "light", *, scripts: bool = True) -> Window:
        """Return a window of nobody."""
        context = self._browser.new_context(
            viewport={"width": width, "height": _HEIGHT},
            color_scheme=theme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        self._contexts.append(context)
        return Window(context, self._installation.url)

    def signed_in(
        self,
        who: str = Role.OWNER,
        width: int = WIDE,
        theme: Theme = "light",
        *,
        scripts: bool = True,
    ) -> Window:
        """Return a window of somebody signed in, whose second factor was given at the start."""
        window = self.at(width, theme, scripts=scripts)
        cookie = self._installation.people[who].cookie
        window.context.add_cookies(
            [
                {
                    "name": "__Host-payhooks",
                    "value": cookie,
                    "url": self._installation.url.replace("http:", "https:"),
                    "httpOnly": True,
                    "secure": True,
                    "sameSite": "Lax",
                }
            ]
        )
        return window

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        for context in self._contexts:
            context.close()
        self._contexts.clear()


@contextmanager
def browser() -> Iterator[Browser]:
    """Yield Debian's Chromium, without a window."""
    expect.set_options(timeout=_WAIT_MS)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=EXECUTABLE, args=["--no-sandbox"], headless=True
        )
        try:
            yield started
        finally:
            started.close()

"""Somebody who does in a browser what the console's guide says, and keeps pictures of it."""

import os
from pathlib import Path
from typing import Final

from playwright.sync_api import FloatRect, Locator, Page, expect
from tests.support.cafe import Cafe
from tests.support.chromium import SCREENSHOTS, WIDE, Theme, Window

_HEIGHT: Final = 800
_AROUND_PX: Final = 24
_BELOW_PX: Final = 8  # less: what comes next is not to be seen


class Reader:
    """Somebody who does what the guide says, and remembers what the screen said."""

    def __init__(self, window: Window, merchant: Cafe) -> None:
        self.window = window
        self.page: Page = window.page
        self.merchant = merchant
        self.read: list[str] = []
        self.look()

    def look(self, width: int = WIDE, theme: Theme = "light") -> None:
        """Take a screen of this width."""
        self.page.set_viewport_size({"width": width, "height": _HEIGHT})
        self.page.emulate_media(color_scheme=theme)

    def sees(self, *words: str) -> None:
        """Wait for what the guide says comes now, and remember all that is there with it."""
        for each in words:
            expect(self.page.get_by_text(each).locator("visible=true").first).to_be_visible()
        self.read.append(self.page.inner_text("body"))

    def press(self, name: str, *, within: Locator | None = None) -> None:
        """Press the button that says so."""
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """Follow the link that says so."""
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def modal(self, name: str) -> Locator:
        """Return the modal of this name, once it is there."""
        found = self.page.get_by_role("dialog", name=name)
        expect(found).to_be_visible()
        self.read.append(self.page.inner_text("body"))
        return found

    def section(self, name: str) -> None:
        """Open Settings in the side menu, and a section of it."""
        link = self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name)
        if not link.is_visible():
            self.page.locator("summary", has_text="Settings").click()
        link.click()
        expect(self.page.get_by_role("heading", name=name, level=1)).to_be_visible()

    def picture(self, name: str, of: Locator | None = None, to: Locator | None = None) -> None:
        """Keep what the screen shows: all, or what is around something, down to something."""
        self.read.append(self.page.inner_text("body"))
        folder = os.environ.get(SCREENSHOTS)
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        left, top, right, bottom = _edges(of or self.page.locator("body"))
        bottom = bottom + _AROUND_PX if to is None else _edges(to)[3] + _BELOW_PX
        screen = self.page.viewport_size
        assert screen is not None
        left, top = max(0.0, left - _AROUND_PX), max(0.0, top - _AROUND_PX)
        right = min(screen["width"], right + _AROUND_PX)
        bottom = min(screen["height"], bottom)
        clip = FloatRect(x=left, y=top, width=right - left, height=bottom - top)
        self.page.screenshot(path=Path(folder) / f"{name}.png", clip=clip)


def _edges(of: Locator) -> tuple[float, float, float, float]:
    box = of.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]

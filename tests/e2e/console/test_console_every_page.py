"""Every page that the console serves, in a browser: looks, keyboard, without scripts, cold.

No page is named here: they are those that the application declares.
"""

import re
from collections.abc import Mapping
from itertools import product

import pytest
from playwright.sync_api import Page
from tests.support.chromium import NARROW, WIDE, Chromium, Installation, Theme, Window
from tests.support.console_pages import furnish, templates

THEMES: tuple[Theme, Theme] = ("light", "dark")
TEMPLATES = templates()
_TABS_MAX = 400
# What can be used by hand: the browser counts radio buttons of one name as one.
_USABLE = """() => {
    const radios = new Set();
    return [...document.querySelectorAll(
        "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']"
    )].filter((one) => {
        const box = one.getBoundingClientRect();
        const style = getComputedStyle(one);
        if (one.disabled || one.tabIndex < 0 || style.visibility === "hidden") return false;
        if (!one.checkVisibility() || box.width === 0) return false;
        if (one.type !== "radio") return true;
        if (radios.has(one.name)) return false;
        return radios.add(one.name);
    }).length;
}"""
_FOCUSED = """() => {
    const one = document.activeElement;
    if (!one || one === document.body || one === document.documentElement) return null;
    one.dataset.walked ??= String(window.walked = (window.walked ?? 0) + 1);
    const shown = (node) => {
        const style = node && getComputedStyle(node);
        return style && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    };
    // The parts of a date show their focus themselves, where no style of a page reaches.
    const parts = one.type?.startsWith("date");
    const box = one.getBoundingClientRect();
    const inside = box.bottom > 0 && box.top < innerHeight
        && box.right > 0 && box.left < innerWidth;
    return {
        number: Number(one.dataset.walked),
        words: one.outerHTML.slice(0, 90),
        seen: inside && (parts || [one, one.nextElementSibling, one.parentElement].some(shown)),
    };
}"""
# A button that only a script brings to life, in a page that has none.
_DEAD = """() => [...document.querySelectorAll("main button")]
    .filter((one) => one.checkVisibility())
    .filter((one) => one.type === "button" && !one.hasAttribute("command")
        && !one.hasAttribute("popovertarget"))
    .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def gaps(installation: Installation) -> Mapping[str, str]:
    """Return what fills the gaps of the addresses."""
    return furnish(installation)


def opened(
    chromium: Chromium, template: str, gaps: Mapping[str, str], *, scripts: bool = True
) -> Window:
    """Return a window on the page, signed in where it is not for everybody."""
    window = (
        chromium.at(scripts=scripts) if TEMPLATES[template] else chromium.signed_in(scripts=scripts)
    )
    window.open(template.format_map(gaps))
    return window


def slug(template: str) -> str:
    """Return a name for the picture."""
    return re.sub(r"[^a-z]+", "-", template.removeprefix("/console/")).strip("-")


@pytest.mark.shows("K06")
@pytest.mark.long
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_page_is_sound_in_every_look(
    chromium: Chromium, gaps: Mapping[str, str], template: str
) -> None:
    """On a telephone at night and on a wide screen by day, read by people and by programs."""
    window = opened(chromium, template, gaps)
    for width, theme in product((NARROW, WIDE), THEMES):
        window.look(width, theme)
        window.examine(f"every-{slug(template)}-{width}-{theme}")


@pytest.mark.shows("K07")
@pytest.mark.long
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_page_is_gone_through_with_the_keyboard(
    chromium: Chromium, gaps: Mapping[str, str], template: str
) -> None:
    """Whoever has no mouse reaches all of it, sees where they are, and gets out again."""
    page = opened(chromium, template, gaps).page
    usable: int = page.evaluate(_USABLE)
    reached: list[int] = []
    for _ in range(_TABS_MAX):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is None:
            continue  # The browser itself has it; the next goes to the top of the page.
        if focused["number"] == 1 and reached[-1:] not in ([], [1]):
            break
        assert focused["seen"], f"nobody sees the focus on {focused['words']}"
        reached.append(focused["number"])
    else:
        pytest.fail("the focus does not come round")
    assert len(set(reached)) >= usable > 0, _unreached(page)


def _unreached(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(
            "a[href], button, input:not([type=hidden]), select, textarea, summary"
        )].filter((one) => one.checkVisibility() && !one.dataset.walked)
        .map((one) => one.outerHTML.slice(0, 90))"""
    )
    return found


@pytest.mark.shows("K08")
@pytest.mark.long
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_page_without_scripts_says_the_same_and_has_no_dead_button(
    chromium: Chromium, gaps: Mapping[str, str], template: str
) -> None:
    """Some may not run scripts, and a script may not arrive."""
    with_scripts = opened(chromium, template, gaps).page
    without = opened(chromium, template, gaps, scripts=False).page
    assert without.inner_text("h1") == with_scripts.inner_text("h1")
    assert without.evaluate(_DEAD) == []
    names = "(forms) => forms.map((one) => one.getAttribute('action'))"
    assert without.locator("main form").evaluate_all(names) == with_scripts.locator(
        "main form"
    ).evaluate_all(names)

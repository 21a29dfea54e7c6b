"""What the console is made of: templates, assets, charts, the menu; and their budgets."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from payhooks import console
from payhooks.console import chart
from payhooks.console.assets import Assets
from payhooks.console.chart import Series
from payhooks.console.menu import MENU, Group, visible
from payhooks.console.render import Renderer
from payhooks.control.context import SYSTEM, Caller
from payhooks.model.key import Scope
from payhooks.model.merchant import Mode

FOLDER = Path(console.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").rglob("*.html"))
STATIC = FOLDER / "static"
UNSAFE = re.compile(
    r"<style|\sstyle=|<script(?! type=\"module\" src=)|\son[a-z]+=\"|javascript:"
    r"|(?:src|href|action)=\"https?:"
)


def named(path: Path) -> str:
    return str(path.relative_to(FOLDER / "templates"))


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_every_template_compiles(path: Path) -> None:
    """They compile when first used; a misspelt filter must not wait for its first visitor."""
    Renderer(Assets()).environment.get_template(named(path))


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_no_template_has_what_the_policy_forbids(path: Path) -> None:
    """Inline styles and scripts would not work, and what is not ours would not load."""
    text = path.read_text("utf-8")
    assert not UNSAFE.findall(text)
    # Only words that stand in the template themselves may be called safe.
    assert not re.search(r"[^'\"\s]\s*\|\s*safe\b", text)


def test_style_and_script_stay_small_enough_to_be_read() -> None:
    """The promise of pages without a framework is kept by a number."""
    assert (STATIC / "console.css").stat().st_size <= 20 * 1024
    assert (STATIC / "console.js").stat().st_size <= 6 * 1024


def test_the_first_load_is_small() -> None:
    """On a telephone, from a train: everything that the first page needs."""
    assert sum(path.stat().st_size for path in STATIC.iterdir()) <= 60 * 1024


def _read(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - we drew it


@pytest.mark.parametrize(
    "drawn",
    [
        chart.stacked("Hits & <misses>", [], [Series(label="Good", tone="good", values=[])]),
        chart.stacked(
            "Deliveries",
            [f"{hour}:00" for hour in range(60)],
            [
                Series(label="Delivered", tone="good", values=[5.0] * 60),
                Series(label="Failed <b>", tone="bad", values=[0.0] * 59 + [1_000.0]),
            ],
        ),
        chart.sparkline("Idle", [0.0] * 24),
        chart.sparkline("Nothing", []),
        chart.sparkline("Busy", [float(hour) for hour in range(24)]),
    ],
)
def test_a_chart_says_what_it_shows_and_stays_in_its_frame(drawn: str) -> None:
    """For those who do not see it, and for the policy: no style, no script, escaped words."""
    root = _read(drawn)
    assert root.get("role") == "img"
    assert root.findtext("title")
    assert root.findtext("desc")
    width, height = (float(part) for part in (root.get("viewBox") or "").split()[2:])
    for rect in root.iter("rect"):
        x, y, w, h = (float(rect.get(name) or "") for name in ("x", "y", "width", "height"))
        assert min(x, y) >= 0
        assert x + w <= width + 1
        assert y + h <= height + 1
    for path in root.iter("path"):
        strokes = re.findall(r"M([\d.]+) (\d+)V(-?\d+)", path.get("d") or "")
        assert strokes
        assert all(0 < float(x) < width and int(low) == height for x, low, _ in strokes)
        assert all(0 <= int(top) < height for _x, _low, top in strokes)
    assert "style" not in drawn


def test_the_bars_of_a_row_weigh_little() -> None:
    """Fifty of them are on one page, which has to come over a bad line too."""
    assert len(chart.sparkline("Busy", [float(hour) for hour in range(24)])) < 700


def test_large_numbers_are_told_in_full_and_shortened_on_the_axis() -> None:
    """2.5e+06 is no number to most people, and 2500000 has no room beside a chart."""
    series = [Series(label="Delivered", tone="good", values=[2_500_000.0])]
    drawn = chart.stacked("Deliveries", ["10:00"], series)
    root = _read(drawn)
    assert root.findtext("desc") == "In all: Delivered 2500000."
    texts = [text.text for text in root.iter("text")]
    assert texts[:5] == ["0", "1M", "2M", "3M", "4M"]
    small = chart.stacked("Deliveries", ["10:00"], [Series(label="x", tone="bad", values=[50_000])])
    assert [text.text for text in _read(small).iter("text")][4] == "60k"


@pytest.mark.parametrize("highest", [*range(1, 30), 47, 99, 101])
def test_the_axis_counts_in_whole_numbers(highest: int) -> None:
    """There is no half of a delivery."""
    series = [Series(label="Delivered", tone="good", values=[highest])]
    texts = [text.text for text in _read(chart.stacked("x", ["10:00"], series)).iter("text")]
    assert all((text or "").isdecimal() for text in texts[:5])
    assert int(texts[4] or "") >= highest


def test_bars_stand_upon_each_other() -> None:
    """A bar hidden behind another would lie about the sum."""
    series = [Series(label=tone, tone=tone, values=[2.0]) for tone in ("good", "wait", "bad")]
    root = _read(chart.stacked("Stack", ["now"], series))
    edges = [
        (float(rect.get("y") or ""), float(rect.get("height") or "")) for rect in root.iter("rect")
    ]
    assert len(edges) == 3
    for (y, _height), (next_y, next_height) in pairwise(edges):
        assert next_y + next_height == pytest.approx(y, abs=0.2)


def test_the_menu_shows_what_is_there_and_allowed() -> None:
    """An entry that leads to a refusal is worse than none."""
    served = {"/settings/webhooks": Scope.ENDPOINTS_READ, "/settings/keys": Scope.KEYS_READ}
    reader = Caller(actor="user", scopes=frozenset({Scope.ENDPOINTS_READ}))
    assert labels_of(visible(reader, served, Mode.SANDBOX)) == ["Webhooks"]
    every = {entry.path: None for group in MENU for entry in group.entries}
    assert visible(SYSTEM, every, Mode.SANDBOX) == MENU
    assert visible(reader, {}, Mode.SANDBOX) == ()
    live = labels_of(visible(SYSTEM, every, Mode.LIVE))
    assert set(labels_of(MENU)) - set(live) == {"Sandbox"}


def labels_of(menu: Sequence[Group]) -> list[str]:
    return [entry.label for group in menu for entry in group.entries]


def test_webhooks_stand_in_the_dropdown_of_settings() -> None:
    """Where the merchant's own console has them."""
    [settings] = [group for group in MENU if group.label == "Settings"]
    assert settings.entries[0].label == "Webhooks"

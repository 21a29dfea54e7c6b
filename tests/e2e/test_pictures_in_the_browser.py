"""The catalogue's pictures as a browser draws them, beside what the layout takes them for."""

from typing import Any

import pytest
from tests.support.chromium import browser

from payhooks.catalogue import CATALOGUE, drawing
from payhooks.catalogue.drawing import Text
from payhooks.catalogue.flow_picture import flow_chart_picture
from payhooks.catalogue.pictures import life_cycle_picture

pytestmark = pytest.mark.shows("E10")

_BOXES = """[...document.querySelectorAll("text")].map(text => {
  const box = text.getBBox();
  return [box.x, box.y, box.x + box.width, box.y + box.height];
})"""


def test_no_label_is_larger_than_the_layout_takes_it_for() -> None:
    """The layout keeps labels apart by a table of widths; a table that is too small is no good."""
    pictures = [life_cycle_picture(kind) for kind in CATALOGUE.kinds.values()]
    charts = [family.flow_chart for family in CATALOGUE.families.values()]
    pictures += [flow_chart_picture(chart) for chart in charts if chart]
    expected = [one for picture in pictures for one in picture.elements if isinstance(one, Text)]
    with browser() as chromium:
        page = chromium.new_page()
        page.set_content("".join(drawing.file(picture) for picture in pictures))
        found: list[Any] = page.evaluate(_BOXES)
        page.close()
    assert len(found) == len(expected) > 100
    for (left, top, right, bottom), text in zip(found, expected, strict=True):
        frame = text.frame
        assert left >= frame.left - 2, text
        assert right <= frame.right, text
        # The browser's box is as high as a line, what is printed is not.
        assert top >= frame.top - 2, text
        assert bottom <= frame.bottom + 2, text

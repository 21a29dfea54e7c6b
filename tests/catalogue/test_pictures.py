"""The pictures of the catalogue: whole, legible, and the same wherever they are drawn.

A label that lies on another, or an arrow through a name, teaches a wrong life cycle.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Final
from xml.parsers.expat import ParserCreate

import pytest
from tests.support.source_tree import PACKAGE

from payhooks.catalogue import CATALOGUE
from payhooks.catalogue.drawing import COLOURS, Box, Dot, Frame, Line, Picture, Text, Tip
from payhooks.catalogue.flow_picture import flow_chart_picture
from payhooks.catalogue.life_cycle import LifeCycle, ObjectKind, Transition
from payhooks.catalogue.pictures import (
    condition_words,
    flow_chart_svg,
    life_cycle_picture,
    life_cycle_svg,
)

pytestmark = pytest.mark.shows("E10")

_KINDS: Final = {f"{kind.family}/{kind.name}": kind for kind in CATALOGUE.kinds.values()}
_CHARTS: Final = {
    name: family.flow_chart for name, family in CATALOGUE.families.items() if family.flow_chart
}
_PICTURES: Final = {
    **{name: life_cycle_picture(kind) for name, kind in _KINDS.items()},
    **{f"{name}/flow_chart": flow_chart_picture(chart) for name, chart in _CHARTS.items()},
}


def _texts(picture: Picture) -> list[Text]:
    return [one for one in picture.elements if isinstance(one, Text)]


def _drawn(picture: Picture) -> Iterator[Frame]:
    """Yield what every line, dot and arrow takes up."""
    for one in picture.elements:
        if isinstance(one, Line):
            yield from one.frames()
        elif isinstance(one, Dot | Tip):
            yield one.frame


def _meet(one: Frame, other: Frame) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def _is_within(one: Frame, other: Frame) -> bool:
    return (
        other.left <= one.left
        and other.top <= one.top
        and one.right <= other.right
        and one.bottom <= other.bottom
    )


@pytest.mark.parametrize("name", _PICTURES)
def test_no_label_lies_on_another_or_on_a_line(name: str) -> None:
    """Measured with wide letters: what is apart here is apart in any font."""
    picture = _PICTURES[name]
    texts = _texts(picture)
    assert texts
    for one, other in combinations(texts, 2):
        assert not _meet(one.frame, other.frame), (one, other)
    for text in texts:
        assert [frame for frame in _drawn(picture) if _meet(text.frame, frame)] == [], text


@pytest.mark.parametrize("name", _PICTURES)
def test_every_label_is_in_its_box_and_every_box_in_the_picture(name: str) -> None:
    """A name that runs over the edge of its box looks broken, and one that is cut off is."""
    picture = _PICTURES[name]
    whole = Frame(0, 0, picture.width, picture.height)
    boxes = [one.frame for one in picture.elements if isinstance(one, Box)]
    assert [one for one in boxes if not _is_within(one, whole)] == []
    assert [one for one in _drawn(picture) if not _is_within(one, whole)] == []
    for text in _texts(picture):
        assert _is_within(text.frame, whole), text
        for box in boxes:
            assert _is_within(text.frame, box) or not _meet(text.frame, box), text


@pytest.mark.parametrize("name", _KINDS)
def test_every_state_and_every_move_is_drawn(name: str) -> None:
    """What is not in the picture does not happen, to whoever looks at it."""
    kind = _KINDS[name]
    cycle = kind.life_cycle
    told = [text.text for text in _texts(_PICTURES[name])]
    assert set(cycle.states) <= set(told)
    assert told.count("final") == len(cycle.final)
    for event in {one.event for one in cycle.transitions}:
        assert told.count(event) >= sum(one.event == event for one in cycle.transitions)
        assert event in _PICTURES[name].words


@pytest.mark.parametrize("name", _KINDS)
def test_a_picture_of_a_life_is_xml_and_the_same_every_time(name: str) -> None:
    """A browser shows nothing of a file that is not well-formed."""
    text = life_cycle_svg(_KINDS[name])
    ParserCreate().Parse(text, True)  # noqa: FBT003 - expat has no name for it
    assert text == life_cycle_svg(_KINDS[name])
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize("name", _KINDS)
def test_in_the_console_a_picture_styles_nothing_by_itself(name: str) -> None:
    """The console's policy forbids inline styles; two pictures on a page must not share ids."""
    text = life_cycle_svg(_KINDS[name], inline=True)
    ParserCreate().Parse(text, True)  # noqa: FBT003 - expat has no name for it
    for word in ("<style", "style=", " id=", " class=", "url("):
        assert word not in text
    assert text.startswith('<svg role="img" ')
    assert "<title>" in text
    assert "<desc>" in text


def test_the_colours_are_those_of_the_console() -> None:
    """A picture with colours of its own looks as if it had come from elsewhere."""
    styles = (PACKAGE / "console" / "static" / "console.css").read_text(encoding="utf-8")
    for name, (light, dark) in COLOURS.items():
        assert f"--{name}: light-dark({light}, {dark});" in styles


def test_what_leaves_a_final_state_is_drawn_apart() -> None:
    """Money that was there and is gone again is the move that nobody expects."""
    elements = _PICTURES["merchant-console/ach"].elements
    [heading] = [
        one
        for one in elements
        if isinstance(one, Text) and one.text == "Corrections: a final state is left"
    ]
    [corrected] = [one for one in elements if isinstance(one, Line) and one.role == "correction"]
    assert corrected.points[0][1] > heading.middle
    assert "settled to returned, a correction" in _PICTURES["merchant-console/ach"].words


def test_names_are_escaped() -> None:
    """An operator's words are text and not part of the page."""
    move = Transition(event="<b>", sources=("start",), to="a&b", when={"/x/0/y~1z": ("1", True)})
    cycle = LifeCycle(states={"a&b": ""}, transitions=(move,))
    kind = ObjectKind(object="o", title='"<script>"', words="", types=(), life_cycle=cycle)
    for text in (life_cycle_svg(kind), life_cycle_svg(kind, inline=True)):
        ParserCreate().Parse(text, True)  # noqa: FBT003 - expat has no name for it
        assert "&lt;script&gt;" in text
        assert "<b>" not in text
    assert condition_words(move.when) == "y/z = 1 or true"


@pytest.mark.parametrize("family", _CHARTS)
def test_a_flow_chart_tells_what_the_life_cycles_tell(family: str) -> None:
    """Two drawings of one thing must not contradict each other."""
    chart = _CHARTS[family]
    assert chart is not None
    for box in chart.boxes:
        kind = CATALOGUE.kinds[family, box.object]
        assert (box.event, box.state) in set(kind.moves()), box
    known = {box.id for box in chart.boxes}
    assert len(known) == len(chart.boxes)
    assert {end for arrow in chart.arrows for end in (arrow.source, arrow.to)} <= known
    told = [text.text for text in _texts(_PICTURES[f"{family}/flow_chart"])]
    assert [arrow.words for arrow in chart.arrows if arrow.words not in told] == []
    for text in (flow_chart_svg(chart), flow_chart_svg(chart, inline=True)):
        ParserCreate().Parse(text, True)  # noqa: FBT003 - expat has no name for it

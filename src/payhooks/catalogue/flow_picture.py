"""A family's flow chart as a picture: a lane for each object, a box for each event.

What leads to a box comes in at its right side, each arrow at a height of its own with its words
beside the box; farther right, lines down join these to the boxes that they come from. Words and
lines down have a strip each, so neither can come to lie on the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from payhooks.catalogue.drawing import Box, Dot, Element, Frame, Line, Picture, Text, Tip, width_of
from payhooks.catalogue.flow_chart import FlowBox, FlowChart

_AROUND: Final = 18  # between the drawing and its edge
_INSIDE: Final = 14  # between a lane's edge and what is in it
_LANE_HEAD: Final = 30
_LANES_APART: Final = 10
_BOXES_APART: Final = 12
_BOX_MIN: Final = 48
_PORT: Final = 24  # from one arrow's height to the next
_PADDING: Final = 12  # within a box
_BETWEEN: Final = 8  # a state and what it is
_TIP: Final = 9
_TO_WORDS: Final = 26
_TRACK: Final = 16  # from one line down to the next
_CURVE: Final = 7
_JOINT: Final = 3


@dataclass(slots=True)
class _Sheet:
    """What is drawn so far, and at which heights arrows come and go."""

    box_right: float
    words_right: float
    elements: list[Element] = field(default_factory=list)
    leaves: dict[str, float] = field(default_factory=dict)  # by the id of the box
    enters: dict[tuple[str, str], float] = field(default_factory=dict)  # by those of both boxes
    words_end: dict[tuple[str, str], float] = field(default_factory=dict)


def flow_chart_picture(chart: FlowChart) -> Picture:
    """Return what is drawn for *chart*."""
    left = _AROUND + _INSIDE
    box_width = max(_width(box) for box in chart.boxes) + 2 * _PADDING
    words_width = max(width_of(arrow.words, "said") for arrow in chart.arrows)
    box_right = left + box_width
    sheet = _Sheet(box_right, box_right + _TO_WORDS + words_width + _INSIDE)
    y = float(_AROUND)
    lanes: list[tuple[float, float]] = []
    for name, boxes in chart.lanes():
        top = y
        title = Text(left=left, middle=y + _LANE_HEAD / 2 + 2, text=name, role="heading")
        sheet.elements.append(title)
        y += _LANE_HEAD
        for box in boxes:
            y = _box(sheet, chart, box, left, y) + _BOXES_APART
        y += _INSIDE - _BOXES_APART
        lanes.append((top, y))
        y += _LANES_APART
    tracks = _tracks(sheet)
    for source, track in tracks.items():
        _lines(sheet, source, sheet.words_right + (track + 1) * _TRACK)
    right = sheet.words_right + (max(tracks.values(), default=0) + 1) * _TRACK + _INSIDE
    bands = [
        Box(frame=Frame(_AROUND, top, sheet.words_right, bottom), role="band", radius=8)
        for top, bottom in lanes
    ]
    return Picture(
        title=chart.title,
        words=_told(chart),
        width=round(right + _AROUND - _INSIDE + 2),
        height=round(y - _LANES_APART + _AROUND),
        elements=[*bands, *sheet.elements],
    )


def _width(box: FlowBox) -> float:
    below = width_of(box.state, "when") + _BETWEEN + width_of(box.words, "said")
    return max(width_of(box.event, "name"), below)


def _box(sheet: _Sheet, chart: FlowChart, box: FlowBox, left: float, top: float) -> float:
    """Draw a box with the words of what leads to it, and return where it ends."""
    arrows = chart.into(box)
    goes_on = any(arrow.source == box.id for arrow in chart.arrows)
    ports = len(arrows) + goes_on
    height = max(_BOX_MIN, ports * _PORT)
    frame = Frame(left, top, sheet.box_right, top + height)
    middle = top + height / 2
    state = Text(left=left + _PADDING, middle=middle + 9, text=box.state, role="when")
    sheet.elements += [
        Box(frame=frame, role="state", radius=8),
        Text(left=left + _PADDING, middle=middle - 9, text=box.event, role="name"),
        state,
        Text(left=state.frame.right + _BETWEEN, middle=middle + 9, text=box.words, role="said"),
    ]
    port = middle - (ports - 1) * _PORT / 2
    for arrow in arrows:
        words = Text(left=frame.right + _TO_WORDS, middle=port, text=arrow.words, role="said")
        sheet.elements += [
            Tip(x=frame.right + 1, y=port, length=-_TIP, role="tip"),
            Line(points=((frame.right + _TIP, port), (words.left - 5, port)), role="move"),
            words,
        ]
        sheet.enters[arrow.source, box.id] = port
        sheet.words_end[arrow.source, box.id] = words.frame.right + 2
        port += _PORT
    if goes_on:
        sheet.leaves[box.id] = port
    return frame.bottom


def _tracks(sheet: _Sheet) -> Mapping[str, int]:
    """Return for each box that leads on which line down is its own: the short ones are inside."""
    spans = {source: _span(sheet, source) for source in sheet.leaves}
    tracks: dict[str, int] = {}
    for source, (top, bottom) in sorted(spans.items(), key=lambda one: one[1][1] - one[1][0]):
        taken = {
            tracks[other]
            for other, (its_top, its_bottom) in spans.items()
            if other in tracks and its_top <= bottom and top <= its_bottom
        }
        tracks[source] = next(track for track in range(len(spans)) if track not in taken)
    return tracks


def _span(sheet: _Sheet, source: str) -> tuple[float, float]:
    heights = [sheet.leaves[source], *_heights(sheet, source)]
    return min(heights), max(heights)


def _heights(sheet: _Sheet, source: str) -> Sequence[float]:
    return [y for (comes_from, _), y in sheet.enters.items() if comes_from == source]


def _lines(sheet: _Sheet, source: str, x: float) -> None:
    """Draw the line from a box to the words of each arrow that leaves it."""
    leaves, (top, bottom) = sheet.leaves[source], _span(sheet, source)
    sheet.elements.append(Dot(x=sheet.box_right, y=leaves, radius=_JOINT + 0.5, role="tip"))
    ends = {leaves: sheet.box_right}
    for (comes_from, to), y in sheet.enters.items():
        if comes_from == source:
            ends[y] = sheet.words_end[comes_from, to]
    sheet.elements.append(
        Line(
            points=((ends[top], top), (x, top), (x, bottom), (ends[bottom], bottom)),
            role="move",
            curve=_CURVE,
        )
    )
    for y, end in ends.items():
        if top < y < bottom:
            sheet.elements += [
                Line(points=((end, y), (x, y)), role="move"),
                Dot(x=x, y=y, radius=_JOINT, role="tip"),
            ]


def _told(chart: FlowChart) -> str:
    named = {box.id: box for box in chart.boxes}
    arrows = [
        f"{named[arrow.source].event} ({named[arrow.source].words}) may be followed by "
        f"{named[arrow.to].event} ({named[arrow.to].words}): {arrow.words}."
        for arrow in chart.arrows
    ]
    return " ".join([chart.words, *arrows])

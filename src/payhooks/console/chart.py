"""Charts as SVG text: sizes are attributes and colours classes, so that no style is inline.

Each says in words what it shows, and the page puts the numbers in a table beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

_WIDTH: Final = 1_000
_HEIGHT: Final = 200
_LEFT: Final = 44
_BOTTOM: Final = 24
_TOP: Final = 8
_LINES: Final = 4
_LABELS_MAX: Final = 8
_SPARK_WIDTH: Final = 96
_SPARK_HEIGHT: Final = 20
_BAR_HEIGHT: Final = 24
# A million is 1000000 to who reads it aloud, not 1e+06.
_WHOLE: Final = ".12g"
_MILLION: Final = 1_000_000
_TEN_THOUSAND: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One kind of thing that is counted: its word, its class of colour, its values."""

    label: str
    tone: str  # a class of console.css: good, wait, bad, plain
    values: Sequence[float]


def stacked(title: str, labels: Sequence[str], series: Sequence[Series]) -> Markup:
    """Return bars, one per label, of all series upon each other."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    top = _nice(max(totals, default=0))
    step = (_WIDTH - _LEFT) / max(1, len(labels))
    parts = _axes(top, labels, step)
    for place, label in enumerate(labels):
        left, level = _LEFT + place * step, 0.0
        words = ", ".join(f"{one.label} {one.values[place]:{_WHOLE}}" for one in series)
        bars = []
        for one in series:
            value = one.values[place]
            if value > 0:
                high, low = _y(level + value, top), _y(level, top)
                bars.append(_rect(left, high, max(0.5, step * 0.86), low - high, one.tone))
                level += value
        if bars:
            parts.append(f"<g><title>{escape(label)}: {escape(words)}</title>{''.join(bars)}</g>")
    description = ", ".join(f"{one.label} {sum(one.values):{_WHOLE}}" for one in series)
    return _svg("chart", title, f"In all: {description}.", size=(_WIDTH, _HEIGHT), parts=parts)


def sparkline(title: str, values: Sequence[float]) -> Markup:
    """Return small bars for a row of a table; flat where nothing happened."""
    top = max(values, default=0)
    step = _SPARK_WIDTH / max(1, len(values))
    idle: list[str] = []
    busy: list[str] = []
    for place, value in enumerate(values):
        # One stroke for each bar: as rectangles, those of fifty rows would weigh 75 KB.
        height = 1.0 if top <= 0 else max(1.0, value / top * _SPARK_HEIGHT)
        stroke = f"M{(place + 0.35) * step:.1f} {_SPARK_HEIGHT}V{_SPARK_HEIGHT - height:.0f}"
        (busy if value > 0 else idle).append(stroke)
    parts = [
        f'<path class="{tone}" stroke-width="{step * 0.7:.1f}" d="{"".join(strokes)}"/>'
        for tone, strokes in (("none", idle), ("plain", busy))
        if strokes
    ]
    description = f"{sum(values):{_WHOLE}} in all, at most {top:{_WHOLE}} at a time."
    return _svg("spark", title, description, size=(_SPARK_WIDTH, _SPARK_HEIGHT), parts=parts)


def phases(title: str, parts: Sequence[tuple[str, float, str]]) -> Markup:
    """Return one bar of what follows upon each other: (word, seconds, tone)."""
    whole = sum(seconds for _word, seconds, _tone in parts)
    left, drawn = 0.0, []
    for word, seconds, tone in parts:
        width = seconds / whole * _WIDTH if whole > 0 else 0.0
        if width > 0:
            label = f"<title>{escape(word)}: {seconds * 1_000:.1f} ms</title>"
            rect = _rect(left, 0, max(1.0, width - 1), _BAR_HEIGHT, tone)
            drawn.append(f"<g>{label}{rect}</g>")
        left += width
    words = ", ".join(f"{word} {seconds * 1_000:.1f} ms" for word, seconds, _tone in parts)
    return _svg("chart", title, words, size=(_WIDTH, _BAR_HEIGHT), parts=drawn)


def _axes(top: float, labels: Sequence[str], step: float) -> list[str]:
    parts = []
    for number in range(_LINES + 1):
        value = top * number / _LINES
        y = _y(value, top)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        )
    every = max(1, -(-len(labels) // _LABELS_MAX))
    for place in range(0, len(labels), every):
        x = _LEFT + place * step
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 6}">{escape(labels[place])}</text>')
    return parts


def _nice(highest: float) -> float:
    """Return the end of the axis: above the highest value, and its quarters are whole and round."""
    if highest <= _LINES:
        return _LINES
    size = 1.0
    while size * 10 < highest:
        size *= 10
    steps = [size * step for step in (1, 2, 4, 6, 8, 10, 12)]
    return next(end for end in steps if end >= highest and end % _LINES == 0)


def _short(value: float) -> str:
    """Return a number for the axis, where there is room for four signs."""
    if value >= _MILLION:
        return f"{value / _MILLION:g}M"
    if value >= _TEN_THOUSAND:
        return f"{value / 1_000:g}k"
    return f"{value:g}"


def _y(value: float, top: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - value / top)


def _rect(x: float, y: float, width: float, height: float, tone: str) -> str:
    return (
        f'<rect class="{tone}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def _svg(
    kind: str, title: str, description: str, *, size: tuple[int, int], parts: Sequence[str]
) -> Markup:
    box = f"0 0 {size[0]} {size[1]}"
    head = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    inside = head + "".join(parts)
    # Every text in it was escaped where it was put together.
    svg = f'<svg class="{kind}" role="img" viewBox="{box}">{inside}</svg>'
    return Markup(svg)  # noqa: S704 - escaped above # nosec B704

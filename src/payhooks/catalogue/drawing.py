"""Pictures as SVG text: what is drawn has a role, and each role its look.

A file for the docs carries the colours of both schemes. Inline in the console there may be neither
style elements nor attributes, so there the same looks are presentation attributes, and the colours
the console's own. Text is measured by characters that are wider than those of any usual font, so
that nothing runs into anything, whoever reads it.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from html import escape
from typing import Final, Literal, NamedTuple, TypeAlias

# As in console.css: of light, of dark.
COLOURS: Final[Mapping[str, tuple[str, str]]] = {
    "back": ("#f6f7f9", "#0f1216"),
    "card": ("#ffffff", "#171a21"),
    "soft": ("#ebeef3", "#242a35"),
    "line": ("#dde2ea", "#2b313d"),
    "edge": ("#808a9d", "#6b7688"),
    "text": ("#131a26", "#e9edf4"),
    "quiet": ("#525d70", "#a0aabb"),
    "accent": ("#3949d0", "#93a2ff"),
    "wait": ("#7d4f00", "#f0b54a"),
}
_MONO: Final = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'
_SANS: Final = 'system-ui, "DejaVu Sans", sans-serif'

Role: TypeAlias = Literal[
    "card", "band", "life", "state", "final", "start", "rule", "name", "event", "when", "said",
    "heading", "move", "tip", "again", "correction", "correction-tip", "correction-again", "stay",
]  # fmt: skip
# A look: what is a colour's name becomes that colour.
_LOOKS: Final[Mapping[Role, Mapping[str, str]]] = {
    "card": {"fill": "card", "stroke": "line"},
    "band": {"fill": "back", "stroke": "line"},
    "life": {"fill": "none", "stroke": "edge", "stroke-opacity": ".55"},
    "state": {"fill": "card", "stroke": "edge"},
    "final": {"fill": "soft", "stroke": "edge"},
    "start": {"fill": "quiet"},
    "rule": {"fill": "none", "stroke": "line"},
    "name": {"fill": "text", "font-family": _MONO, "font-size": "12px", "font-weight": "600"},
    "event": {"fill": "text", "font-family": _MONO, "font-size": "12px"},
    "when": {"fill": "quiet", "font-family": _MONO, "font-size": "11px"},
    "said": {"fill": "quiet", "font-family": _SANS, "font-size": "12px"},
    "heading": {"fill": "quiet", "font-family": _SANS, "font-size": "12px", "font-weight": "600"},
    "move": {"fill": "none", "stroke": "accent", "stroke-width": "1.75"},
    "tip": {"fill": "accent"},
    "again": {"fill": "none", "stroke": "accent", "stroke-width": "1.25"},
    "correction": {
        "fill": "none",
        "stroke": "wait",
        "stroke-width": "1.75",
        "stroke-dasharray": "4 3",
    },
    "correction-tip": {"fill": "wait"},
    "correction-again": {"fill": "none", "stroke": "wait", "stroke-width": "1.25"},
    "stay": {"fill": "card", "stroke": "quiet", "stroke-width": "1.75"},
}
# In parts of the size: DejaVu's and Verdana's, the widest of the usual fonts, whichever is wider.
_MONO_WIDTH: Final = 0.62
_WIDTHS: Final[Mapping[str, float]] = {
    character: width
    for characters, width in (
        ("ijl'|", 0.35),
        (" .,ft", 0.4),
        ("r()[]I/:;!-", 0.46),
        ("sczJ", 0.55),
        ("kvxyL_", 0.6),
        ("abdeghnopqu0123456789", 0.64),
    )
    for character in characters
}
_CAPITAL_WIDTH: Final = 0.8
_WIDEST: Final = 1.0
_BOLD: Final = 1.12
_ASCENT: Final = 0.95
_HEIGHT: Final = 1.2


class Frame(NamedTuple):
    """A rectangle that something takes up."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of text, from its left end on; *middle* is the height of its small letters' middle."""

    left: float
    middle: float
    text: str
    role: Role

    @property
    def frame(self) -> Frame:
        """What it takes up at most."""
        size = size_of(self.role)
        top = self.middle + size * (0.35 - _ASCENT)
        return Frame(
            self.left, top, self.left + width_of(self.text, self.role), top + size * _HEIGHT
        )

    def element(self, look: str) -> str:
        """Return it as SVG."""
        y = self.middle + size_of(self.role) * 0.35
        return f'<text{look} x="{self.left:g}" y="{y:g}">{escape(self.text)}</text>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Straight lines from point to point, along the page or down it."""

    points: tuple[tuple[float, float], ...]
    role: Role
    curve: float = 0  # how far from a corner the line leaves it

    def frames(self) -> Iterator[Frame]:
        """Yield what each of the straight lines takes up."""
        for (x, y), (to_x, to_y) in zip(self.points, self.points[1:], strict=False):
            yield Frame(min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))

    def element(self, look: str) -> str:
        """Return it as SVG."""
        x, y = self.points[0]
        path = [f"M{x:g} {y:g}"]
        for place, (x, y) in enumerate(self.points[1:], start=1):
            if self.curve and place + 1 < len(self.points):
                here = _towards((x, y), self.points[place - 1], self.curve)
                there = _towards((x, y), self.points[place + 1], self.curve)
                path.append(f"L{here[0]:g} {here[1]:g}Q{x:g} {y:g} {there[0]:g} {there[1]:g}")
            else:
                path.append(f"L{x:g} {y:g}")
        return f'<path{look} d="{"".join(path)}"/>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rounded rectangle."""

    frame: Frame
    role: Role
    radius: float

    def element(self, look: str) -> str:
        """Return it as SVG."""
        left, top, right, bottom = self.frame
        return (
            f'<rect{look} x="{left:g}" y="{top:g}" width="{right - left:g}" '
            f'height="{bottom - top:g}" rx="{self.radius:g}"/>'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A circle."""

    x: float
    y: float
    radius: float
    role: Role

    @property
    def frame(self) -> Frame:
        """What it takes up."""
        around = self.radius
        return Frame(self.x - around, self.y - around, self.x + around, self.y + around)

    def element(self, look: str) -> str:
        """Return it as SVG."""
        return f'<circle{look} cx="{self.x:g}" cy="{self.y:g}" r="{self.radius:g}"/>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The point of an arrow along the page: to the right, or with a negative length to the left."""

    x: float
    y: float
    length: float
    role: Role

    @property
    def frame(self) -> Frame:
        """What it takes up."""
        back = self.x - self.length
        half = abs(self.length) * 0.55
        return Frame(min(self.x, back), self.y - half, max(self.x, back), self.y + half)

    def element(self, look: str) -> str:
        """Return it as SVG."""
        _, top, _, bottom = self.frame
        back = self.x - self.length
        return f'<path{look} d="M{self.x:g} {self.y:g}L{back:g} {top:g}V{bottom:g}Z"/>'


Element: TypeAlias = Text | Line | Box | Dot | Tip


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn, in its order, and what it says to whoever does not see it."""

    title: str
    words: str
    width: int
    height: int
    elements: Sequence[Element]


def inline(picture: Picture) -> str:
    """Return it for a page that has the colours as its own, under the same names."""
    looks = {role: _attributes(look) for role, look in _LOOKS.items()}
    parts = [one.element(looks[one.role]) for one in picture.elements]
    return _svg(picture, "", [_told(picture), *parts])


def file(picture: Picture) -> str:
    """Return it for a file of its own, on a ground of its own, one element a line."""
    used = {"card", *(one.role for one in picture.elements)}
    ground = Box(
        frame=Frame(0.5, 0.5, picture.width - 0.5, picture.height - 0.5), role="card", radius=10
    )
    parts = [_told(picture), _style(used)]
    parts += [one.element(f' class="{one.role}"') for one in (ground, *picture.elements)]
    return _svg(picture, ' xmlns="http://www.w3.org/2000/svg"', parts, apart="\n") + "\n"


def width_of(text: str, role: Role) -> float:
    """Return how wide *text* is at most, in that role."""
    look = _LOOKS[role]
    if look["font-family"] == _MONO:
        return len(text) * size_of(role) * _MONO_WIDTH
    width = sum(map(_character, text)) * size_of(role)
    return width * _BOLD if "font-weight" in look else width


def size_of(role: Role) -> int:
    """Return how large the letters of that role are."""
    return int(_LOOKS[role]["font-size"].removesuffix("px"))


def lines_of(text: str, role: Role, width: float) -> list[str]:
    """Return *text* in lines that are no wider than *width*, unless one word alone is."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, role) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _character(character: str) -> float:
    # M and W are the widest of all.
    capital = "A" <= character <= "Z" and character not in "MW"
    return _WIDTHS.get(character, _CAPITAL_WIDTH if capital else _WIDEST)


def _towards(
    point: tuple[float, float], other: tuple[float, float], step: float
) -> Sequence[float]:
    """Return what is *step* away from *point* on the straight way to *other*."""
    moved = []
    for here, there in zip(point, other, strict=True):
        moved.append(here + max(-step, min(step, there - here)))
    return moved


def _attributes(look: Mapping[str, str]) -> str:
    said = {name: f"var(--{value})" if value in COLOURS else value for name, value in look.items()}
    if said.get("font-family") == _MONO:
        said["font-family"] = "var(--mono)"
    elif "font-family" in said:
        del said["font-family"]  # as the page's
    return "".join(f' {name}="{escape(value)}"' for name, value in said.items())


def _style(used: AbstractSet[Role]) -> str:
    looks = {role: look for role, look in _LOOKS.items() if role in used}
    rules = [
        f".{role}{{{';'.join(f'{name}:{_coloured(value, 0)}' for name, value in look.items())}}}"
        for role, look in looks.items()
    ]
    dark = [
        f".{role}{{{';'.join(f'{name}:{_coloured(value, 1)}' for name, value in coloured)}}}"
        for role, look in looks.items()
        if (coloured := [one for one in look.items() if one[1] in COLOURS])
    ]
    scheme = f"@media (prefers-color-scheme:dark){{{''.join(dark)}}}"
    return "<style>\n" + "\n".join([*rules, scheme]) + "\n</style>"


def _coloured(value: str, scheme: int) -> str:
    return COLOURS[value][scheme] if value in COLOURS else value


def _told(picture: Picture) -> str:
    return f"<title>{escape(picture.title)}</title><desc>{escape(picture.words)}</desc>"


def _svg(picture: Picture, namespace: str, parts: Sequence[str], apart: str = "") -> str:
    size = f'width="{picture.width}" height="{picture.height}"'
    box = f'viewBox="0 0 {picture.width} {picture.height}"'
    head = f'<svg{namespace} role="img" {size} {box}>'
    return apart.join([head, *parts, "</svg>"])

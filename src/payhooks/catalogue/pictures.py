"""The life cycle of a kind of object as a picture: a line down for each state, a row for each move.

The lines begin one after another in the order of a good life. A move is drawn below the last of
the states that it touches, so that to its right nothing is drawn yet but its name: labels cannot
come to lie on anything, however many moves there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from payhooks.catalogue import drawing
from payhooks.catalogue.drawing import Box, Dot, Element, Frame, Line, Picture, Role, Text, Tip
from payhooks.catalogue.flow_chart import FlowChart
from payhooks.catalogue.flow_picture import flow_chart_picture
from payhooks.catalogue.life_cycle import START, LifeCycle, ObjectKind, Scalar, Transition, steps_of

_AROUND: Final = 18  # between the drawing and its edge
_APART: Final = 28  # from one state's line to the next
_STATE_ROW: Final = 34
_MOVE_ROW: Final = 26
_FURTHER_LINE: Final = 16
_SECTION: Final = 38
_TO_LABEL: Final = 22
_LABEL_MAX: Final = 400  # what is wider goes on in the next line
_BETWEEN: Final = 10  # the name of an event and what is said of it
_DOT: Final = 3.5
_TARGET: Final = 5
_RING: Final = 9
_TIP: Final = 9
_PILL: Final = 11  # half of its height
_CORRECTIONS: Final = "Corrections: a final state is left"
_STAYS: Final = "It stays where it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One move: an event, from where, where to."""

    move: Transition
    sources: tuple[str, ...]
    corrects: bool = False
    words: str = ""


@dataclass(slots=True)
class _Sheet:
    """What is drawn so far, from top to bottom."""

    columns: Mapping[str, float]
    elements: list[Element] = field(default_factory=list)
    bottom: float = _AROUND
    ends: dict[float, float] = field(default_factory=dict)  # of a state's line: its last move

    @property
    def right(self) -> float:
        """Where the last of the states' lines is."""
        return max(self.columns.values())


def life_cycle_svg(kind: ObjectKind, *, inline: bool = False) -> str:
    """Return the picture: a whole file with its colours, or *inline* for a page of the console."""
    picture = life_cycle_picture(kind)
    return drawing.inline(picture) if inline else drawing.file(picture)


def flow_chart_svg(chart: FlowChart, *, inline: bool = False) -> str:
    """Return the picture of a family's flow chart: a whole file, or *inline* for the console."""
    picture = flow_chart_picture(chart)
    return drawing.inline(picture) if inline else drawing.file(picture)


def life_cycle_picture(kind: ObjectKind) -> Picture:
    """Return what is drawn for *kind*."""
    rows = list(_rows(kind.life_cycle))
    states = [*kind.life_cycle.states]
    if any(START in row.sources for row in rows):
        states.insert(0, START)
    sheet = _Sheet({name: _AROUND + _PILL + place * _APART for place, name in enumerate(states)})
    begins = _moves(sheet, states, rows, kind.life_cycle)
    _section(sheet, _CORRECTIONS, [row for row in rows if row.corrects])
    _section(sheet, _STAYS, [row for row in rows if row.move.to is None])
    lives = [
        Line(points=((x, begins[name]), (x, sheet.ends[x])), role="life")
        for name, x in sheet.columns.items()
        if x in sheet.ends
    ]
    texts = [one.frame.right for one in sheet.elements if isinstance(one, Text)]
    return Picture(
        title=f"The life of {kind.title or kind.object}",
        words=" ".join(_told(kind.life_cycle, rows)),
        width=round(max(texts) + _AROUND),
        height=round(sheet.bottom + _AROUND),
        elements=[*lives, *sheet.elements],
    )


def condition_words(when: Mapping[str, Scalar | tuple[Scalar, ...]]) -> str:
    """Return what a row asks of an event's data, as people say it."""
    parts = []
    for pointer, wanted in when.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        said = [
            one if isinstance(one, str) else msgspec.json.encode(one).decode() for one in values
        ]
        parts.append(f"{steps_of(pointer)[-1]} = {_listed(said)}")
    return ", ".join(parts)


def _rows(cycle: LifeCycle) -> Iterator[_Row]:
    """Yield each move; one that also leaves a final state is a correction there, and two rows."""
    for move in cycle.transitions:
        leaving = {
            name
            for name in move.sources
            if name in cycle.final and move.to is not None and name != move.to
        }
        regular = tuple(name for name in move.sources if name not in leaving)
        if regular:
            # What is unusual about a move is that it corrects, where it does.
            words = "" if leaving else move.words
            yield _Row(move=move, sources=regular, words=words)
        if leaving:
            final = tuple(name for name in move.sources if name in leaving)
            yield _Row(move=move, sources=final, corrects=True, words=move.words)


def _moves(
    sheet: _Sheet, states: Sequence[str], rows: Sequence[_Row], cycle: LifeCycle
) -> dict[str, float]:
    """Draw each state and below it the moves between it and those above; return where it begins."""
    begins = {}
    drawn: set[str] = set()
    for name in states:
        begins[name] = _state(sheet, name, final=name in cycle.final)
        drawn.add(name)
        for row in rows:
            touched = {*row.sources, row.move.to}
            if row.move.to is not None and not row.corrects and name in touched <= drawn:
                _move(sheet, row, label=sheet.columns[name] + _TO_LABEL)
        sheet.bottom += 4
    return begins


def _state(sheet: _Sheet, name: str, *, final: bool) -> float:
    x, y = sheet.columns[name], sheet.bottom + _STATE_ROW / 2
    sheet.bottom += _STATE_ROW
    if name == START:
        sheet.elements += [
            Dot(x=x, y=y, radius=_TARGET, role="start"),
            Text(left=x + _PILL + 2, middle=y, text=START, role="said"),
        ]
        return y
    text = Text(left=x + _PILL + 1, middle=y, text=name, role="name")
    frame = Frame(x - _PILL, y - _PILL, text.frame.right + _PILL, y + _PILL)
    role: Role = "final" if final else "state"
    sheet.elements.append(Box(frame=frame, role=role, radius=_PILL))
    if final:
        within = Frame(frame.left + 3, frame.top + 3, frame.right - 3, frame.bottom - 3)
        sheet.elements.append(Box(frame=within, role=role, radius=_PILL - 3))
        sheet.elements.append(
            Text(left=frame.right + _BETWEEN, middle=y, text="final", role="said")
        )
    sheet.elements += [Dot(x=x, y=y, radius=_DOT, role="start"), text]
    return frame.bottom


def _section(sheet: _Sheet, heading: str, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    y = sheet.bottom + _SECTION / 2
    sheet.bottom += _SECTION
    sheet.elements.append(
        Text(left=sheet.right + _TO_LABEL, middle=y, text=heading, role="heading")
    )
    for row in rows:
        if row.move.to is None:
            _stay(sheet, row, label=sheet.right + _TO_LABEL)
        else:
            _move(sheet, row, label=sheet.right + _TO_LABEL)


def _move(sheet: _Sheet, row: _Row, *, label: float) -> None:
    assert row.move.to is not None
    line: Role = "correction" if row.corrects else "move"
    tip: Role = "correction-tip" if row.corrects else "tip"
    again: Role = "correction-again" if row.corrects else "again"
    y, target = sheet.bottom + _MOVE_ROW / 2, sheet.columns[row.move.to]
    sources = sorted(sheet.columns[name] for name in row.sources)
    around = 1 + (_RING if target in sources else _TARGET)
    sheet.ends.update(dict.fromkeys((*sources, target), y))
    for end, length in ((sources[0], _TIP), (sources[-1], -_TIP)):
        if (target - end) * length > 0:
            edge = target - around if length > 0 else target + around
            sheet.elements.append(Line(points=((end, y), (edge - length, y)), role=line))
            sheet.elements.append(Tip(x=edge, y=y, length=length, role=tip))
    sheet.elements += [Dot(x=x, y=y, radius=_DOT, role=tip) for x in sources if x != target]
    sheet.elements.append(Dot(x=target, y=y, radius=_TARGET, role=tip))
    if target in sources:
        sheet.elements.append(Dot(x=target, y=y, radius=_RING, role=again))
    _label(sheet, row, label)


def _stay(sheet: _Sheet, row: _Row, *, label: float) -> None:
    y = sheet.bottom + _MOVE_ROW / 2
    sheet.ends.update(dict.fromkeys((sheet.columns[name] for name in row.sources), y))
    sheet.elements += [
        Dot(x=sheet.columns[name], y=y, radius=_TARGET, role="stay") for name in row.sources
    ]
    _label(sheet, row, label)


def _label(sheet: _Sheet, row: _Row, left: float) -> None:
    """Write the event's name, and in the same or the next lines what is said of the move."""
    y = sheet.bottom + _MOVE_ROW / 2
    name = Text(left=left, middle=y, text=row.move.event, role="event")
    sheet.elements.append(name)
    if row.words:
        beside = name.frame.right + _BETWEEN
        if beside + drawing.width_of(row.words, "said") <= left + _LABEL_MAX:
            sheet.elements.append(Text(left=beside, middle=y, text=row.words, role="said"))
        else:
            y = _below(sheet, y, left, row.words, "said")
    y = _below(sheet, y, left, condition_words(row.move.when), "when")
    sheet.bottom = y + _MOVE_ROW / 2


def _below(sheet: _Sheet, y: float, left: float, words: str, role: Role) -> float:
    for line in drawing.lines_of(words, role, _LABEL_MAX):
        y += _FURTHER_LINE
        sheet.elements.append(Text(left=left, middle=y, text=line, role=role))
    return y


def _told(cycle: LifeCycle, rows: Sequence[_Row]) -> Iterator[str]:
    """Yield a sentence for each move."""
    for row in rows:
        asked = f" with {condition_words(row.move.when)}" if row.move.when else ""
        told = f"{row.move.event}{asked}: from {_listed(row.sources)}"
        if row.move.to is None:
            yield f"{row.move.event}{asked}: {_listed(row.sources)} stays as it is."
        else:
            yield f"{told} to {row.move.to}{', a correction' if row.corrects else ''}."
    if cycle.final:
        yield f"Final: {', '.join(cycle.final)}."


def _listed(words: Sequence[str]) -> str:
    """Return the words as a choice: a, b or c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

"""The dropdown of events: what is selected, and a group for each beginning of what is not.

What is selected stands above the dropdown, where it is seen and let go of without opening it. So
each type has one box: a second one in its group would say the opposite as soon as one is clicked.
"""

from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from payhooks.catalogue import Catalogue
from payhooks.model.event_type import EventType
from payhooks.model.merchant import Merchant

_EVERYTHING: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One box of the picker."""

    value: str  # a type, or a pattern
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Types that begin alike and are not selected."""

    name: str
    pattern: Line | None  # the group, and what will be added to it; none if that is selected
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picker:
    """What is selected, and what else there is to choose from."""

    selected: tuple[Line, ...]
    everything: Line | None
    groups: tuple[Group, ...]
    types: int


def picker(catalogue: Catalogue, merchant: Merchant, chosen: tuple[str, ...]) -> Picker:
    """Return the picker of a merchant: its families' types, and whatever else is chosen."""
    families = merchant.families
    known = {
        type_.name: type_ for type_ in catalogue.types if not families or type_.family in families
    }
    names = sorted(known, key=lambda name: (_beginning(name), name))
    everything = Line(value=_EVERYTHING, words="All events, and future ones")
    groups = [
        _group(beginning, [known[name] for name in of_group])
        for beginning, of_group in groupby(names, _beginning)
    ]
    patterns = [group.pattern for group in groups if group.pattern]
    lines = [everything, *patterns, *(line for group in groups for line in group.lines)]
    words = {line.value: line.words for line in lines}
    unknown = "No type of yours."
    return Picker(
        selected=tuple(
            Line(value=value, words=words.get(value, unknown)) for value in dict.fromkeys(chosen)
        ),
        everything=None if _EVERYTHING in chosen else everything,
        groups=tuple(_without(group, frozenset(chosen)) for group in groups),
        types=len(known),
    )


def _group(beginning: str, types: list[EventType]) -> Group:
    pattern = f"{beginning}*"
    return Group(
        name=pattern,
        pattern=Line(value=pattern, words=f"All {pattern} events, and future ones"),
        lines=tuple(Line(value=one.name, words=one.words or one.note) for one in types),
    )


def _without(group: Group, selected: frozenset[str]) -> Group:
    pattern = group.pattern
    return replace(
        group,
        pattern=None if pattern is None or pattern.value in selected else pattern,
        lines=tuple(line for line in group.lines if line.value not in selected),
    )


def _beginning(name: str) -> str:
    """Return what a type shares with its like: ``cau.``, ``payment_``, or all of its name."""
    first, dot, _rest = name.partition(".")
    if dot:
        return first + dot
    first, line, _rest = name.partition("_")
    return first + line

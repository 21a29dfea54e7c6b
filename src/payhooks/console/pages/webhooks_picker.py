"""The dropdown of events: a group for each beginning, its types, and what else is selected."""

from dataclasses import dataclass
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
    ticked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Types that begin alike."""

    name: str
    pattern: Line | None  # the group, and what will be added to it
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picker:
    """What there is to choose from, and what is chosen."""

    everything: Line
    groups: tuple[Group, ...]
    types: int
    chosen: tuple[str, ...]


def picker(catalogue: Catalogue, merchant: Merchant, chosen: tuple[str, ...]) -> Picker:
    """Return the picker of a merchant: its families' types, and whatever else is chosen."""
    families = merchant.families
    known = {
        type_.name: type_ for type_ in catalogue.types if not families or type_.family in families
    }
    ticked = frozenset(chosen)
    names = sorted(known, key=lambda name: (_beginning(name), name))
    groups = [
        _group(beginning, [known[name] for name in of_group], ticked)
        for beginning, of_group in groupby(names, _beginning)
    ]
    offered = {_EVERYTHING, *known, *(one.pattern.value for one in groups if one.pattern)}
    others = tuple(
        Line(value=value, words="Selected before; no type of yours.", ticked=True)
        for value in chosen
        if value not in offered
    )
    if others:
        groups.insert(0, Group(name="Others", pattern=None, lines=others))
    everything = Line(
        value=_EVERYTHING,
        words="All events, and future ones",
        ticked=_EVERYTHING in ticked,
    )
    return Picker(everything=everything, groups=tuple(groups), types=len(known), chosen=chosen)


def _group(beginning: str, types: list[EventType], ticked: frozenset[str]) -> Group:
    pattern = f"{beginning}*"
    return Group(
        name=pattern,
        pattern=Line(
            value=pattern, words=f"All {pattern} events, and future ones", ticked=pattern in ticked
        ),
        lines=tuple(
            Line(value=one.name, words=one.words, ticked=one.name in ticked) for one in types
        ),
    )


def _beginning(name: str) -> str:
    """Return what a type shares with its like: ``cau.``, ``payment_``, or all of its name."""
    first, dot, _rest = name.partition(".")
    if dot:
        return first + dot
    first, line, _rest = name.partition("_")
    return first + line

"""What can happen to an object of a kind: its states, its moves, and what others call them.

Pure tables, read from the families' files (docs/adr/0014). Who folds an object's events over
them is ``object_state.py`` beside.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeAlias

import msgspec

from payhooks.model.event_type import Provenance

START: Final = "start"  # the object was not heard of before

# A member of an event's data that a row asks for.
Scalar: TypeAlias = str | int | float | bool | None

_WAIT: Final = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


class Transition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row: what an event does to an object that is in one of the states."""

    event: str
    sources: tuple[str, ...] = msgspec.field(name="from")
    to: str | None = None  # none: the object stays where it is
    when: Mapping[str, Scalar | tuple[Scalar, ...]] = {}
    words: str = ""

    def agrees(self, data: object) -> bool:
        """Say whether *data* has all that this row asks for."""
        for pointer, wanted in self.when.items():
            found = at(data, pointer)
            allowed = wanted if isinstance(wanted, tuple) else (wanted,)
            # True is 1 to Python, and not to whoever wrote the event.
            if not any(found == one and type(found) is type(one) for one in allowed):
                return False
        return True


class LifeCycle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The states of an object, in the order of a good life, and what moves it."""

    states: Mapping[str, str]  # name → a sentence for people
    final: tuple[str, ...] = ()
    transitions: tuple[Transition, ...] = ()
    waits: str = ""  # "2d": how long it may be in processing; empty: as long as most

    def __post_init__(self) -> None:
        if self.waits and _WAIT.fullmatch(self.waits) is None:
            raise ValueError(f"waits is a number with m, h or d, not {self.waits!r}")

    @property
    def longest_wait(self) -> timedelta | None:
        """Return after how long in processing an object is late; None where nothing is said."""
        found = _WAIT.fullmatch(self.waits)
        return None if found is None else timedelta(**{_UNITS[found[2]]: int(found[1])})

    def row(self, event: str, data: object, state: str) -> Transition | None:
        """Return what *event* does to an object in *state*.

        Of the rows whose members agree with *data*: the first that leaves from *state*, else
        the first, which then is no regular move. None where the table does not know the event.
        """
        agreeing = [one for one in self.transitions if one.event == event and one.agrees(data)]
        for one in agreeing:
            if state in one.sources:
                return one
        return agreeing[0] if agreeing else None

    def leads_to(self, state: str, target: str) -> bool:
        """Say whether an object in *state* may yet come to be in *target*."""
        seen, ahead = {state}, [state]
        while ahead:
            here = ahead.pop()
            for one in self.transitions:
                if here in one.sources and one.to is not None and one.to not in seen:
                    if one.to == target:
                        return True
                    seen.add(one.to)
                    ahead.append(one.to)
        return False


class Unified(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a state means in the unified events, or why it means nothing there."""

    state: str
    after: str | None = None  # only if this event brought it there
    event: str | None = None
    why: str | None = None


class TypeEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event type, as the object's file says it."""

    name: str
    words: str
    provenance: Provenance
    note: str = ""
    aliases: tuple[str, ...] = ()
    title: str | None = None  # where the source has it under another heading than its object
    metadata: Mapping[str, Any] = {}  # what stands beside data in the sandbox, with placeholders


class ObjectKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of payment object of one family, as its file says it."""

    object: str  # what publishers name in object.type
    title: str
    words: str
    types: tuple[TypeEntry, ...]
    life_cycle: LifeCycle
    family: str = ""  # the folder
    name: str = ""  # the file; two kinds may share an object type
    solution: str = ""
    ids: Mapping[str, str] = {}
    bind: Mapping[str, str] = {}
    unified: tuple[Unified, ...] = ()

    def means(self, state: str, event: str) -> Unified | None:
        """Return what coming to *state* by *event* means in the unified events."""
        rows = [row for row in self.unified if row.state == state and row.after in {None, event}]
        return max(rows, key=lambda row: row.after is not None, default=None)

    def moves(self) -> Iterator[tuple[str, str]]:
        """Yield each (event, state it can bring about)."""
        yield from dict.fromkeys(
            (one.event, one.to) for one in self.life_cycle.transitions if one.to is not None
        )


def at(data: object, pointer: str) -> object:
    """Return what stands at the JSON pointer (RFC 6901), None where nothing does."""
    here = data
    for step in steps_of(pointer):
        if isinstance(here, Mapping):
            here = here.get(step)
        elif isinstance(here, Sequence) and not isinstance(here, str) and step.isdecimal():
            here = here[int(step)] if int(step) < len(here) else None
        else:
            return None
    return here


def steps_of(pointer: str) -> list[str]:
    """Return the members that the JSON pointer goes through."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]

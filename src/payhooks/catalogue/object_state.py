"""An object's state, folded from its events over the life cycles of their kinds. Pure.

Events are applied in their provider's time, in whatever order they were heard, so that the state
does not depend on who was faster. Where a time is missing, or two are equal, they are taken as
they were heard, and the life cycle says which of them came too late.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from payhooks.catalogue.life_cycle import START, LifeCycle, ObjectKind, Transition, Unified
from payhooks.catalogue.registry import Catalogue
from payhooks.model.event import Event

PROCESSING: Final = "payment_processing"
# Most payments are through in minutes; one that takes a day is worth a look.
WAITS_DEFAULT: Final = timedelta(hours=24)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
# How much is folded before others may work: a millisecond or two, and ten where one event is as
# large and as odd as can be.
_STEP_BYTES: Final = 32 * 1024
_STEP_EVENTS: Final = 32
_NULL: Final = msgspec.Raw(b"null")
_TRUE: Final = msgspec.Raw(b"true")


class Mark(StrEnum):
    """What is unusual about an event."""

    SUPERSEDED = "superseded"  # heard when the object was further already
    CORRECTION = "correction"  # it moved the object away from a final state
    IRREGULAR = "irregular"  # the life cycle does not know the move
    REPEATED = "repeated"  # the same once more, in the same state


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of an object, and what it did."""

    event: Event
    kind: ObjectKind | None  # none: nothing is known of what the type does
    before: str  # of its own family's life cycle
    after: str
    marks: tuple[Mark, ...] = ()
    unified: Unified | None = None  # what coming to *after* means; none where it came nowhere

    @property
    def moved(self) -> bool:
        """Whether it brought the object anywhere."""
        return self.before != self.after


class ObjectState(msgspec.Struct, frozen=True, kw_only=True):
    """An object as its events tell of it."""

    entries: tuple[Entry, ...]  # in the provider's time, oldest first
    state: str | None = None  # none: no event has moved it
    kind: ObjectKind | None = None  # whose word the state is
    unified: Unified | None = None
    since: datetime | None = None
    delayed: bool = False
    pay_back: msgspec.Raw | None = None  # what a failed payment's issuer debited, as published

    @property
    def words(self) -> str | None:
        """A sentence for people about the state."""
        if self.kind is None or self.state is None:
            return None
        return self.kind.life_cycle.states[self.state]

    @property
    def final(self) -> bool:
        """Whether nothing more is expected."""
        return self.kind is not None and self.state in self.kind.life_cycle.final

    @property
    def corrections(self) -> int:
        """How often what was final was not."""
        return sum(Mark.CORRECTION in entry.marks for entry in self.entries)


# Looks at each entry beside its event's data, which nobody keeps.
Look: TypeAlias = Callable[[Entry, object], None]


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    event: Event
    sorted_at: datetime
    late: bool  # older than something that was heard before it


class _Newest(msgspec.Struct, frozen=True):
    """What the newest event's data says, as it is spelled: a double has not 10.00, but 10.0."""

    delayed: msgspec.Raw = _NULL
    pay_back: msgspec.Raw = _NULL


class _Life(msgspec.Struct):
    """How far an object is on one life cycle."""

    kind: ObjectKind
    state: str = START
    since: datetime | None = None
    event: str | None = None  # the type that brought it there, or told so last
    told_at: datetime | None = None  # the provider's time of that
    unified: Unified | None = None


def fold(events: Iterable[Event], catalogue: Catalogue, *, now: datetime) -> ObjectState:
    """Return the state of the object whose events these are, in the order they were heard."""
    steps = fold_in_steps(events, catalogue, now=now)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            state: ObjectState = done.value
            return state


def fold_in_steps(
    events: Iterable[Event], catalogue: Catalogue, *, now: datetime, look: Look | None = None
) -> Generator[None, None, ObjectState]:
    """Yield whenever others should come to work, and return what ``fold`` returns."""
    lives: dict[tuple[str, str], _Life] = {}
    latest: _Life | None = None
    entries: list[Entry] = []
    newest = b""
    step_bytes = step_events = 0
    for one in sorted(_hear(events), key=lambda one: one.sorted_at):
        step_bytes, step_events = step_bytes + len(one.event.data), step_events + 1
        if step_bytes > _STEP_BYTES or step_events > _STEP_EVENTS:
            yield
            step_bytes, step_events = len(one.event.data), 1
        newest = one.event.data
        data = _read(newest)
        kind = _kind_of(one.event, catalogue)
        if kind is None:
            entry = Entry(event=one.event, kind=None, before="", after="")
        else:
            life = lives.setdefault((kind.family, kind.name), _Life(kind))
            entry = _apply(one, data, life)
            latest = life if entry.moved else latest
        entries.append(entry)
        if look is not None:
            look(entry, data)
    return _whole(entries, latest, _read_newest(newest), now)


def heard_order(state: ObjectState) -> Sequence[Entry]:
    """Return the entries as their events were heard, oldest first."""
    return sorted(state.entries, key=lambda entry: entry.event.id)


def _hear(events: Iterable[Event]) -> Iterable[_Heard]:
    newest = _EARLIEST
    for event in events:
        # Without a time of its own it comes after all that was heard before it.
        sorted_at = newest if event.occurred_at is None else event.occurred_at
        yield _Heard(event=event, sorted_at=sorted_at, late=sorted_at < newest)
        newest = max(newest, sorted_at)


def _read(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None  # it was removed for good, or is deeper than whoever looks has room for


def _read_newest(data: bytes) -> _Newest:
    try:
        return msgspec.json.decode(data, type=_Newest)
    except (msgspec.DecodeError, RecursionError):
        return _Newest()  # as above, or it is no object


def _kind_of(event: Event, catalogue: Catalogue) -> ObjectKind | None:
    type_ = catalogue.find(event.family, event.type)
    return None if type_ is None else catalogue.kind_of(type_)


def _apply(heard: _Heard, data: object, life: _Life) -> Entry:
    event, cycle, before = heard.event, life.kind.life_cycle, life.state
    row = cycle.row(event.type, data, before)
    marks = [Mark.SUPERSEDED] if heard.late else []
    target = before if row is None or row.to is None else row.to
    if row is None or before not in row.sources:
        if row is not None and row.to == before and life.event == event.type:
            marks.append(Mark.REPEATED)
        elif row is not None and _too_late(event, row, life, cycle):
            target = before
            marks.append(Mark.SUPERSEDED)
        else:
            marks.append(Mark.IRREGULAR)
    if target != before and before in cycle.final:
        marks.append(Mark.CORRECTION)
    unified = None
    if target != before:
        life.since = event.occurred_at or event.created_at
    if row is not None and row.to == target:
        life.state, life.event, life.told_at = target, event.type, event.occurred_at
        unified = life.unified = life.kind.means(target, event.type)
    return Entry(
        event=event,
        kind=life.kind,
        before=before,
        after=target,
        marks=tuple(dict.fromkeys(marks)),
        unified=unified,
    )


def _too_late(event: Event, row: Transition, life: _Life, cycle: LifeCycle) -> bool:
    """Whether the object has left behind where *row* would bring it, as no clock can tell."""
    if life.state == START or row.to is None or row.to == life.state:
        return False
    told = event.occurred_at is not None and life.told_at is not None
    if told and event.occurred_at != life.told_at:
        return False
    return cycle.leads_to(row.to, life.state)


def _whole(
    entries: Sequence[Entry], latest: _Life | None, newest: _Newest, now: datetime
) -> ObjectState:
    pay_back = None if newest.pay_back == _NULL else newest.pay_back
    whole = ObjectState(entries=tuple(entries), pay_back=pay_back)
    if latest is None or latest.since is None:
        return whole
    waits = latest.unified is not None and latest.unified.event == PROCESSING
    longest = latest.kind.life_cycle.longest_wait or WAITS_DEFAULT
    said = newest.delayed == _TRUE
    return msgspec.structs.replace(
        whole,
        state=latest.state,
        kind=latest.kind,
        unified=latest.unified,
        since=latest.since,
        delayed=waits and (said or now - latest.since > longest),
    )

"""Filters as SQL: constant fragments with bound values, never a caller's text.

What a filter selects is read in *legs*: each walks one index from its newest end, and no row is in
two of them, so that a page is the newest rows of all its legs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from payhooks.ids import first_id_at
from payhooks.model.delivery import FINAL_STATES, State
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage.sqlite.parts import CODES

# The rows as they lie: by merchant and id.
BY_ID: Final = "NOT INDEXED"
EVENTS_BY_ID: Final = "INDEXED BY sqlite_autoindex_events_1"
_STAR: Final = "*"
_HELD: Final = "d.state <> 1 AND l.state IN (1, 2)"
_INDEXED: Final = "INDEXED BY deliveries_{}"


class Where:
    """Conditions that all hold, and what is bound in them, in order."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.bindings: list[Any] = []

    def narrow(self, condition: str, *bindings: object) -> None:
        """Add a condition."""
        self._conditions.append(f"AND ({condition})")
        self.bindings.extend(bindings)

    @property
    def sql(self) -> str:
        """What follows the condition that every list has: whose rows they are."""
        return " ".join(self._conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """Where to look, and for what."""

    index: str
    where: Where


def where_events(filter_: EventFilter, after: bytes | None, *, status: str) -> Where:
    """Return the conditions on events; *status* is the expression that derives it."""
    where = Where()
    if after is not None:
        where.narrow("e.id < ?", after)
    if filter_.created_gte is not None:
        where.narrow("e.id >= ?", first_id_at(filter_.created_gte))
    if filter_.created_lt is not None:
        where.narrow("e.id < ?", first_id_at(filter_.created_lt))
    if filter_.object_id is not None:
        where.narrow("e.object_id = ?", filter_.object_id)
    _narrow_types(where, "e.type", filter_.types)
    if filter_.status is not None:
        where.narrow(f"{status} = ?", filter_.status)
    return where


def where_undone(filter_: DeliveryFilter, after: bytes | None) -> Where | None:
    """Return the conditions on rows of the queue; None where none can match."""
    if not _may_hold(filter_, undone=True):
        return None
    where = _where_either(filter_, after)
    if filter_.held is not None:
        where.narrow(_HELD if filter_.held else f"NOT ({_HELD})")
    return where


def final_legs(
    filter_: DeliveryFilter, after: bytes | None, types: Sequence[str] | None
) -> Iterator[Leg]:
    """Yield the legs on rows of history; none where none can match.

    *types* are those that the filter's patterns select, or None where they are not to lead.
    """
    if filter_.held or not _may_hold(filter_, undone=False):
        return
    ends = [state for state in filter_.states if state in FINAL_STATES]
    if filter_.reason is not None:
        yield Leg(index=_INDEXED.format("reason"), where=_where_either(filter_, after))
    elif ends and State.DELIVERED not in ends:
        for state in ends:
            yield _undelivered(filter_, after, state)
    elif filter_.event_types and types is not None:
        for type_ in types:
            where = _where_either(replace(filter_, event_types=(type_,)), after)
            yield Leg(index=_INDEXED.format("type"), where=where)
    elif filter_.endpoint_id is not None:
        yield Leg(index=_INDEXED.format("endpoint"), where=_where_either(filter_, after))
    else:
        yield Leg(index=BY_ID, where=_where_either(filter_, after))


def unsubscribed_legs(
    filter_: EventFilter, after: bytes | None, types: Sequence[str] | None, *, status: str
) -> Iterator[Leg]:
    """Yield the legs on events that nobody had selected."""
    if types is None:
        yield Leg(index=EVENTS_BY_ID, where=where_events(filter_, after, status=status))
        return
    for type_ in types:
        where = where_events(replace(filter_, types=(type_,)), after, status=status)
        yield Leg(index="INDEXED BY events_unsubscribed", where=where)


def _undelivered(filter_: DeliveryFilter, after: bytes | None, state: State) -> Leg:
    # As literals, and in its own words: a partial index is found by those only.
    where = _where_either(filter_, after)
    if state is State.FAILED and filter_.endpoint_id is not None:
        where.narrow("d.state = 4")
        return Leg(index=_INDEXED.format("failed"), where=where)
    where.narrow("d.state > 3")
    where.narrow(f"d.state = {CODES[state]}")
    return Leg(index=_INDEXED.format("undelivered"), where=where)


def _where_either(filter_: DeliveryFilter, after: bytes | None) -> Where:
    where = Where()
    if after is not None:
        where.narrow("d.id < ?", after)
    if filter_.created_gte is not None:
        where.narrow("d.id >= ?", first_id_at(filter_.created_gte))
    if filter_.created_lt is not None:
        where.narrow("d.id < ?", first_id_at(filter_.created_lt))
    if filter_.endpoint_id is not None:
        where.narrow("d.endpoint_id = ?", filter_.endpoint_id)
    if filter_.states:
        where.narrow(" OR ".join(f"d.state = {CODES[state]}" for state in filter_.states))
    if filter_.reason is not None:
        where.narrow("d.reason = ?", filter_.reason)
    _narrow_types(where, "d.event_type", filter_.event_types)
    return where


def _narrow_types(where: Where, column: str, patterns: Sequence[str]) -> None:
    conditions: list[str] = []
    bindings: list[object] = []
    for pattern in patterns:
        if pattern.endswith(_STAR):
            conditions.append(f"substr({column}, 1, ?) = ?")
            bindings += [len(pattern) - 1, pattern[:-1]]
        else:
            conditions.append(f"{column} = ?")
            bindings.append(pattern)
    if conditions:
        where.narrow(" OR ".join(conditions), *bindings)


def _may_hold(filter_: DeliveryFilter, *, undone: bool) -> bool:
    return not filter_.states or any(
        (state not in FINAL_STATES) is undone for state in filter_.states
    )

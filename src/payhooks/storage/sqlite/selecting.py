"""Filters as SQL: constant fragments with bound values, never a caller's text."""

from collections.abc import Sequence
from typing import Any, Final

from payhooks.ids import first_id_at
from payhooks.model.delivery import FINAL_STATES, State
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage.sqlite.parts import CODES

_STAR: Final = "*"
_HELD: Final = "d.state <> 1 AND l.state IN (1, 2)"


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


def where_final(filter_: DeliveryFilter, after: bytes | None) -> Where | None:
    """Return the conditions on rows of history; None where none can match."""
    if filter_.held or not _may_hold(filter_, undone=False):
        return None
    return _where_either(filter_, after)


def index_for(filter_: DeliveryFilter) -> str:
    """Return which index of history serves this filter best."""
    if filter_.endpoint_id is None:
        return ""
    if filter_.states == (State.FAILED,):
        return "INDEXED BY deliveries_failed"
    return "INDEXED BY deliveries_endpoint"


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
        # As literals: a partial index is found by its own words only.
        codes = [f"d.state = {CODES[state]}" for state in filter_.states]
        where.narrow(" OR ".join(codes))
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

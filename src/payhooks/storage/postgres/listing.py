"""Where narrowed lists find their rows: a filter as a statement of legs, each by its own index.

What a page costs must not depend on how much is stored, only on how much is shown. So a rare state,
a reason, a type has an index of its own, and a pattern is read type by type.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from payhooks.ids import MerchantId
from payhooks.model.delivery import FINAL_STATES, State
from payhooks.policy.match import matches
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage import statements
from payhooks.storage.postgres.connections import Connections
from payhooks.storage.postgres.rows import CODES

SQL: Final = statements.load("payhooks.storage.postgres", "listing.sql")
# A merchant has some dozens. One that makes up a type per event has lists that walk: each leg
# costs some microseconds a day, and a page of each of so many is what 50 ms are enough for.
TYPES_MAX: Final = 200
_STAR: Final = "*"
_HELD: Final = "(d.state <> 1 AND l.state IN (1, 2))"
# By the others an event is found through rows that are few.
_BY_TYPE: Final = {
    None: "events_of_types",
    "delivered": "events_delivered_of_types",
    "unsubscribed": "events_unsubscribed_of_types",
}


async def types_of(
    connections: Connections, merchant_id: MerchantId, patterns: Sequence[str]
) -> list[str] | None:
    """Return the types that *patterns* select of those that there are; None for too many."""
    if not any(pattern.endswith(_STAR) for pattern in patterns):
        return None if len(patterns) > TYPES_MAX else list(dict.fromkeys(patterns))
    rows = await connections.call(SQL["types"], merchant_id, TYPES_MAX + 1)
    if len(rows) > TYPES_MAX:
        return None
    found = (row["type"] for row in rows)
    return [type_ for type_ in found if any(matches(pattern, type_) for pattern in patterns)]


def is_by_type(filter_: DeliveryFilter) -> bool:
    """Whether history is read by type: nothing else that the filter has is as rare."""
    return (
        bool(filter_.event_types)
        and _may_hold(filter_, undone=False)
        and not _undelivered(filter_)
        and filter_.endpoint_id is None
        and filter_.reason is None
    )


def events_by_type(filter_: EventFilter) -> str | None:
    """Return the statement that finds such events by type; None where another serves."""
    if not filter_.types or filter_.object_id is not None:
        return None
    name = _BY_TYPE.get(filter_.status)
    return None if name is None else SQL[name]


def likes(patterns: Sequence[str]) -> list[str] | None:
    """Return the patterns as LIKE has them; None where everything is wanted."""
    return [_like(pattern) for pattern in patterns] or None


class Page:
    """A page of deliveries as a statement, with what follows its first four parameters.

    Those are the merchant, the id that is too great, the least that is wanted, and the limit.
    """

    def __init__(self, filter_: DeliveryFilter, types: Sequence[str] | None) -> None:
        """Take the types that the filter's patterns select, where history is read by type."""
        self._filter = filter_
        self._types = types
        self.arguments: list[object] = []
        legs = [*self._undone(), *self._final()] or [self._nothing()]
        self.sql = SQL["page"].replace("{legs}", " UNION ALL ".join(legs))

    def _undone(self) -> Iterator[str]:
        if _may_hold(self._filter, undone=True):
            held = self._filter.held
            words = [] if held is None else [_HELD if held else f"NOT {_HELD}"]
            yield _narrowed("undone", [*words, *self._narrow(), *self._of_patterns()])

    def _final(self) -> Iterator[str]:
        if not _may_hold(self._filter, undone=False):
            return
        if is_by_type(self._filter) and self._types is not None:
            types = self._bound(self._types, "text[]")
            yield _narrowed("final_of_types", list(self._narrow())).replace("{types}", types)
            return
        # Each rare state apart: only so the index gives them by id.
        each = [[f"d.state = {CODES[state]}"] for state in _undelivered(self._filter)]
        for words in each or [[]]:
            yield _narrowed("final", [*words, *self._narrow(), *self._of_patterns()])

    def _nothing(self) -> str:
        return _narrowed("final", ["false"])

    def _narrow(self) -> Iterator[str]:
        if self._filter.states:
            codes = ", ".join(str(CODES[state]) for state in self._filter.states)
            yield f"d.state IN ({codes})"
        if self._filter.endpoint_id is not None:
            yield f"d.endpoint_id = {self._bound(self._filter.endpoint_id, 'uuid')}"
        if self._filter.reason is not None:
            yield f"d.reason = {self._bound(self._filter.reason, 'text')}"

    def _of_patterns(self) -> Iterator[str]:
        if self._filter.event_types:
            patterns = self._bound(likes(self._filter.event_types), "text[]")
            yield f"d.event_type LIKE ANY ({patterns})"

    def _bound(self, value: object, type_: str) -> str:
        self.arguments.append(value)
        return f"${4 + len(self.arguments)}::{type_}"


def _narrowed(name: str, words: Sequence[str]) -> str:
    text = SQL[name].replace("{columns}", SQL["columns"])
    return text.replace("{narrow}", "".join(f"AND {each} " for each in words))


def _undelivered(filter_: DeliveryFilter) -> list[State]:
    """Return the final states that are wanted, where they are only those that are rare."""
    ends = [state for state in dict.fromkeys(filter_.states) if state in FINAL_STATES]
    return [] if State.DELIVERED in ends else ends


def _may_hold(filter_: DeliveryFilter, *, undone: bool) -> bool:
    if filter_.held and not undone:
        return False
    return not filter_.states or any(
        (state not in FINAL_STATES) is undone for state in filter_.states
    )


def _like(pattern: str) -> str:
    beginning = pattern.removesuffix(_STAR)
    escaped = beginning.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped if beginning == pattern else f"{escaped}%"

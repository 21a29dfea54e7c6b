"""Where narrowed lists find their rows: the legs of a filter, and the events that they come to.

What a page costs must not depend on how much is stored, only on how much is shown. So a rare state,
a reason, a type has an index of its own, and a pattern is read type by type.
"""

from collections.abc import Iterator, Sequence
from heapq import nlargest
from typing import Final

import apsw

from payhooks.ids import MerchantId
from payhooks.model.delivery import State
from payhooks.policy.match import matches
from payhooks.ports.controlling import Window
from payhooks.ports.reading import DeliveryFilter, EventFilter
from payhooks.storage import statements
from payhooks.storage.sqlite.connection import rows
from payhooks.storage.sqlite.parts import CODES
from payhooks.storage.sqlite.selecting import (
    Leg,
    Where,
    final_legs,
    unsubscribed_legs,
    where_undone,
)

SQL: Final = statements.load(__package__, "listing.sql")
# A merchant has some dozens. One that makes up a type per event has lists that walk: each leg
# costs a few microseconds, and a page of each of so many is what 50 ms are enough for.
TYPES_MAX: Final = 200
# Deliveries that are looked at one by one in less than 10 ms.
_FEW: Final = 2_000
_STAR: Final = "*"
_PENDING: Final = "pending"
_UNSUBSCRIBED: Final = "unsubscribed"
# An event is under these by one of its final deliveries; without a status by any.
_BY: Final[dict[str | None, tuple[State, ...]]] = {
    None: (),
    "delivered": (State.DELIVERED,),
    "failed": (State.FAILED,),
    "cancelled": (State.CANCELLED,),
}


def final(
    db: apsw.Connection, merchant_id: MerchantId, filter_: DeliveryFilter, after: bytes | None
) -> list[Leg]:
    """Return where in history the filter's deliveries are."""
    types = _types(db, merchant_id, filter_.event_types, SQL["delivered_types"])
    if filter_.endpoint_id is not None and not _are_few(db, merchant_id, types):
        types = None
    return list(final_legs(filter_, after, types))


def event_ids(
    db: apsw.Connection,
    merchant_id: MerchantId,
    filter_: EventFilter,
    window: Window,
    *,
    status: str,
) -> list[bytes] | None:
    """Return the newest events that match; None where their own table tells at once.

    *status* is the expression that derives an event's.
    """
    if filter_.object_id is not None or not (filter_.types or filter_.status):
        return None
    found: set[bytes] = set()
    for text, where in _event_sides(db, merchant_id, filter_, window.after, status):
        found.update(id_ for (id_,) in rows(db, text, (merchant_id, *where.bindings, window.limit)))
    return nlargest(window.limit, found)


def _event_sides(
    db: apsw.Connection,
    merchant_id: MerchantId,
    filter_: EventFilter,
    after: bytes | None,
    status: str,
) -> Iterator[tuple[str, Where]]:
    """Yield every statement that such events are found by, with what it is narrowed to."""

    def narrowed(where: Where) -> Where:
        if filter_.status is not None:
            where.narrow(f"{status} = ?", filter_.status)
        return where

    if filter_.status in {None, _PENDING}:
        undone = where_undone(_as_deliveries(filter_, ()), after)
        assert undone is not None
        where = narrowed(undone)
        yield SQL["events_of_undone"].replace("{where}", where.sql), where
    if filter_.status in _BY:
        states = _BY[filter_.status]
        same = "".join(f"AND x.state = {CODES[state]}" for state in states)
        for leg in final(db, merchant_id, _as_deliveries(filter_, states), after):
            where = narrowed(leg.where)
            yield _text("events_of_final", leg).replace("{same}", same), where
    if filter_.status in {None, _UNSUBSCRIBED}:
        patterns = filter_.types or (_STAR,)
        types = _types(db, merchant_id, patterns, SQL["unsubscribed_types"])
        for leg in unsubscribed_legs(filter_, after, types, status=status):
            yield _text("events_unsubscribed", leg), leg.where


def _text(name: str, leg: Leg) -> str:
    return SQL[name].replace("{index}", leg.index).replace("{where}", leg.where.sql)


def _as_deliveries(filter_: EventFilter, states: tuple[State, ...]) -> DeliveryFilter:
    return DeliveryFilter(
        states=states,
        event_types=filter_.types,
        created_gte=filter_.created_gte,
        created_lt=filter_.created_lt,
    )


def _are_few(db: apsw.Connection, merchant_id: MerchantId, types: Sequence[str] | None) -> bool:
    """Whether deliveries of the types are so few that an endpoint's are found among them."""
    left = _FEW
    for type_ in types or ():
        left -= len(rows(db, SQL["of_type"], (merchant_id, type_, left + 1)))
        if left < 0:
            return False
    return types is not None


def _types(
    db: apsw.Connection, merchant_id: MerchantId, patterns: Sequence[str], known: str
) -> list[str] | None:
    """Return the types that the patterns select of those that there are; None for too many."""
    if not any(pattern.endswith(_STAR) for pattern in patterns):
        return None if len(patterns) > TYPES_MAX else list(dict.fromkeys(patterns))
    found = [type_ for (type_,) in rows(db, known, (merchant_id, TYPES_MAX + 1))]
    if len(found) > TYPES_MAX:
        return None
    return [type_ for type_ in found if any(matches(pattern, type_) for pattern in patterns)]

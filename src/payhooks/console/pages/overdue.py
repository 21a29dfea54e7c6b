"""Overdue: what waits for longer than its provider usually takes."""

from datetime import timedelta
from typing import Final

import msgspec
from starlette.responses import Response

from payhooks import ids
from payhooks.connectors import registry
from payhooks.console.listing import Filters, Listed, listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages.objects import address_of
from payhooks.console.pages.receipts import named
from payhooks.control import connectors, expectations
from payhooks.dialects.reading import decode_members
from payhooks.model.connector import Connector
from payhooks.model.expectation import Expectation
from payhooks.model.key import Scope
from payhooks.ports.controlling import Window
from payhooks.ports.reading import EventFilter, StoredEvent

_EXPECTATION: Final = "wait"  # what the ids of such a list begin with; they stand nowhere else
_UNKNOWN: Final = "not known"
# The newest of them began the wait, or tells that it takes too long.
_EVENTS_READ_MAX: Final = 5
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


@page("GET", "/payments/overdue", needs=Scope.CONNECTORS_READ, factor=Factor.ONCE)
async def overdue(visit: Visit) -> Response:
    """List it, what began to wait last first."""
    filters = Filters(visit.query)
    asked = filters.id("connector", ids.CONNECTOR)
    found: Listed[Expectation] = Listed()
    if not filters.wrong:
        text = filters.text("connector")
        of = None if asked is None else await connectors.find(visit.control, visit.merchant, text)
        window = window_of(visit, _EXPECTATION)
        rows = await expectations.overdue(visit.control, visit.merchant, of, window)
        found = listed(visit, _EXPECTATION, rows, id_of=lambda one: one.id)
    known = await named(visit, [one.connector_id for one in found.items])
    return visit.show(
        "objects/overdue.html",
        status=422 if filters.wrong else 200,
        title="Overdue",
        filters=filters,
        filtered=filters.any_of(["connector"]),
        found=found,
        connectors=known,
        connector_options=[
            (ids.to_text(ids.CONNECTOR, one.id), one.name)
            for one in sorted(known.values(), key=lambda one: one.name)
        ],
        usual={
            one.id: await _usual(visit, one, known.get(one.connector_id)) for one in found.items
        },
        address_of=address_of,
    )


async def _usual(visit: Visit, one: Expectation, connector: Connector | None) -> str:
    """Return in words how long the object's provider usually takes, at most, where it stands."""
    provider = None if connector is None else registry.PROVIDERS.get(connector.dialect)
    if provider is None:
        return _UNKNOWN
    which = EventFilter(object_id=one.object_id)
    events = await visit.control.store.events(
        visit.merchant.id, which, Window(limit=_EVENTS_READ_MAX)
    )
    for stored in events:
        event = stored.event
        usual = provider.waits.get(event.type)
        # That it takes too long was told as an event too, and begins no wait of its own.
        if event.object_type == one.object_type and usual and not _is_delay(stored):
            return f"up to {_spelled(usual)}"
    return _UNKNOWN


def _is_delay(stored: StoredEvent) -> bool:
    if stored.expunged:
        return False
    try:
        said = decode_members(stored.event.data)
    except msgspec.DecodeError:
        return False  # it is no object
    return said.get("delayed") == msgspec.Raw(b"true")


def _spelled(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit_s, one, many in ((_DAY_S, "day", "days"), (_HOUR_S, "hour", "hours")):
        if seconds >= unit_s:
            amount = seconds / unit_s
            return f"{amount:g} {one if amount == 1 else many}"
    return f"{seconds / 60:g} minutes"

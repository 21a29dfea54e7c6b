"""Overdue: what waits for longer than its provider usually takes."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from payhooks import ids
from payhooks.connectors import registry
from payhooks.console.listing import Filters, Listed, listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages.objects import address_of
from payhooks.console.pages.receipts import named
from payhooks.control import connectors, expectations
from payhooks.flow.expect import PROCESSING
from payhooks.model.connector import Connector
from payhooks.model.key import Scope

if TYPE_CHECKING:
    from payhooks.model.expectation import Expectation

_EXPECTATION: Final = "wait"  # what the ids of such a list begin with; they stand nowhere else
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
        usual={one.id: usual_wait(one) for one in known.values()},
        address_of=address_of,
    )


def usual_wait(connector: Connector) -> str:
    """Return in words how long the connector's provider usually takes at most."""
    provider = registry.PROVIDERS.get(connector.dialect)
    usual = None if provider is None else provider.waits.get(PROCESSING)
    return "not known" if usual is None else f"up to {_spelled(usual)}"


def _spelled(span: timedelta) -> str:
    seconds = span.total_seconds()
    for unit_s, one, many in ((_DAY_S, "day", "days"), (_HOUR_S, "hour", "hours")):
        if seconds >= unit_s:
            amount = seconds / unit_s
            return f"{amount:g} {one if amount == 1 else many}"
    return f"{seconds / 60:g} minutes"

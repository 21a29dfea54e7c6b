"""Settings → Connectors: the list, and adding one.

A connector is a provider's account that sends its webhooks to us. What one has to do there, and
what is asked of it here, the provider's own file says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.connectors import registry
from payhooks.connectors.contract import Provider
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages import connectors_form as forms
from payhooks.console.pages.connectors_form import Entered
from payhooks.control import connectors
from payhooks.dialects import custom
from payhooks.errors import InvalidError, WrongStateError
from payhooks.model.connector import Connector
from payhooks.model.key import Scope
from payhooks.model.merchant import Merchant
from payhooks.ports.controlling import Window
from payhooks.ports.receiving import ConnectorHealth

LIST: Final = "/settings/connectors"
# Counted no further: beyond it the list says "or more".
OVERDUE_COUNTED_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A connector as the list has it."""

    connector: Connector
    title: str  # of its provider
    health: ConnectorHealth
    overdue: int


@page("GET", LIST, needs=Scope.CONNECTORS_READ, factor=Factor.GATE)
async def listing(visit: Visit) -> Response:
    """List them, newest first."""
    rows = await visit.control.store.connectors(visit.merchant.id, window_of(visit, ids.CONNECTOR))
    found = listed(visit, ids.CONNECTOR, rows, id_of=lambda one: one.id)
    return visit.show(
        "connectors/list.html",
        title="Connectors",
        shown=await shown(visit, found.items),
        pages=found,
        overdue_max=OVERDUE_COUNTED_MAX,
        may_add=visit.may(Scope.CONNECTORS_WRITE),
    )


@page("GET", LIST + "/new", needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def new(visit: Visit) -> Response:
    """Ask which provider it is, then for what that provider's connectors have."""
    name = visit.query.get("provider", "")
    if not name:
        return visit.show(
            "connectors/providers.html",
            title="Add a connector",
            providers=_offered(visit.merchant),
        )
    provider = _chosen(visit.merchant, name)
    return _new(visit, provider, forms.blank(provider), NO_MESSAGES)


@page("POST", LIST, needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def add(visit: Visit) -> Response:
    """Add it; its page has the URL, and where to paste it."""
    provider = _chosen(visit.merchant, visit.form.text("provider"))
    entered = forms.of_form(visit.form, provider)
    try:
        connector = await connectors.create(
            visit.control, visit.caller, visit.merchant, forms.draft_of_new(entered, provider)
        )
    except InvalidError as error:
        return _new(visit, provider, entered, Messages.from_error(error, forms.fields(provider)))
    except WrongStateError as error:
        return _new(visit, provider, entered, Messages({"name": [str(error)]}))
    said = f"{connector.name} was added. Its URL is to be pasted at {provider.title} now."
    return visit.go(place_of(connector), said=said)


async def shown(visit: Visit, found: Sequence[Connector]) -> list[Shown]:
    """Return how each of the merchant's connectors fares."""
    healths = await connectors.health(visit.control, visit.merchant, found)
    return [
        Shown(
            connector=one,
            title=title_of(one.dialect),
            health=health,
            overdue=await overdue_count(visit, one),
        )
        for one, health in zip(found, healths, strict=True)
    ]


def place_of(connector: Connector) -> str:
    """Return where, below /console, a connector has its page."""
    return f"{LIST}/{ids.to_text(ids.CONNECTOR, connector.id)}"


def title_of(dialect: str) -> str:
    """Return what people call the provider."""
    provider = registry.PROVIDERS.get(dialect)
    return dialect if provider is None else provider.title


async def overdue_count(visit: Visit, connector: Connector) -> int:
    """Return how many objects of the connector wait for too long; OVERDUE_COUNTED_MAX at most."""
    window = Window(limit=OVERDUE_COUNTED_MAX)
    return len(await visit.control.store.overdue(visit.merchant.id, connector.id, window))


def _new(visit: Visit, provider: Provider, entered: Entered, messages: Messages) -> Response:
    return visit.show(
        "connectors/new.html",
        status=422 if messages else 200,
        title=f"Add a connector for {provider.title}",
        provider=provider,
        entered=entered,
        # Some providers tell their secret only once they know it.
        url=connectors.url_named(visit.control, visit.merchant, entered.name),
        messages=messages,
        made=False,
    )


def _offered(merchant: Merchant) -> list[Provider]:
    """Return the providers to choose from; one's own words only once they are defined."""
    known = registry.PROVIDERS.values()
    return [one for one in known if one.name != custom.NAME or merchant.custom_dialect is not None]


def _chosen(merchant: Merchant, name: str) -> Provider:
    for provider in _offered(merchant):
        if provider.name == name:
            return provider
    raise InvalidError.at("/provider", "invalid_choice", "Choose one of the list.")

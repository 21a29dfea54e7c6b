"""Events: everything that was accepted, whether or not a webhook wanted it."""

from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.console.evidence import pretty
from payhooks.console.listing import (
    Filters,
    Listed,
    address,
    labelled,
    listed,
    searched,
    webhook_options,
    window_of,
)
from payhooks.console.page import Factor, Visit, page
from payhooks.console.story import shown_status
from payhooks.control import deliveries as control
from payhooks.control import endpoints as webhooks
from payhooks.errors import InvalidError, WrongStateError
from payhooks.limits import PAGE_SIZE_MAX
from payhooks.model.key import Scope
from payhooks.ports.reading import EventFilter, StoredEvent

_LIST: Final = "/events"
_ONE: Final = _LIST + "/{event_id}"
_FILTERS: Final = ("status", "type", "object", "from", "to")
_STATUSES: Final = ("unsubscribed", "pending", "delivered", "failed", "cancelled")
_WORDS: Final = {
    "unsubscribed": "No webhook had selected this type when it came, so nobody was told.",
    "pending": "Somebody is still to be told.",
    "delivered": "Everybody who is to hear of it was told.",
    "failed": "Somebody could not be told. Open the failed delivery below to see why.",
    "cancelled": "It was called off.",
}


@page("GET", _LIST, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def events(visit: Visit) -> Response:
    """List events, newest first."""
    filters = Filters(visit.query)
    if filters.text("q"):
        return visit.go(searched(filters.text("q")))
    wanted = _filter_of(filters)
    found: Listed[StoredEvent] = Listed()
    if not filters.wrong:
        window = window_of(visit, ids.EVENT)
        rows = await visit.control.store.events(visit.merchant.id, wanted, window)
        found = listed(visit, ids.EVENT, rows, id_of=lambda row: row.event.id)
    live = visit.query.get("live") == "1" and found.first is None
    return visit.show(
        "events.html",
        part="rows",
        status=422 if filters.wrong else 200,
        title="Events",
        filters=filters,
        filtered=filters.any_of(_FILTERS),
        found=found,
        status_options=[(name, name.capitalize()) for name in _STATUSES],
        live=live,
        tail=address(visit, {"live": None if live else "1"}),
    )


@page("GET", _ONE, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def event(visit: Visit) -> Response:
    """Show what was published, and who was told."""
    stored = await control.find_event(visit.control, visit.merchant, visit.parameter["event_id"])
    rows = await visit.control.store.deliveries_of(
        visit.merchant.id, stored.event.id, window_of(visit, ids.DELIVERY)
    )
    found = listed(visit, ids.DELIVERY, rows, id_of=lambda row: row.id)
    endpoints = await labelled(visit, [row.endpoint_id for row in found.items])
    may_replay = visit.may(Scope.DELIVERIES_WRITE) and not stored.expunged
    shown = stored.event
    return visit.show(
        "event.html",
        title=shown.type,
        stored=stored,
        text=ids.to_text(ids.EVENT, shown.id),
        words=_WORDS[stored.status],
        payload=pretty(shown.data),
        raw=shown.data.decode("utf-8", "replace"),
        metadata=None if shown.metadata is None else pretty(shown.metadata),
        found=found,
        endpoints=endpoints,
        webhook_options=[
            (text, label)
            for text, label in webhook_options(
                {id_: one for id_, one in endpoints.items() if one.status != "deleted"}
            )
        ],
        shown_status=shown_status,
        may_replay=may_replay,
        may_expunge=visit.may(Scope.MERCHANT_WRITE) and not stored.expunged,
    )


@page("POST", _ONE + "/resend", needs=Scope.DELIVERIES_WRITE, factor=Factor.ONCE)
async def resend(visit: Visit) -> Response:
    """Send it to the webhooks that were ticked, whatever they had selected."""
    text = visit.parameter["event_id"]
    stored = await control.find_event(visit.control, visit.merchant, text)
    chosen = tuple(dict.fromkeys(visit.form.every("webhook")))
    if not chosen:
        return visit.go(f"{_LIST}/{text}", said="Tick the webhooks to send it to first.")
    if len(chosen) > PAGE_SIZE_MAX:
        raise InvalidError.at("/webhook", "too_many", f"Choose at most {PAGE_SIZE_MAX} at once.")
    endpoints = [await webhooks.find(visit.control, visit.merchant, each) for each in chosen]
    try:
        sent = await control.resend(visit.control, visit.caller, visit.merchant, stored, endpoints)
    except WrongStateError as error:
        return visit.go(f"{_LIST}/{text}", said=str(error))
    return visit.go(
        f"{_LIST}/{text}", said=f"It is on its way to {sent} of {len(chosen)} webhooks."
    )


# What cannot be undone is for owners: of the scopes only theirs has this one.
@page("POST", _ONE + "/expunge", needs=Scope.MERCHANT_WRITE, factor=Factor.FRESH)
async def expunge(visit: Visit) -> Response:
    """Remove the payload for good."""
    text = visit.parameter["event_id"]
    stored = await control.find_event(visit.control, visit.merchant, text)
    await control.expunge(visit.control, visit.caller, visit.merchant, stored)
    return visit.go(f"{_LIST}/{text}", said="The payload is removed.")


def _filter_of(filters: Filters) -> EventFilter:
    gte, lt = filters.span()
    return EventFilter(
        types=filters.patterns("type"),
        status=filters.choice("status", _STATUSES),
        object_id=filters.text("object") or None,
        created_gte=gte,
        created_lt=lt,
    )

"""Inboxes: URLs that take any request, and a look at what came.

Whatever stands in a request is a stranger's: it is shown as text, with what cannot be seen spelled
out, and only as much of it as a page can bear.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.console import evidence
from payhooks.console.foreign import Body, body_of, spelled
from payhooks.console.listing import address, labelled, listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages import webhooks_form as forms
from payhooks.console.pages.sandbox import LIST
from payhooks.control import endpoints, inboxes, sandbox
from payhooks.control.inboxes import INBOXES_MAX, Judged, Opened, Verdict
from payhooks.errors import InvalidError, NotFoundError, WrongStateError
from payhooks.model.endpoint import Endpoint, EndpointStatus
from payhooks.model.inbox import Inbox
from payhooks.model.key import Scope
from payhooks.ports.controlling import Window

_LIST: Final = LIST + "/inboxes"
_ONE: Final = _LIST + "/{inbox_id}"
_VERDICTS: Final = {
    Verdict.VERIFIED: ("good", "Signature verified"),
    Verdict.WRONG: ("bad", "Signature wrong"),
    Verdict.UNSIGNED: ("wait", "Not signed"),
    Verdict.NO_ENDPOINT: ("plain", "Not checked"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A request as the page has it."""

    line: str
    head: str
    body: Body


@page("GET", _LIST, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def listing(visit: Visit) -> Response:
    """List inboxes, newest first."""
    sandbox.demand_sandbox(visit.merchant)
    found = await visit.control.store.inboxes(visit.merchant.id, Window(limit=INBOXES_MAX))
    return visit.show(
        "sandbox/inboxes.html",
        title="Inboxes",
        found=[await inboxes.opened(visit.control, one) for one in found],
        inboxes_max=INBOXES_MAX,
        may_open=visit.may(Scope.EVENTS_WRITE),
    )


@page("POST", _LIST, needs=Scope.EVENTS_WRITE, factor=Factor.ONCE)
async def make(visit: Visit) -> Response:
    """Make one; its page has the URL."""
    sandbox.demand_sandbox(visit.merchant)
    try:
        opened = await inboxes.open_(visit.control, visit.caller, visit.merchant)
    except WrongStateError as error:
        return visit.go(_LIST, said=str(error))
    return visit.go(_at(opened.inbox), said="The inbox is there. Send something to its URL.")


@page("GET", _ONE, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def inbox(visit: Visit) -> Response:
    """Show what came, newest first, and one request of it as a whole."""
    opened = await _opened(visit)
    window = window_of(visit, ids.HEARD)
    rows = await inboxes.heard(visit.control, visit.merchant, opened.inbox, window)
    found = listed(visit, ids.HEARD, rows, id_of=lambda row: row.heard.id)
    chosen = await _chosen(visit, opened, found.items)
    known = await labelled(visit, [one.endpoint_id for one in found.items if one.endpoint_id])
    webhook = _webhook_of(opened, list(known.values()))
    return visit.show(
        "sandbox/inbox.html",
        part="requests",
        title="Inbox",
        text=ids.to_text(ids.INBOX, opened.inbox.id),
        url=opened.url,
        found=found,
        links=[
            address(visit, {"request": ids.to_text(ids.HEARD, one.heard.id)}) for one in found.items
        ],
        verdicts=_VERDICTS,
        chosen=chosen,
        shown=None if chosen is None else _shown(chosen),
        asked=bool(visit.query.get("request")),
        latest=address(visit, {"request": None, "after": None}),
        spelled=spelled,
        endpoints=known,
        webhook=webhook,
        may_write=visit.may(Scope.EVENTS_WRITE),
        may_add=webhook is None and visit.may(Scope.ENDPOINTS_WRITE),
    )


@page("POST", _ONE + "/webhook", needs=Scope.ENDPOINTS_WRITE, factor=Factor.GATE)
async def webhook(visit: Visit) -> Response:
    """Add a webhook with the inbox's URL, for every event."""
    opened = await _opened(visit)
    entered = replace(forms.blank(visit.merchant), label="Inbox", url=opened.url, events=("*",))
    try:
        await endpoints.create(
            visit.control, visit.caller, visit.merchant, forms.draft(None, entered)
        )
    except InvalidError as error:
        # Of this form only the URL can be wrong: it is one that this installation does not call.
        return visit.go(_at(opened.inbox), said=" ".join(one.detail for one in error.faults))
    said = "The webhook was added: from now on every event comes here."
    return visit.go(_at(opened.inbox), said=said)


@page("POST", _ONE + "/remove", needs=Scope.EVENTS_WRITE, factor=Factor.FRESH)
async def remove(visit: Visit) -> Response:
    """Forget it and all that came."""
    found = await inboxes.find(visit.control, visit.merchant, visit.parameter["inbox_id"])
    await inboxes.close(visit.control, visit.caller, found)
    return visit.go(_LIST, said="The inbox is removed.")


def _at(found: Inbox) -> str:
    return f"{_LIST}/{ids.to_text(ids.INBOX, found.id)}"


async def _opened(visit: Visit) -> Opened:
    found = await inboxes.find(visit.control, visit.merchant, visit.parameter["inbox_id"])
    return await inboxes.opened(visit.control, found)


async def _chosen(visit: Visit, opened: Opened, rows: Sequence[Judged]) -> Judged | None:
    """Return the request that the URL asks for, or the newest; None where it is kept no more."""
    text = visit.query.get("request", "")
    if not text:
        return rows[0] if rows else None
    try:
        return await inboxes.request(visit.control, visit.merchant, opened.inbox, text)
    except NotFoundError:
        return None


def _webhook_of(opened: Opened, known: Sequence[Endpoint]) -> Endpoint | None:
    for one in known:
        if inboxes.leads_to(one, opened.url) and one.status is not EndpointStatus.DELETED:
            return one
    return None


def _shown(one: Judged) -> Shown:
    heard = one.heard
    path, query = inboxes.parts_of(heard)
    return Shown(
        line=spelled(f"{heard.method} {path}{'?' + query if query else ''}".strip()),
        head=spelled(evidence.head(heard.headers)),
        body=body_of(heard.body),
    )

"""Receipts: every request that came to a connector, whose it was, and what became of it."""

from collections.abc import Iterable, Mapping
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.connectors.words import object_of
from payhooks.console import evidence
from payhooks.console.foreign import body_of, spelled
from payhooks.console.forms import NO_MESSAGES, Messages
from payhooks.console.listing import Filters, Listed, address, listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.control import objects, receipts, trails
from payhooks.control.diagnosis import diagnosis
from payhooks.errors import WrongStateError
from payhooks.ids import ConnectorId
from payhooks.limits import PAGE_SIZE_MAX
from payhooks.model.connector import Connector, ConnectorStatus
from payhooks.model.key import Scope
from payhooks.model.receipt import REPROCESSABLE, Receipt, ReceiptState, Verdict
from payhooks.ports.controlling import Window
from payhooks.ports.reading import StoredEvent
from payhooks.ports.receiving import ReceiptFilter, Subject

_LIST: Final = "/receipts"
_ONE: Final = _LIST + "/{receipt_id}"
_FILTERS: Final = ("connector", "state")
# Receipts of one object, and bytes of its events, that are looked through for what was told.
_HISTORY_MAX: Final = 200
_EVENTS_BYTES_MAX: Final = 1024 * 1024
# Of each state a tone, and what it means for who looks.
STATES: Final[Mapping[ReceiptState, tuple[str, str]]] = {
    ReceiptState.RECEIVED: ("wait", "It is kept, and read as soon as it can be."),
    ReceiptState.PROCESSED: ("good", "It was read, and what it had to tell was told."),
    ReceiptState.DUPLICATE: ("plain", "The provider had said so before; nothing is told twice."),
    ReceiptState.CONFLICTING: (
        "bad",
        "The provider had said something else under the same id. Ask there which is right.",
    ),
    ReceiptState.IGNORED: ("plain", "The connector does not hear such events, or it was a test."),
    ReceiptState.UNMAPPED: ("wait", "It is the provider's, but nothing is known of this event."),
    ReceiptState.UNDECODABLE: ("bad", "It is the provider's, but it could not be read."),
    ReceiptState.REFUSED: ("bad", "It was read, but what it tells could not be accepted."),
    ReceiptState.QUARANTINED: (
        "bad",
        "It could not be shown to be the provider's, so nothing was told.",
    ),
}
_STATE_OPTIONS: Final = [(state.value, state.value.capitalize()) for state in ReceiptState]
VERDICTS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.VERIFIED: ("good", "Verified"),
    Verdict.FETCH: ("plain", "Asked for at the provider"),
    Verdict.UNVERIFIED: ("bad", "Not verified"),
}


@page("GET", _LIST, needs=Scope.CONNECTORS_READ, factor=Factor.ONCE)
async def listing(visit: Visit) -> Response:
    """List them, newest first."""
    filters = Filters(visit.query)
    wanted = _filter_of(filters)
    found: Listed[Receipt] = Listed()
    if not filters.wrong:
        window = window_of(visit, ids.RECEIPT)
        rows = await receipts.listed(visit.control, visit.merchant, wanted, window)
        found = listed(visit, ids.RECEIPT, rows, id_of=lambda one: one.id)
    asked = [] if wanted.connector_id is None else [wanted.connector_id]
    known = await named(visit, [*asked, *(one.connector_id for one in found.items)])
    live = visit.query.get("live") == "1" and found.first is None
    return visit.show(
        "receipts/list.html",
        part="rows",
        status=422 if filters.wrong else 200,
        title="Receipts",
        filters=filters,
        filtered=filters.any_of(_FILTERS),
        found=found,
        connectors=known,
        connector_options=[
            (ids.to_text(ids.CONNECTOR, one.id), one.name)
            for one in sorted(known.values(), key=lambda one: one.name)
        ],
        state_options=_STATE_OPTIONS,
        states=STATES,
        live=live,
        tail=address(visit, {"live": None if live else "1"}),
    )


@page("GET", _ONE, needs=Scope.CONNECTORS_READ, factor=Factor.ONCE)
async def receipt(visit: Visit) -> Response:
    """Show what came, whose it was, and what was told with it."""
    return await _show(visit, await _found(visit), NO_MESSAGES)


@page("POST", _ONE + "/read-again", needs=Scope.CONNECTORS_WRITE, factor=Factor.GATE)
async def read_again(visit: Visit) -> Response:
    """Have it read again; one that conflicts is told all the same where the form says so."""
    found = await _found(visit)
    despite = visit.form.has("despite")
    try:
        await receipts.reprocess(
            visit.control, visit.caller, visit.merchant, [found], despite_conflict=despite
        )
    except WrongStateError as error:
        return await _show(visit, found, Messages({}, [str(error)]))
    place = f"{_LIST}/{ids.to_text(ids.RECEIPT, found.id)}"
    return visit.go(place, said="It will be read again in a moment.")


async def named(visit: Visit, connector_ids: Iterable[ConnectorId]) -> dict[ConnectorId, Connector]:
    """Return the merchant's connectors by id: those to choose from, and all that are asked for.

    A deleted one too where it is asked for.
    """
    store, merchant_id = visit.control.store, visit.merchant.id
    window = Window(limit=PAGE_SIZE_MAX)
    known = {one.id: one for one in await store.connectors(merchant_id, window)}
    for connector_id in set(connector_ids) - known.keys():
        found = await store.connector(merchant_id, connector_id)
        if found is not None:
            known[connector_id] = found
    return known


def sentence(words: str | None) -> str:
    """Return words as a sentence: reasons for logs begin small and end without a full stop."""
    if not words:
        return ""
    whole = words[0].upper() + words[1:]
    return whole if whole.endswith((".", "?", "!")) else f"{whole}."


async def _found(visit: Visit) -> Receipt:
    return await receipts.find(visit.control, visit.merchant, visit.parameter["receipt_id"])


def _filter_of(filters: Filters) -> ReceiptFilter:
    connector_id = filters.id("connector", ids.CONNECTOR)
    state = filters.choice("state", list(ReceiptState))
    return ReceiptFilter(
        connector_id=None if connector_id is None else ConnectorId(connector_id),
        states=None if state is None else (ReceiptState(state),),
    )


async def _show(visit: Visit, found: Receipt, messages: Messages) -> Response:
    connector = await visit.control.store.connector(visit.merchant.id, found.connector_id)
    there = connector is not None and connector.status is not ConnectorStatus.DELETED
    reads = found.state in REPROCESSABLE and there and visit.may(Scope.CONNECTORS_WRITE)
    return visit.show(
        "receipts/one.html",
        part="receipt",
        status=409 if messages else 200,
        title=found.word or "Receipt",
        receipt=found,
        text=ids.to_text(ids.RECEIPT, found.id),
        connector=connector,
        there=there,
        state=STATES[found.state],
        verdict=VERDICTS[found.verdict],
        reason=sentence(found.reason),
        diagnosis=await diagnosis(visit.control, visit.merchant, found),
        waits=found.state is ReceiptState.RECEIVED,
        line=_line(found),
        head=spelled(evidence.head(receipts.shown_headers(found))),
        body=body_of(receipts.shown_body(found)),
        masked=receipts.is_masked(found),
        sha256=found.body_sha256.hex(),
        told=await _told(visit, found),
        reads=reads,
        messages=messages,
    )


def _line(found: Receipt) -> str:
    if found.is_answer:
        return "What the provider answered when we asked"
    return spelled(f"{found.method}{' ?' if found.query else ''}{found.query}")


async def _told(visit: Visit, found: Receipt) -> list[StoredEvent]:
    """Return the events that follow from the receipt, newest first."""
    if found.object_type is None or found.object_id is None:
        return []
    subject = Subject(
        merchant_id=found.merchant_id,
        connector_id=found.connector_id,
        object_type=found.object_type,
        object_id=found.object_id,
    )
    before = await visit.control.store.heard_before(subject, limit=_HISTORY_MAX)
    said = [word for one in before.heard for word in one.said]
    told: list[StoredEvent] = []
    for _object_type, object_id in dict.fromkeys(object_of(word) for word in said):
        events = await objects.read(
            visit.control, visit.merchant.id, object_id, bytes_max=_EVENTS_BYTES_MAX
        )
        told += [one for one in events.events if trails.receipt_of(one) == found.id]
    return sorted(told, key=lambda one: one.event.id, reverse=True)

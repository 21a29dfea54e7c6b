"""Deliveries: the list across webhooks, and the story of one of them."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from starlette.responses import Response

from payhooks import ids
from payhooks.console import evidence
from payhooks.console.guard import safe_next
from payhooks.console.listing import (
    Filters,
    Listed,
    address,
    labelled,
    listed,
    recovery,
    searched,
    webhook_options,
    window_of,
)
from payhooks.console.page import ROOT, Factor, Visit, page
from payhooks.console.story import REASON_OPTIONS, advice_on, shown_status, story_of, verdict_of
from payhooks.control import deliveries as control
from payhooks.errors import InvalidError, WrongStateError
from payhooks.ids import EndpointId
from payhooks.model.attempt import Attempt, Reason
from payhooks.model.delivery import FINAL_STATES, Delivery, State
from payhooks.model.endpoint import EndpointStatus
from payhooks.model.key import Scope
from payhooks.ports.reading import DeliveryFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payhooks.receiver.explain import Step

_LIST: Final = "/deliveries"
_ONE: Final = _LIST + "/{delivery_id}"
_FILTERS: Final = ("status", "webhook", "type", "reason", "from", "to")
# What a replay of all that match can be asked for: it knows nothing of what waits.
_REPLAYED: Final = frozenset({State.FAILED, State.CANCELLED, State.DELIVERED})
_VIEWS: Final = ("request", "response", "timing", "signature")
_STATUS_OPTIONS: Final = [
    (name, "Scheduled or retrying" if name == State.SCHEDULED else name.capitalize())
    for name in control.STATUSES
]
# Phases of an attempt, in order; neighbours differ, and the table beside says which is which.
_PHASES: Final = (
    ("Name look-up", "dns_s", "plain"),
    ("Connecting", "connect_s", "good"),
    ("TLS", "tls_s", "plain"),
    ("Waiting for the answer", "wait_s", "wait"),
)
_SELECTED_MAX: Final = 100
# What is due goes within a second where its webhook is well and not far behind.
_OVERDUE: Final = timedelta(seconds=5)
_ALIKE_DAYS: Final = 7  # what failed like a delivery, or since then where that is older


@page("GET", _LIST, needs=Scope.DELIVERIES_READ, factor=Factor.ONCE)
async def deliveries(visit: Visit) -> Response:
    """List deliveries, newest event first."""
    filters = Filters(visit.query)
    if filters.text("q"):
        return visit.go(searched(filters.text("q")))
    wanted = _filter_of(filters)
    found: Listed[Delivery] = Listed()
    if not filters.wrong:
        window = window_of(visit, ids.DELIVERY)
        rows = await visit.control.store.deliveries(visit.merchant.id, wanted, window)
        found = listed(visit, ids.DELIVERY, rows, id_of=lambda row: row.id)
    asked = [] if wanted.endpoint_id is None else [wanted.endpoint_id]
    endpoints = await labelled(visit, [*asked, *(row.endpoint_id for row in found.items)])
    may_replay = visit.may(Scope.DELIVERIES_WRITE)
    live = visit.query.get("live") == "1" and found.first is None
    return visit.show(
        "deliveries.html",
        part="rows",
        status=422 if filters.wrong else 200,
        title="Deliveries",
        filters=filters,
        filtered=filters.any_of(_FILTERS),
        found=found,
        shown_status=shown_status,
        endpoints=endpoints,
        status_options=_STATUS_OPTIONS,
        webhook_options=webhook_options(endpoints),
        reason_options=REASON_OPTIONS,
        live=live,
        tail=address(visit, {"live": None if live else "1"}),
        replay_all=_replay_all(visit, filters) if may_replay else None,
        may_replay=may_replay,
    )


@page("POST", _LIST + "/replay", needs=Scope.DELIVERIES_WRITE, factor=Factor.FRESH)
async def replay_selected(visit: Visit) -> Response:
    """Send those that were ticked once more, and say how many could not be."""
    chosen = tuple(dict.fromkeys(visit.form.every("delivery")))
    if len(chosen) > _SELECTED_MAX:
        raise InvalidError.at("/delivery", "too_many", f"Choose at most {_SELECTED_MAX} at once.")
    sent, refused = 0, ""
    for text in chosen:
        delivery = await control.find_delivery(visit.control, visit.merchant, text)
        try:
            await control.retry(visit.control, visit.caller, visit.merchant, delivery)
            sent += 1
        except WrongStateError as error:
            refused = str(error)
    said = f"{sent} of {len(chosen)} deliveries are on their way again. {refused}"
    if not chosen:
        said = "Tick the deliveries to send again first."
    return visit.go(safe_next(visit.form.text("next", ROOT + _LIST)), said=said.strip())


@page("GET", _ONE, needs=Scope.DELIVERIES_READ, factor=Factor.ONCE)
async def delivery(visit: Visit) -> Response:
    """Tell what became of one delivery, and what to do about it."""
    found, attempts = await control.find_with_attempts(
        visit.control, visit.merchant, visit.parameter["delivery_id"]
    )
    store, merchant_id = visit.control.store, visit.merchant.id
    stored = await store.event(merchant_id, ids.event_id_of(found.id))
    endpoint = await store.endpoint(merchant_id, found.endpoint_id)
    number = _attempt_number(visit, attempts)
    attempt = attempts[number - 1] if number else None
    view = visit.query.get("view", "")
    view = view if view in _VIEWS else _VIEWS[0]
    status = shown_status(found)
    request = None
    if stored is not None and endpoint is not None and not stored.expunged:
        whole = visit.may(Scope.ENDPOINTS_WRITE)
        request = await evidence.request_of(
            visit.parts, found, stored.event, endpoint, attempt, whole=whole
        )
    there = endpoint is not None and endpoint.status is not EndpointStatus.DELETED
    # Where its dialect could not say it there is no request, but a replay asks today's dialect.
    kept = stored is not None and not stored.expunged
    steps: Sequence[Step] = ()
    if view == "signature" and request is not None and endpoint is not None:
        steps = await evidence.steps_of(visit.parts, request, endpoint)
    undone = found.state not in FINAL_STATES
    phases = [] if attempt is None else _phases(attempt)
    return visit.show(
        "delivery.html",
        part="story",
        title=f"{found.event_type} → {endpoint.label if endpoint else 'deleted webhook'}",
        delivery=found,
        event_text=ids.to_text(ids.EVENT, ids.event_id_of(found.id)),
        standing=status,
        stored=stored,
        endpoint=endpoint,
        attempts=attempts,
        number=number,
        attempt=attempt,
        answer_head="" if attempt is None else evidence.head(attempt.answer_headers),
        answer_text="" if attempt is None else evidence.pretty(attempt.answer_body),
        phases=phases,
        phase_rows=[(word, f"{seconds * 1_000:.1f}") for word, seconds, _tone in phases],
        view=view,
        attempt_links=[
            address(visit, {"attempt": str(place + 1)}) for place in range(len(attempts))
        ],
        view_links=_view_links(visit, view, number),
        story=story_of(found, status, attempts, endpoint),
        advice=advice_on(found.reason) if status in {"failed", "retrying"} else (),
        recover_alike=_recover_alike(visit, found) if there else None,
        verdict=_verdict(visit, found, attempts),
        request=request,
        steps=steps,
        undone=undone,
        overdue=there and status in {"scheduled", "retrying"} and _is_overdue(found, visit.now),
        may_replay=there and kept and visit.may(Scope.DELIVERIES_WRITE),
        may_cancel=undone and found.state is not State.LEASED and visit.may(Scope.DELIVERIES_WRITE),
    )


@page("POST", _ONE + "/replay", needs=Scope.DELIVERIES_WRITE, factor=Factor.ONCE)
async def replay_one(visit: Visit) -> Response:
    """Send it once more; its page then tells what came of that."""
    text = visit.parameter["delivery_id"]
    found = await control.find_delivery(visit.control, visit.merchant, text)
    try:
        await control.retry(visit.control, visit.caller, visit.merchant, found)
    except WrongStateError as error:
        return visit.go(f"{_LIST}/{text}", said=str(error))
    return visit.go(f"{_LIST}/{text}?replayed={found.fence}", said="It is on its way again.")


@page("POST", _ONE + "/cancel", needs=Scope.DELIVERIES_WRITE, factor=Factor.ONCE)
async def cancel(visit: Visit) -> Response:
    """Call it off."""
    text = visit.parameter["delivery_id"]
    found = await control.find_delivery(visit.control, visit.merchant, text)
    try:
        await control.cancel(visit.control, visit.caller, visit.merchant, found)
    except WrongStateError as error:
        return visit.go(f"{_LIST}/{text}", said=str(error))
    return visit.go(f"{_LIST}/{text}", said="The delivery is cancelled.")


def _replay_all(visit: Visit, filters: Filters) -> str | None:
    """Return where all that match can be replayed; None where a replay cannot be asked for it."""
    status = filters.text("status")
    if status not in _REPLAYED or (status == State.DELIVERED and filters.text("reason")):
        return None
    kept = {name: filters.text(name) for name in ("webhook", "type", "reason", "from", "to")}
    asked = {name: text for name, text in kept.items() if text}
    asked |= {"include": status, "count": "1"}
    return f"{ROOT}/replays/new?{urlencode(asked)}"


def _recover_alike(visit: Visit, found: Delivery) -> str | None:
    """Return where all that the webhook failed with the same reason can be sent again."""
    failed = found.state is State.FAILED and found.reason is not None
    if not failed or not visit.may(Scope.DELIVERIES_WRITE):
        return None
    since = min(ids.made_at(found.id), visit.now - timedelta(days=_ALIKE_DAYS))
    return recovery(since=since, endpoint_id=found.endpoint_id, reason=found.reason)


def _is_overdue(found: Delivery, now: datetime) -> bool:
    return found.due_at is not None and now - found.due_at > _OVERDUE


def _phases(attempt: Attempt) -> list[tuple[str, float, str]]:
    timing = attempt.timing
    known = [(word, float(getattr(timing, name)), tone) for word, name, tone in _PHASES]
    rest = max(0.0, timing.total_s - sum(seconds for _word, seconds, _tone in known))
    return [*known, ("Sending and reading", rest, "plain")]


def _view_links(visit: Visit, view: str, number: int) -> list[tuple[str, str, bool]]:
    return [
        (
            address(visit, {"attempt": str(number) if number else None, "view": name}),
            name.capitalize(),
            name == view,
        )
        for name in _VIEWS
    ]


def _filter_of(filters: Filters) -> DeliveryFilter:
    status = filters.choice("status", control.STATUSES)
    states, held = ((), None) if status is None else control.STATUSES[status]
    endpoint_id = filters.id("webhook", ids.ENDPOINT)
    reason = filters.choice("reason", tuple(Reason))
    gte, lt = filters.span()
    return DeliveryFilter(
        states=states,
        held=held,
        endpoint_id=None if endpoint_id is None else EndpointId(endpoint_id),
        event_types=filters.patterns("type"),
        reason=None if reason is None else Reason(reason),
        created_gte=gte,
        created_lt=lt,
    )


def _attempt_number(visit: Visit, attempts: list[Attempt]) -> int:
    """Return which attempt is looked at, from 1; the latest unless the URL says; 0 of none."""
    text = visit.query.get("attempt", "")
    chosen = int(text) if text.isascii() and text.isdecimal() and len(text) < len("10000") else 0
    return chosen if 1 <= chosen <= len(attempts) else len(attempts)


def _verdict(visit: Visit, found: Delivery, attempts: list[Attempt]) -> tuple[str, str] | None:
    text = visit.query.get("replayed", "")
    if not (text.isascii() and text.isdecimal() and len(text) < len("1000000000")):
        return None
    return verdict_of(found, attempts, fence=int(text))

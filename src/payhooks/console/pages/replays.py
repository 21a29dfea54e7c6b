"""Replays: many deliveries sent again, counted before, paced, watched and called off."""

from typing import Final

from starlette.datastructures import QueryParams
from starlette.responses import Response

from payhooks import ids
from payhooks.console.forms import Messages
from payhooks.console.listing import (
    Filters,
    address,
    labelled,
    listed,
    webhook_options,
    window_of,
)
from payhooks.console.page import Factor, Visit, page
from payhooks.console.story import REASON_OPTIONS
from payhooks.control import replay as control
from payhooks.control.replay import RATE_PER_S_MAX, RATE_PER_S_MIN, Counted, ReplayDraft
from payhooks.errors import InvalidError, WrongStateError
from payhooks.ids import EndpointId
from payhooks.model.attempt import Reason
from payhooks.model.key import Scope
from payhooks.model.replay import Include, ReplayFilter, ReplayState

_LIST: Final = "/replays"
_NEW: Final = _LIST + "/new"
_ONE: Final = _LIST + "/{replay_id}"
_RATE: Final = 100.0  # the API's default
# Failed first: it is what recovering means, and so what is ticked at first.
_INCLUDE: Final = (
    (Include.FAILED, "Failed", "out of attempts, or told to stop"),
    (Include.MISSED, "Missed", "selected by a webhook that was disabled when the event came"),
    (Include.CANCELLED, "Cancelled", "called off"),
    (Include.DELIVERED, "Delivered", "had already: receivers get these a second time"),
)
_NARROWING: Final = ("webhook", "type", "object", "reason", "from", "to")
_FIELDS: Final = {
    "/include": "include",
    "/rate_per_s": "rate_per_s",
    "/filter/event_types": "type",
    "/filter/created_lt": "to",
    "/filter/reason": "reason",
    **{f"/{name}": name for name in _NARROWING},
}


@page("GET", _LIST, needs=Scope.DELIVERIES_READ, factor=Factor.ONCE)
async def replays(visit: Visit) -> Response:
    """List replays, newest first."""
    rows = await visit.control.store.replays(visit.merchant.id, window_of(visit, ids.REPLAY))
    found = listed(visit, ids.REPLAY, rows, id_of=lambda row: row.id)
    asked = [row.filter.endpoint_id for row in found.items if row.filter.endpoint_id is not None]
    return visit.show(
        "replays.html",
        title="Replays",
        found=found,
        endpoints=await labelled(visit, asked),
        may_replay=visit.may(Scope.DELIVERIES_WRITE),
    )


@page("GET", _NEW, needs=Scope.DELIVERIES_WRITE, factor=Factor.ONCE)
async def new(visit: Visit) -> Response:
    """Ask what to send again; count it once that is said."""
    filters = Filters(visit.query)
    if visit.query.get("count") != "1":
        return await _ask(visit, filters, filters.messages, None)
    try:
        counted = await control.count(visit.control, visit.merchant, _draft_of(filters))
    except InvalidError as error:
        return await _ask(visit, filters, Messages.from_error(error, _FIELDS), None)
    return await _ask(visit, filters, filters.messages, counted)


@page("POST", _LIST, needs=Scope.DELIVERIES_WRITE, factor=Factor.FRESH)
async def create(visit: Visit) -> Response:
    """Begin the job; its page tells how far it is."""
    filters = Filters(QueryParams(list(visit.form.carried)))
    try:
        draft = _draft_of(filters)
        job = await control.create(visit.control, visit.caller, visit.merchant, draft)
    except InvalidError as error:
        return await _ask(visit, filters, Messages.from_error(error, _FIELDS), None)
    return visit.go(f"{_LIST}/{ids.to_text(ids.REPLAY, job.id)}", said="The replay has begun.")


@page("GET", _ONE, needs=Scope.DELIVERIES_READ, factor=Factor.ONCE)
async def replay(visit: Visit) -> Response:
    """Tell how far a replay is."""
    job = await control.find(visit.control, visit.merchant, visit.parameter["replay_id"])
    backlog = await visit.control.store.replay_backlog(job.id)
    chosen = job.filter.endpoint_id
    endpoints = await labelled(visit, [] if chosen is None else [chosen])
    running = job.state is ReplayState.RUNNING
    undone = sum(lane.undone for lane in backlog)
    return visit.show(
        "replay.html",
        part="progress",
        title="Replay",
        job=job,
        text=ids.to_text(ids.REPLAY, job.id),
        webhook=None if chosen is None else endpoints.get(chosen),
        undone=undone,
        moves=running or undone > 0,
        may_cancel=job.state is not ReplayState.DONE
        and (running or undone > 0)
        and visit.may(Scope.DELIVERIES_WRITE),
    )


@page("POST", _ONE + "/cancel", needs=Scope.DELIVERIES_WRITE, factor=Factor.ONCE)
async def cancel(visit: Visit) -> Response:
    """Stop the job, and take back what it had put on its way and still waits."""
    text = visit.parameter["replay_id"]
    job = await control.find(visit.control, visit.merchant, text)
    try:
        await control.cancel(visit.control, visit.caller, job)
    except WrongStateError as error:
        return visit.go(f"{_LIST}/{text}", said=str(error))
    return visit.go(f"{_LIST}/{text}", said="The replay is cancelled.")


async def _ask(
    visit: Visit, filters: Filters, messages: Messages, counted: Counted | None
) -> Response:
    include = filters.every("include", tuple(Include))
    chosen = filters.id("webhook", ids.ENDPOINT)
    endpoints = await labelled(visit, [] if chosen is None else [EndpointId(chosen)])
    rate = filters.number("rate_per_s", _RATE)
    kept = [(name, filters.text(name)) for name in _NARROWING]
    return visit.show(
        "replay_new.html",
        status=422 if messages else 200,
        title="Recover deliveries",
        filters=filters,
        messages=messages,
        include=include or (Include.FAILED,),
        include_options=_INCLUDE,
        webhook_options=webhook_options(endpoints),
        reason_options=REASON_OPTIONS,
        rate=filters.text("rate_per_s") or f"{_RATE:g}",
        rates=(f"{RATE_PER_S_MIN:g}", f"{RATE_PER_S_MAX:g}"),
        counted=counted,
        seconds=0 if counted is None else counted.matched / rate,
        fields=[
            *kept,
            *(("include", each) for each in include),
            ("rate_per_s", f"{rate:g}"),
        ],
        again=address(visit, {"count": None}),
    )


def _draft_of(filters: Filters) -> ReplayDraft:
    """Return what the fields ask for.

    Raises:
        InvalidError: Some of them cannot be read.

    """
    gte, lt = filters.span()
    endpoint_id = filters.id("webhook", ids.ENDPOINT)
    reason = filters.choice("reason", tuple(Reason))
    draft = ReplayDraft(
        filter=ReplayFilter(
            endpoint_id=None if endpoint_id is None else EndpointId(endpoint_id),
            event_types=filters.patterns("type"),
            object_id=filters.text("object") or None,
            reason=None if reason is None else Reason(reason),
            created_gte=gte,
            created_lt=lt,
        ),
        include=tuple(Include(each) for each in filters.every("include", tuple(Include))),
        rate_per_s=filters.number("rate_per_s", _RATE),
    )
    filters.check()
    return draft

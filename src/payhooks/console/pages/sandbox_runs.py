"""Runs of scenarios: the list, and one as it is played, event by event and webhook by webhook."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from starlette.responses import Response

from payhooks import ids
from payhooks.catalogue import Catalogue
from payhooks.console.evidence import pretty
from payhooks.console.listing import labelled, listed, window_of
from payhooks.console.page import Factor, Visit, page
from payhooks.console.pages.sandbox import RUNS, begin, speed_words, titles_of
from payhooks.console.story import shown_status
from payhooks.control import sandbox
from payhooks.control.sandbox import RunDraft
from payhooks.errors import WrongStateError
from payhooks.ids import EventId
from payhooks.model.delivery import FINAL_STATES, Delivery
from payhooks.model.key import Scope
from payhooks.model.sandbox_run import Played, RunState, SandboxRun
from payhooks.ports.controlling import Window

_ONE: Final = RUNS + "/{run_id}"
_WEBHOOKS_MAX: Final = 10  # per event; its own page has them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event of a run."""

    type: str
    words: str = ""
    object_type: str | None = None
    object_id: str | None = None
    occurred_at: datetime | None = None
    event_id: EventId | None = None  # None: not published yet
    at: datetime | None = None
    nth: int = 0  # of those that were published
    deliveries: Sequence[Delivery] = ()
    more: bool = False  # deliveries than are shown


@page("GET", RUNS, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def runs(visit: Visit) -> Response:
    """List runs, newest first."""
    sandbox.demand_sandbox(visit.merchant)
    rows = await visit.control.store.runs(visit.merchant.id, window_of(visit, ids.RUN))
    found = listed(visit, ids.RUN, rows, id_of=lambda row: row.id)
    return visit.show("sandbox/runs.html", title="Runs", found=found, titles=titles_of(found.items))


@page("GET", _ONE, needs=Scope.EVENTS_READ, factor=Factor.ONCE)
async def run(visit: Visit) -> Response:
    """Tell how far a run is, and what became of each of its events."""
    found = await sandbox.find(visit.control, visit.merchant, visit.parameter["run_id"])
    lines = await _lines(visit, found, await visit.parts.book.current())
    shown = [delivery for line in lines for delivery in line.deliveries]
    playing = found.state is RunState.PLAYING
    may_play = visit.may(Scope.EVENTS_WRITE)
    places = [one.place for one in found.played]
    return visit.show(
        "sandbox/run.html",
        part="progress",
        title=titles_of([found])[found.name],
        run=found,
        text=ids.to_text(ids.RUN, found.id),
        lines=lines,
        mixed=places != sorted(places),
        endpoints=await labelled(visit, {one.endpoint_id for one in shown}),
        shown_status=shown_status,
        moves=playing or any(one.state not in FINAL_STATES and not one.held for one in shown),
        members=pretty(found.members.encode()),
        speed=speed_words(found.speed),
        may_play=may_play,
        may_stop=may_play and playing,
    )


@page("POST", _ONE + "/stop", needs=Scope.EVENTS_WRITE, factor=Factor.ONCE)
async def stop(visit: Visit) -> Response:
    """Publish nothing more of it."""
    text = visit.parameter["run_id"]
    found = await sandbox.find(visit.control, visit.merchant, text)
    try:
        await sandbox.stop(visit.control, visit.caller, found)
    except WrongStateError as error:
        return visit.go(f"{RUNS}/{text}", said=str(error))
    return visit.go(f"{RUNS}/{text}", said="The run is stopped.")


@page("POST", _ONE + "/again", needs=Scope.EVENTS_WRITE, factor=Factor.ONCE)
async def again(visit: Visit) -> Response:
    """Play the same once more, to the byte but for the times."""
    text = visit.parameter["run_id"]
    found = await sandbox.find(visit.control, visit.merchant, text)
    draft = RunDraft(
        scenario=None if found.alone else found.name,
        event=found.name if found.alone else None,
        family=found.family if found.alone else None,
        set=sandbox.read_spelled(found.members) if found.alone else dict(found.values),
        speed=found.speed,
        disorder=found.disorder,
        duplicate=found.duplicate,
        seed=found.seed,
    )
    try:
        return await begin(visit, draft)
    except WrongStateError as error:
        return visit.go(f"{RUNS}/{text}", said=str(error))


async def _lines(visit: Visit, found: SandboxRun, book: Catalogue) -> list[Line]:
    """Return the run's events as they happen, with what became of those that went out."""
    played = {one.place: (nth, one) for nth, one in enumerate(found.played, start=1)}
    written = sandbox.script_of(found, book)
    if written is None:
        # Told by another version: what it published is still to be found.
        told = {place: await _stored(visit, one) for place, (_nth, one) in played.items()}
    else:
        told = {
            said.place: Line(
                type=said.type,
                words=said.words,
                object_type=said.object_type,
                object_id=said.object_id,
                occurred_at=said.occurred_at,
            )
            for said in written.publications
        }
    return [
        await _went(visit, line, *played[place]) if place in played else line
        for place, line in told.items()
    ]


async def _stored(visit: Visit, one: Played) -> Line:
    stored = await visit.control.store.event(visit.merchant.id, one.event_id)
    if stored is None:
        return Line(type="no longer kept")
    event = stored.event
    return Line(
        type=event.type,
        object_type=event.object_type,
        object_id=event.object_id,
        occurred_at=event.occurred_at,
    )


async def _went(visit: Visit, line: Line, nth: int, one: Played) -> Line:
    window = Window(limit=_WEBHOOKS_MAX + 1)
    rows = await visit.control.store.deliveries_of(visit.merchant.id, one.event_id, window)
    return replace(
        line,
        event_id=one.event_id,
        at=one.at,
        nth=nth,
        deliveries=rows[:_WEBHOOKS_MAX],
        more=len(rows) > _WEBHOOKS_MAX,
    )

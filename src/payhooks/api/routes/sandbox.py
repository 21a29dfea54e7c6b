"""The sandbox: scenarios, and the runs that play them."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import PROBLEMS, CatalogueRead, EventsRead, EventsWrite, TextId
from payhooks.api.schemas.sandbox import RunCreate, RunPage, RunView, ScenariosView
from payhooks.catalogue import Catalogue
from payhooks.control import sandbox
from payhooks.control.sandbox import RunDraft
from payhooks.model.sandbox_run import Played, SandboxRun
from payhooks.sandbox.scenarios import Scenario, Step, shipped

catalogue = APIRouter(prefix="/v1/sandbox", tags=["sandbox"], responses=PROBLEMS)
router = APIRouter(prefix="/v1/merchants/{m}/sandbox/runs", tags=["sandbox"], responses=PROBLEMS)


@catalogue.get("/scenarios", response_model=ScenariosView, summary="List scenarios")
async def list_scenarios(granted: CatalogueRead) -> Response:
    """Family by family, each with its events in order."""
    return views.reply({"data": [_scenario(one) for one in shipped().scenarios.values()]})


@router.post("", status_code=202, response_model=RunView, summary="Play a scenario")
async def create(granted: EventsWrite, body: RunCreate, request: Request) -> Response:
    """Begin a run of a scenario, or of one event; sandbox merchants only."""
    book = await granted.services.book.current()
    # The body has what is set as well, but with doubles for its numbers.
    draft = RunDraft(
        scenario=body.scenario,
        event=body.event,
        family=body.family,
        set=sandbox.read_spelled(await request.body()).get("set", {}),
        speed=body.speed,
        disorder=body.disorder,
        duplicate=body.duplicate,
        seed=body.seed,
    )
    run = await sandbox.create(granted.control, granted.caller, granted.merchant, book, draft)
    merchant_id = ids.to_text(ids.MERCHANT, run.merchant_id)
    location = f"/v1/merchants/{merchant_id}/sandbox/runs/{ids.to_text(ids.RUN, run.id)}"
    return views.reply(_run(run, book), status=202, headers={"location": location})


@router.get("", response_model=RunPage, summary="List sandbox runs")
async def list_(granted: EventsRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first, without their events."""
    found = await granted.control.store.runs(granted.merchant.id, page.window())
    members, headers = page.page(found, _run, id_of=lambda run: run.id)
    return views.reply(members, headers=headers)


@router.get("/{run_id}", response_model=RunView, summary="Read a sandbox run")
async def read(granted: EventsRead, run_id: TextId) -> Response:
    """Tell how far it is, event by event."""
    run = await sandbox.find(granted.control, granted.merchant, run_id)
    return views.reply(_run(run, await granted.services.book.current()))


@router.post("/{run_id}/stop", response_model=RunView, summary="Stop a sandbox run")
async def stop(granted: EventsWrite, run_id: TextId) -> Response:
    """Publish nothing more; what was published stays and is delivered."""
    run = await sandbox.find(granted.control, granted.merchant, run_id)
    run = await sandbox.stop(granted.control, granted.caller, run)
    return views.reply(_run(run, await granted.services.book.current()))


def _scenario(value: Scenario) -> views.View:
    return {
        "name": value.name,
        "title": value.title,
        "words": value.words,
        "family": value.family,
        "variables": value.variables,
        "steps": [_step(step) for step in value.steps],
    }


def _step(value: Step) -> views.View:
    return {
        "event": value.event,
        "object": value.object,
        "after": value.after,
        "words": value.words,
        "if": value.condition,
    }


def _run(value: SandboxRun, book: Catalogue | None = None) -> views.View:
    view: views.View = {
        "id": ids.to_text(ids.RUN, value.id),
        "scenario": None if value.alone else value.name,
        "event": value.name if value.alone else None,
        "family": value.family,
        "state": value.state,
        "reason": value.reason,
        "seed": value.seed,
        "set": msgspec.Raw(value.members.encode()) if value.alone else dict(value.values),
        "speed": value.speed,
        "disorder": value.disorder,
        "duplicate": value.duplicate,
        "auto_capture": value.auto_capture,
        "steps": value.steps,
        "left_out": value.left_out,
        "published": len(value.played),
        "sent_again": value.sent_again,
        "created_at": views.time(value.created_at),
        "finished_at": views.time(value.finished_at),
    }
    if book is not None:
        view["events"] = _events(value, book)
    return view


def _events(run: SandboxRun, book: Catalogue) -> list[views.View]:
    """Return what is published, in the order of the life that is told."""
    written = sandbox.script_of(run, book)
    played = {one.place: one for one in run.played}
    if written is None:
        # Told by another version: what it published is still to be found.
        untold = {"type": None, "object": None, "occurred_at": None, "words": None}
        return [{**_published(one), **untold} for one in run.played]
    return [
        {
            **_published(played.get(said.place)),
            "type": said.type,
            "object": {"type": said.object_type, "id": said.object_id},
            "occurred_at": views.time(said.occurred_at),
            "words": said.words,
        }
        for said in written.publications
    ]


def _published(played: Played | None) -> views.View:
    if played is None:
        return {"id": None, "published_at": None}
    return {"id": ids.to_text(ids.EVENT, played.event_id), "published_at": views.time(played.at)}

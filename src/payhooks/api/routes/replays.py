"""Replays."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from payhooks import ids
from payhooks.api import views
from payhooks.api.pagination import PageQuery
from payhooks.api.routes.common import PROBLEMS, DeliveriesRead, DeliveriesWrite, TextId
from payhooks.api.routes.deliveries import endpoint_id_of
from payhooks.api.schemas.requests import ReplayCreate
from payhooks.api.schemas.responses import ReplayCountView, ReplayPage, ReplayView
from payhooks.control import replay
from payhooks.control.replay import ReplayDraft
from payhooks.model.replay import ReplayFilter

router = APIRouter(prefix="/v1/merchants/{m}/replays", tags=["replays"], responses=PROBLEMS)


@router.post(
    "", status_code=202, response_model=ReplayView | ReplayCountView, summary="Send many again"
)
async def create(granted: DeliveriesWrite, body: ReplayCreate) -> Response:
    """Count first; a dry run ends there, else a job begins that is paced and can be cancelled."""
    draft = _draft(body)
    if body.dry_run:
        counted = await replay.count(granted.control, granted.merchant, draft)
        view = {
            "dry_run": True,
            "matched": counted.matched,
            "complete": counted.complete,
            "seconds_at_rate": round(counted.matched / draft.rate_per_s, 1),
        }
        return views.reply(view, status=202)
    job = await replay.create(granted.control, granted.caller, granted.merchant, draft)
    merchant_id = ids.to_text(ids.MERCHANT, job.merchant_id)
    location = f"/v1/merchants/{merchant_id}/replays/{ids.to_text(ids.REPLAY, job.id)}"
    return views.reply(views.replay(job), status=202, headers={"location": location})


@router.get("", response_model=ReplayPage, summary="List replays")
async def list_(granted: DeliveriesRead, page: Annotated[PageQuery, Depends()]) -> Response:
    """Newest first."""
    found = await granted.control.store.replays(granted.merchant.id, page.window())
    members, headers = page.page(found, views.replay, id_of=lambda job: job.id)
    return views.reply(members, headers=headers)


@router.get("/{replay_id}", response_model=ReplayView, summary="Read a replay")
async def read(granted: DeliveriesRead, replay_id: TextId) -> Response:
    """Tell how far it is."""
    return views.reply(
        views.replay(await replay.find(granted.control, granted.merchant, replay_id))
    )


@router.post("/{replay_id}/cancel", response_model=ReplayView, summary="Stop a replay")
async def cancel(granted: DeliveriesWrite, replay_id: TextId) -> Response:
    """Stop the job and take back what it had put on its way and still waits."""
    job = await replay.find(granted.control, granted.merchant, replay_id)
    return views.reply(views.replay(await replay.cancel(granted.control, granted.caller, job)))


def _draft(body: ReplayCreate) -> ReplayDraft:
    chosen = body.filter
    endpoint_id = chosen.endpoint_id
    return ReplayDraft(
        filter=ReplayFilter(
            endpoint_id=None
            if endpoint_id is None
            else endpoint_id_of(endpoint_id, "/filter/endpoint_id"),
            event_types=chosen.event_types,
            object_id=chosen.object_id,
            reason=chosen.reason,
            created_gte=chosen.created_gte,
            created_lt=chosen.created_lt,
        ),
        include=tuple(sorted(set(body.include))),
        rate_per_s=float(body.rate_per_s),
    )

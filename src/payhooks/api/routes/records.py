"""The audit log, and the counts for charts."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response

from payhooks.api import views
from payhooks.api.routes.common import PROBLEMS, AuditRead, DeliveriesRead
from payhooks.api.schemas.responses import AuditPage, StatsView
from payhooks.control import statistics
from payhooks.errors import InvalidError
from payhooks.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX

router = APIRouter(prefix="/v1/merchants/{m}", tags=["records"], responses=PROBLEMS)

Span = Literal["1h", "24h", "7d", "30d"]
Step = Literal["1m", "5m", "1h", "6h", "1d"]
_SECONDS: Final = {
    "1m": 60, "5m": 300, "1h": 3_600, "6h": 21_600, "24h": 86_400, "1d": 86_400,
    "7d": 604_800, "30d": 2_592_000,
}  # fmt: skip
_STEPS_MAX: Final = 400  # more than a chart has pixels for a bar
_NUMBER_MAX: Final = 2**53 - 1


@router.get("/audit-log", response_model=AuditPage, summary="Read the audit log")
async def audit_log(
    granted: AuditRead,
    before: Annotated[int | None, Query(ge=1, le=_NUMBER_MAX)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE_DEFAULT,
) -> Response:
    """Newest first; each entry's hash follows from the one before it."""
    found = await granted.control.store.audit_latest(
        granted.merchant.id, before=before, limit=limit + 1
    )
    shown = found[:limit]
    has_more = len(found) > limit
    view = {
        "data": [views.audit_entry(entry) for entry in shown],
        "has_more": has_more,
        "next": shown[-1].number if has_more else None,
    }
    return views.reply(view)


@router.get("/stats", response_model=StatsView, summary="Counts for charts")
async def stats(
    granted: DeliveriesRead,
    span: Annotated[Span, Query(alias="range")] = "24h",
    step: Step = "1h",
) -> Response:
    """Oldest first, empty steps included."""
    step_s = _SECONDS[step]
    steps = _SECONDS[span] // step_s
    if not 1 <= steps <= _STEPS_MAX:
        detail = f"A range has 1 to {_STEPS_MAX} steps; choose another step."
        raise InvalidError.at("?step", "out_of_range", detail)
    now = granted.control.clock.now()
    since = statistics.since(now, step_s=step_s, steps=steps)
    found = await statistics.stats(
        granted.control.store, granted.merchant.id, since=since, step_s=step_s, steps=steps
    )
    return views.reply({"step_s": step_s, "data": [views.bucket(bucket) for bucket in found]})

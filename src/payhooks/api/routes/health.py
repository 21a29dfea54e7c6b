"""What machines ask about this process: health, readiness, metrics, descriptions."""

import asyncio
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from payhooks.api import documents, views
from payhooks.api.auth import PUBLIC
from payhooks.api.problems import TABLE, TYPE_PREFIX, Kind
from payhooks.api.schemas.responses import HealthView
from payhooks.errors import NotFoundError

if TYPE_CHECKING:
    from payhooks.api.services import Services

router = APIRouter(tags=["health"], dependencies=[PUBLIC])


@router.get("/healthz", response_model=HealthView, summary="Whether the process lives")
async def healthz() -> Response:
    """Return 200 as long as requests are answered at all."""
    return views.reply({"status": "ok", "checks": {}})


@router.get("/readyz", response_model=HealthView, summary="Whether it can do its work")
async def readyz(request: Request) -> Response:
    """Return 503 with the reasons where it cannot."""
    services: Services = request.app.state.services
    found = await services.ready()
    status = "ok" if found.ready else "unavailable"
    view = {"status": status, "checks": found.checks}
    return views.reply(view, status=200 if found.ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return what Prometheus reads."""
    services: Services = request.app.state.services
    content_type, text = services.metrics()
    return Response(content=text, headers={"content-type": content_type})


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the one description of this API."""
    # Made when it is first asked for, in half a second: the loop has others to serve.
    return views.reply(await asyncio.to_thread(request.app.openapi))


@router.get("/asyncapi.json", include_in_schema=False)
async def asyncapi() -> Response:
    """Return the description of what endpoints hear."""
    return views.reply(await asyncio.to_thread(documents.asyncapi))


@router.get(TYPE_PREFIX + "{name}", include_in_schema=False)
async def problem(name: str) -> Response:
    """Return what a problem's type means: its URL resolves."""
    if name not in TABLE:
        raise NotFoundError("There is no such problem.")
    status, title = TABLE[Kind(name)]
    return views.reply({"type": f"{TYPE_PREFIX}{name}", "status": status, "title": title})

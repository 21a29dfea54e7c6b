"""``payhooks serve``."""

from typing import Annotated

import typer


def serve(
    *,
    without_worker: Annotated[
        bool, typer.Option("--without-worker", help="Accept and answer, but send nothing.")
    ] = False,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
) -> int:
    """Serve the API and send deliveries, in PAYHOOKS_WORKERS processes."""
    from payhooks.cli import local, running, supervising  # noqa: PLC0415 - start-up time

    settings = local.settings()
    if child:
        running.end_with_parent()
    elif settings.workers > 1:
        return supervising.supervise(settings, without_worker=without_worker)
    running.serve(settings, sends=not without_worker, shared=child)
    return 0

"""``payhooks dev``: everything on this machine, with nothing to configure."""

import time
from pathlib import Path
from typing import Annotated

import typer

from payhooks.cli.client import DEV_FILE
from payhooks.cli.output import AsJson

_STARTED_S = time.monotonic()


def dev(
    *,
    directory: Annotated[
        Path, typer.Option("--data", help="Where data is kept; delete it to start again.")
    ] = DEV_FILE.parent,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the API.")] = 8420,
    receiver_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Of the test receiver.")
    ] = 8421,
    elapsed_s: Annotated[
        float, typer.Option("--elapsed-s", hidden=True, help="What scripts/dev took before us.")
    ] = 0.0,
    json: AsJson = False,
) -> None:
    """Start server, worker and a test receiver, with a demo merchant, on SQLite.

    Publishes one event, shows it arriving, and what to try next; runs until Ctrl-C.
    """
    from payhooks.cli import developing  # noqa: PLC0415 - start-up time

    developing.develop(
        directory,
        port=port,
        receiver_port=receiver_port,
        started_s=_STARTED_S - elapsed_s,
        as_json=json,
    )

"""``payhooks listen``: deliveries from a server to a program on this machine."""

from typing import Annotated

import typer

from payhooks.cli.client import connect
from payhooks.cli.output import AsJson, MerchantName


def listen(
    *,
    forward_to: Annotated[
        str, typer.Option(metavar="URL", help="Where to post to: localhost:8000/webhooks.")
    ],
    event: Annotated[
        list[str] | None,
        typer.Option("--event", "-e", help="A type or pattern; may be given several times."),
    ] = None,
    allow_external: Annotated[
        bool, typer.Option("--allow-external", help="Forward to other machines too.")
    ] = False,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Forward deliveries to a program on this machine, until Ctrl-C."""
    from payhooks.cli import listening  # noqa: PLC0415 - start-up time

    target = listening.target_of(forward_to, allow_external=allow_external)
    listening.Listener(connect(merchant), target, event or ["*"], as_json=json).run()

"""``payhooks config``: what is set, and where from."""

from typing import Annotated

import typer

from payhooks.cli.output import AsJson, as_json, say, table

group = typer.Typer(help="Settings.", no_args_is_help=True)


@group.callback(help="Settings: what is set, and where from.")
def settings() -> None:
    """Keep the name of the group: Typer would drop it where there is one command only."""


@group.command("check")
def check(
    *,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only say what is wrong.")] = False,
    json: AsJson = False,
) -> None:
    """Check the settings and print every value with its source; secrets are masked."""
    from payhooks.cli import configuration, local  # noqa: PLC0415 - start-up time
    from payhooks.installed import load_dialects  # noqa: PLC0415 - start-up time

    rows = configuration.rows(local.settings())
    load_dialects()
    if json:
        as_json(rows)
    elif not quiet:
        table(rows, ["setting", "value", "source"])
        say("The settings are complete.")

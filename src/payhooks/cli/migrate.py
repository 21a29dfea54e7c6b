"""``payhooks migrate``."""

import asyncio
from typing import Annotated

import typer

from payhooks.cli.output import AsJson, as_json, say


def migrate(
    *,
    pre_only: Annotated[
        bool,
        typer.Option(
            "--pre-only",
            help="Stop where the version before and this one can both serve; run it again "
            "without when every process is new.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Bring the store's schema up to this version; run it before the new version serves."""
    # The store's drivers take longer to import than `payhooks --help` may take.
    from payhooks import bootstrap  # noqa: PLC0415 - start-up time
    from payhooks.cli import local  # noqa: PLC0415 - start-up time

    asyncio.run(bootstrap.migrate(local.settings(), pre_only=pre_only))
    if json:
        as_json({"migrated": True})
    else:
        what = "what this version needs" if pre_only else "the schema of this version"
        say(f"The store has {what}.")

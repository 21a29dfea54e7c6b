"""``payhooks migrate``."""

import asyncio

from payhooks.cli.output import AsJson, as_json, say


def migrate(*, json: AsJson = False) -> None:
    """Bring the store's schema up to this version; run it before the new version serves."""
    # The store's drivers take longer to import than `payhooks --help` may take.
    from payhooks import bootstrap  # noqa: PLC0415 - start-up time
    from payhooks.cli import local  # noqa: PLC0415 - start-up time

    asyncio.run(bootstrap.migrate(local.settings()))
    if json:
        as_json({"migrated": True})
    else:
        say("The store has the schema of this version.")

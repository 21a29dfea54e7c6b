"""``payhooks audit-log``: who changed what."""

import asyncio
from typing import Annotated, Any, Final

import typer

from payhooks.cli.client import connect
from payhooks.cli.output import AsJson, Limit, MerchantName, as_json, counted, line, table

group = typer.Typer(help="The audit log: who changed what.", no_args_is_help=True)

_COLUMNS: Final = ["number", "at", "actor", "action", "target"]
_PAGE: Final = 100


@group.command("list")
def list_(*, limit: Limit = 20, merchant: MerchantName = None, json: AsJson = False) -> None:
    """List changes, newest first."""
    api = connect(merchant)
    found: list[dict[str, Any]] = []
    before = None
    while len(found) < limit:
        wanted = min(limit - len(found), _PAGE)
        page = api.get(api.of_merchant("/audit-log"), limit=wanted, before=before)
        found += page["data"]
        before = page["next"]
        if not page["has_more"]:
            break
    as_json(found) if json else table(found, _COLUMNS)


@group.command("verify")
def verify(
    merchant: Annotated[
        str | None, typer.Argument(help="Its id or reference; every chain where none is named.")
    ] = None,
    *,
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What this printed earlier, as JSON; - reads it."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Check that every entry follows from the one before; 6 if one does not.

    Keep what --json prints outside of the database: only against that does it show that the end
    of a chain was cut off, or all of it written anew.

    Works on the store itself. A SQLite file must not be served meanwhile.
    """
    from payhooks.cli import auditing  # noqa: PLC0415 - start-up time
    from payhooks.cli.exits import ExitCode  # noqa: PLC0415 - beside its use

    found = asyncio.run(auditing.verify(merchant, against))
    if json:
        as_json(found)
    else:
        for chain in found:
            broken = chain["broken_at"]
            verdict = "holds" if broken is None else f"BROKEN at entry {broken}"
            line(f"{chain['chain']}  {counted(chain['entries'], 'entries')}  {verdict}")
    holds = all(chain["broken_at"] is None for chain in found)
    return ExitCode.OK if holds else ExitCode.NOT_VERIFIED

"""``payhooks reconcile``: proof that every endpoint got what it had selected."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from payhooks.cli.events import Since, Until
from payhooks.cli.output import AsJson, as_json, counted, line, say, table
from payhooks.cli.progress import bar

_COLUMNS: Final = [
    "endpoint", "hour", "expected", "delivered", "failed", "cancelled", "pending", "missing",
]  # fmt: skip


def reconcile(
    merchant: Annotated[
        str | None, typer.Argument(help="Its id or reference; all where none is named.")
    ] = None,
    *,
    since: Since = None,
    until: Until = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make what is missing.")] = False,
    json: AsJson = False,
) -> int:
    """Compare what was selected with what was delivered; 1 if they differ and stay so.

    Works on the store itself. A SQLite file must not be served meanwhile.
    """
    from payhooks.cli import reconciling  # noqa: PLC0415 - start-up time

    span = [None if text is None else datetime.fromisoformat(text) for text in (since, until)]
    with bar("Events", total=None) as advance:
        found = asyncio.run(reconciling.run(merchant, *span, repair=repair, progressed=advance))
    if json:
        as_json(found)
    else:
        _print(found)
    return 0 if all(each["equal"] or each["mended"] for each in found) else 1


def _print(found: list[dict[str, Any]]) -> None:
    if not found:
        say("There are no merchants.")
    for each in found:
        verdict = "equal" if each["equal"] else f"{each['differences_count']} differ"
        line(f"{each['merchant']}  {counted(each['events'], 'events')}  {verdict}")
        if each["equal"]:
            continue
        table([hour for hour in each["hours"] if hour["missing"]], _COLUMNS)
        for difference in each["differences"]:
            line(f"  {difference['kind']}  {difference['event']}  {difference['endpoint'] or '-'}")
        if each["repaired"]:
            say(f"Made, and on their way: {counted(each['repaired'], 'deliveries')}.")

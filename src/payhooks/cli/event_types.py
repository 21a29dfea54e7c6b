"""``payhooks event-types``: the catalogue."""

from typing import Annotated

import typer

from payhooks.cli.client import connect, segment
from payhooks.cli.output import AsJson, as_json, record, table

group = typer.Typer(help="Event types: the catalogue.", no_args_is_help=True)


@group.command("list")
def list_(
    *,
    family: Annotated[str | None, typer.Option(help="Only of this family.")] = None,
    json: AsJson = False,
) -> None:
    """List what can happen, by family and name."""
    found = connect().get("/v1/event-types", family=family)["data"]
    as_json(found) if json else table(found, ["family", "name", "words"])


@group.command("show")
def show(name: Annotated[str, typer.Argument(help="The type.")], *, json: AsJson = False) -> None:
    """Show a type, once for each family that has this word."""
    found = connect().get(f"/v1/event-types/{segment(name)}")["data"]
    if json:
        as_json(found)
        return
    for each in found:
        record(each)

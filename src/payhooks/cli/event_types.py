"""``payhooks event-types``: the catalogue."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from payhooks.cli import describing
from payhooks.cli.client import connect, segment
from payhooks.cli.output import AsJson, as_json, highlighted, line, say

group = typer.Typer(help="Event types: the catalogue.", no_args_is_help=True)


@group.command("list")
def list_(
    *,
    family: Annotated[str | None, typer.Option(help="Only of this family.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only with this in the name, the heading or the words.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List what can happen, by family and by what it happens to; ~ marks what we designed."""
    found = connect().get("/v1/event-types", family=family, q=search)["data"]
    if json:
        as_json(found)
        return
    if not found:
        say("There are none.")
    _print(describing.tree(found))


@group.command("show")
def show(name: Annotated[str, typer.Argument(help="The type.")], *, json: AsJson = False) -> None:
    """Show a type, once for each family that has this word."""
    found = connect().get(f"/v1/event-types/{segment(name)}")["data"]
    if json:
        as_json(found)
        return
    for each in found:
        _show(each)


def _show(view: dict[str, Any]) -> None:
    _print(describing.whole(view))
    if view["schema"] is not None:
        _print(["", "Data", *describing.members(view["schema"])])
    if view["example"] is not None:
        _print(["", "Example"])
        highlighted(view["example"])
    kind = view["object"]
    if kind is not None:
        _print(["", f"Life of a {kind['type']}", *describing.life(kind, view["name"])])
        _print(["", "In the unified events", *describing.mapping(kind)])
    _print([""])


def _print(lines: Iterable[str]) -> None:
    for each in lines:
        line(each)

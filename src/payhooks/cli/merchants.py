"""``payhooks merchants``: tenants, for the operator."""

from enum import StrEnum
from typing import Annotated

import typer

from payhooks.cli.client import connect, segment
from payhooks.cli.output import AsJson, Limit, as_json, record, table

group = typer.Typer(help="Merchants: the tenants. Operator only.", no_args_is_help=True)


class ModeChoice(StrEnum):
    """Sandbox money or real money."""

    SANDBOX = "sandbox"
    LIVE = "live"


@group.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    mode: Annotated[ModeChoice, typer.Option(help="Fixed for its life.")] = ModeChoice.SANDBOX,
    reference: Annotated[str | None, typer.Option(help="Your own id for it.")] = None,
    json: AsJson = False,
) -> None:
    """Make a merchant."""
    body = {"name": name, "mode": mode}
    if reference is not None:
        body["reference"] = reference
    made = connect(operator=True).post("/v1/merchants", body)
    as_json(made) if json else record(made)


@group.command("list")
def list_(*, limit: Limit = 20, json: AsJson = False) -> None:
    """List merchants, newest first."""
    found = list(connect(operator=True).pages("/v1/merchants", limit=limit))
    as_json(found) if json else table(found, ["id", "mode", "reference", "name"])


@group.command("show")
def show(
    merchant: Annotated[str, typer.Argument(help="Its id or reference.")], *, json: AsJson = False
) -> None:
    """Show one merchant."""
    found = connect(operator=True).get(f"/v1/merchants/{segment(merchant)}")
    as_json(found) if json else record(found)

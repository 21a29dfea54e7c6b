"""``payhooks merchants``: tenants, for the operator."""

import json as json_module
from enum import StrEnum
from typing import Annotated

import typer

from payhooks.cli.client import connect, segment
from payhooks.cli.inputs import json_bytes, pair
from payhooks.cli.output import AsJson, Limit, as_json, record, table
from payhooks.errors import InvalidError

Id = Annotated[str, typer.Argument(help="Its id or reference.")]

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
def show(merchant: Id, *, json: AsJson = False) -> None:
    """Show one merchant."""
    found = connect(operator=True).get(f"/v1/merchants/{segment(merchant)}")
    as_json(found) if json else record(found)


@group.command("edit")
def edit(  # noqa: PLR0913 - one option per member of a merchant
    merchant: Id,
    *,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    reference: Annotated[str | None, typer.Option(help="Your own id for it.")] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Whose event types are its own: foloosi; may be given several times."),
    ] = None,
    provider_id: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Its id at a provider, whose envelopes carry it."),
    ] = None,
    card_numbers: Annotated[
        str | None, typer.Option(help="What is done with them in events: report, mask or reject.")
    ] = None,
    type_check: Annotated[
        str | None, typer.Option(help="How strictly events are looked at: strict, warn or off.")
    ] = None,
    custom_dialect: Annotated[
        str | None,
        typer.Option(help="Its own format, whole: JSON, @file, or -; null removes it."),
    ] = None,
    sandbox_auto_capture: Annotated[
        bool | None,
        typer.Option(
            "--sandbox-auto-capture/--no-sandbox-auto-capture",
            help="Whether scenarios capture by themselves what was authorised.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Change what is given, each as a whole; the rest keeps its value."""
    given = {
        "name": name,
        "reference": reference,
        "families": family,
        "provider_ids": dict(
            pair(each, separator="=", option="--provider-id") for each in provider_id or []
        )
        or None,
        "card_numbers": card_numbers,
        "type_check": type_check,
        "sandbox_auto_capture": sandbox_auto_capture,
    }
    body = {member: value for member, value in given.items() if value is not None}
    if custom_dialect is not None:
        text = json_bytes(custom_dialect, option="--custom-dialect")
        body["custom_dialect"] = json_module.loads(text)
    if not body:
        raise InvalidError.at("edit", "required", "Say what to change.")
    path = f"/v1/merchants/{segment(merchant)}"
    edited = connect(operator=True).call("PATCH", path, body=body).json
    as_json(edited) if json else record(edited)

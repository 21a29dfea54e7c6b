"""``payhooks receipts``: what connectors brought."""

from typing import Annotated, Any, Final

import typer

from payhooks.cli.client import Api, connect, segment
from payhooks.cli.output import (
    AsJson,
    ConnectorName,
    Limit,
    MerchantName,
    as_json,
    line,
    record,
    say,
    table,
)
from payhooks.errors import InvalidError

group = typer.Typer(help="Receipts: what connectors brought.", no_args_is_help=True)

_COLUMNS: Final = ["id", "received_at", "connector_id", "verdict", "state", "event", "object"]

States = Annotated[
    list[str] | None,
    typer.Option(
        "--state", help="quarantined, unmapped, undecodable …; may be given several times."
    ),
]


@group.command("list")
def list_(
    *,
    connector: ConnectorName = None,
    state: States = None,
    limit: Limit = 20,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """List receipts, newest first."""
    api = connect(merchant)
    place = api.of_merchant("/receipts")
    found = list(api.pages(place, limit=limit, connector_id=connector, state=state))
    as_json(found) if json else table(map(_row, found), _COLUMNS)


@group.command("show")
def show(
    receipt: Annotated[str, typer.Argument(metavar="RECEIPT", help="Its id.")],
    *,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Show one receipt as it is kept, and why it is not verified: verdict, headers, body."""
    api = connect(merchant)
    found = api.get(api.of_merchant(f"/receipts/{segment(receipt)}"))
    if json:
        as_json(found)
        return
    headers, body, encoded = found.pop("headers"), found.pop("body"), found.pop("body_base64")
    diagnosis = found.pop("diagnosis")
    record(_row(found))
    if diagnosis:
        line("\nDiagnosis")
    for words in diagnosis:
        line(words)
    line("\nHeaders")
    for name, value in headers:
        line(f"{name}: {value}")
    line("\nBody" if body is not None else "\nBody, in base 64")
    line(encoded if body is None else body)


@group.command("reprocess")
def reprocess(  # noqa: PLR0913 - one option per choice
    receipt: Annotated[
        str | None,
        typer.Argument(metavar="RECEIPT", help="Its id; none: those of --connector in --state."),
    ] = None,
    *,
    despite_conflict: Annotated[
        bool,
        typer.Option("--despite-conflict", help="Tell it although the provider said otherwise."),
    ] = False,
    connector: ConnectorName = None,
    state: States = None,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Have a receipt read again, or all of a connector that are in some state."""
    many = connector is not None and bool(state) and not despite_conflict
    if (receipt is None) != many or (receipt is not None and (connector or state)):
        detail = "Name one receipt, or --connector and --state."
        raise InvalidError.at("reprocess", "malformed", detail)
    api = connect(merchant)
    if receipt is not None:
        place = api.of_merchant(f"/receipts/{segment(receipt)}/reprocess")
        found = api.post(place, {"despite_conflict": despite_conflict})
        words = f"{receipt} is read again."
    else:
        place = api.of_merchant(f"/connectors/{segment(connector or '')}/reprocess")
        found = reprocess_all(api, place, state)
        words = f"{found['reprocessed']} are read again, {found['unverified']} are not verified."
    if json:
        as_json(found)
    else:
        say(words)


def reprocess_all(api: Api, place: str, states: list[str] | None) -> dict[str, Any]:
    """Ask from the oldest on until all were looked at; return what became of them together."""
    found: dict[str, Any] = api.post(place, {"states": states})
    while found["has_more"]:
        following: dict[str, Any] = api.post(place, {"states": states, "after": found["next"]})
        for name in ("reprocessed", "unverified"):
            following[name] += found[name]
        found = following
    return found


def _row(found: dict[str, Any]) -> dict[str, Any]:
    about = found["object"]
    return {**found, "object": about and f"{about['type']} {about['id']}"}

"""``payhooks events``: what happened."""

import json as json_module
import secrets
from typing import Annotated, Any, Final

import typer

from payhooks.cli.client import Api, connect, segment
from payhooks.cli.inputs import json_bytes, pair, read_idempotency_key, read_time
from payhooks.cli.output import (
    AsJson,
    Limit,
    MerchantName,
    as_json,
    line,
    record,
    say,
    table,
)
from payhooks.errors import UnavailableError

group = typer.Typer(help="Events: what happened to payments.", no_args_is_help=True)

_COLUMNS: Final = ["id", "created_at", "type", "status", "deliveries"]

Since = Annotated[
    str | None, typer.Option(callback=read_time, help="Not before this time (RFC 3339).")
]
Until = Annotated[str | None, typer.Option(callback=read_time, help="Before this time (RFC 3339).")]


@group.command("publish")
def publish(  # noqa: PLR0913 - one option per member of an event
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="What happened.")],
    *,
    data: Annotated[
        str, typer.Option("--data", "-d", help="JSON, @file, or - for standard input.")
    ] = "{}",
    object_: Annotated[
        str | None, typer.Option("--object", metavar="TYPE:ID", help="What it happened to.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            callback=read_idempotency_key, help="Publish again with the same: it is stored once."
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(help="Whose word the type is.")] = None,
    occurred_at: Annotated[
        str | None, typer.Option(callback=read_time, help="When it happened (RFC 3339).")
    ] = None,
    ordering_key: Annotated[str | None, typer.Option(help="What keeps order.")] = None,
    metadata: Annotated[str | None, typer.Option(help="JSON, kept with the event.")] = None,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Publish an event; data arrives byte for byte as given."""
    plain: dict[str, Any] = {
        "family": family,
        "occurred_at": occurred_at,
        "ordering_key": ordering_key,
    }
    if object_ is not None:
        kind, id_ = pair(object_, separator=":", option="--object")
        plain["object"] = {"type": kind, "id": id_}
    raw = {"data": json_bytes(data, option="--data")}
    if metadata is not None:
        raw["metadata"] = json_bytes(metadata, option="--metadata")
    accepted = send(connect(merchant), type_, raw, plain, idempotency_key)
    if json:
        as_json(accepted)
        return
    line(f"{accepted['id']}  {accepted['type']}  deliveries: {accepted['deliveries']}")
    for finding in accepted.get("findings") or []:
        say(finding["detail"])


@group.command("list")
def list_(  # noqa: PLR0913 - one option per filter
    *,
    type_: Annotated[str | None, typer.Option("--type", help="A type or pattern.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="unsubscribed, pending, delivered, failed or cancelled."),
    ] = None,
    object_id: Annotated[str | None, typer.Option(help="Of this object.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """List events, newest first."""
    api = connect(merchant)
    filters = {
        "type": type_,
        "status": status,
        "object_id": object_id,
        "created[gte]": since,
        "created[lt]": until,
    }
    found = list(api.pages(api.of_merchant("/events"), limit=limit, **filters))
    as_json(found) if json else table(found, _COLUMNS)


@group.command("show")
def show(
    event: Annotated[str, typer.Argument(help="Its id.")],
    *,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Show an event, its payload and its deliveries."""
    api = connect(merchant)
    path = api.of_merchant(f"/events/{segment(event)}")
    # For programs to the byte as the server spells it, escapes too.
    answer = api.call("GET", path)
    if json:
        line(answer.body.decode())
        return
    shown = answer.json
    findings = shown.pop("findings", None) or []
    record(shown)
    for finding in findings:
        line(f"finding at {finding['pointer']}: {finding['detail']}")
    table(
        api.pages(f"{path}/deliveries", limit=100),
        ["id", "endpoint_id", "status", "attempts_made", "reason"],
    )


def send(
    api: Api,
    type_: str,
    raw: dict[str, bytes],
    plain: dict[str, Any],
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Return what the server says of a new event; *raw* members go out as their bytes."""
    key = secrets.token_urlsafe(24) if idempotency_key is None else idempotency_key
    members = [b'"type":' + json_module.dumps(type_).encode()]
    members += [
        json_module.dumps(name).encode() + b":" + json_module.dumps(value).encode()
        for name, value in plain.items()
        if value is not None
    ]
    members += [json_module.dumps(name).encode() + b":" + value for name, value in raw.items()]
    try:
        answer = api.call(
            "POST",
            api.of_merchant("/events"),
            body=b"{" + b",".join(members) + b"}",
            headers={"idempotency-key": key},
        )
    except UnavailableError:
        say(f"Stored or not: nobody said. Publish again with --idempotency-key {key}")
        raise
    if answer.headers.get("idempotent-replayed") == "true":
        say("This key was used before; here is its first answer.")
    accepted: dict[str, Any] = answer.json
    return accepted

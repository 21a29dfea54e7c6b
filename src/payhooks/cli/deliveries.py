"""``payhooks deliveries``: events on their way to endpoints."""

from typing import Annotated, Final

import typer

from payhooks.cli import watching
from payhooks.cli.client import Api, connect, segment
from payhooks.cli.events import Since, Until
from payhooks.cli.output import AsJson, Limit, MerchantName, as_json, counted, line, record, table

group = typer.Typer(help="Deliveries: events on their way to endpoints.", no_args_is_help=True)

_COLUMNS: Final = [
    "id", "created_at", "event_type", "endpoint_id", "status", "attempts_made", "reason",
]  # fmt: skip

Id = Annotated[str, typer.Argument(metavar="DELIVERY", help="Its id.")]


@group.command("list")
def list_(  # noqa: PLR0913 - one option per filter
    *,
    status: Annotated[
        str | None,
        typer.Option(help="scheduled, blocked, held, sending, delivered, failed or cancelled."),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="To this endpoint.")] = None,
    event_type: Annotated[str | None, typer.Option(help="A type or pattern.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why the last attempt failed.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """List deliveries, newest event first."""
    api = connect(merchant)
    filters = {
        "status": status,
        "endpoint_id": endpoint,
        "event_type": event_type,
        "reason": reason,
        "created[gte]": since,
        "created[lt]": until,
    }
    found = list(api.pages(api.of_merchant("/deliveries"), limit=limit, **filters))
    as_json(found) if json else table(found, _COLUMNS)


@group.command("show")
def show(
    delivery: Id,
    *,
    why: Annotated[bool, typer.Option("--why", help="Say why it stands where it stands.")] = False,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Show a delivery with its attempts."""
    api = connect(merchant)
    found = api.get(_path(api, delivery))
    if json:
        as_json(found)
        return
    if why:
        label = api.get(api.of_merchant(f"/endpoints/{segment(found['endpoint_id'])}"))["label"]
        watching.print_delivery(found, label=f"{found['event_type']} → {label}")
        line(f"  {counted(found['attempts_made'], 'attempts')} counted.")
    else:
        record({name: value for name, value in found.items() if name != "attempts"})
    watching.print_attempts(found)


@group.command("retry")
def retry(
    delivery: Id,
    *,
    wait_s: Annotated[float, typer.Option(min=0, max=120, help="How long to watch.")] = 10,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Send it again, with a fresh budget of attempts and the same message id."""
    api = connect(merchant)
    api.post(_path(api, delivery, "/retry"))
    found = watching.await_attempt(api, delivery, wait_s=wait_s)
    as_json(found) if json else watching.print_delivery(found)


@group.command("cancel")
def cancel(delivery: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Call off a delivery that waits."""
    api = connect(merchant)
    found = api.post(_path(api, delivery, "/cancel"))
    as_json(found) if json else watching.print_delivery(found)


def _path(api: Api, delivery: str, rest: str = "") -> str:
    return api.of_merchant(f"/deliveries/{segment(delivery)}{rest}")

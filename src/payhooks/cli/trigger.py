"""``payhooks trigger``: publish an example of an event and watch it arrive."""

import json as json_module
import secrets
from typing import Annotated, Any, Final

import typer

from payhooks.cli import watching
from payhooks.cli.client import Api, connect, segment
from payhooks.cli.events import send
from payhooks.cli.inputs import pair, set_member, value_of
from payhooks.cli.output import AsJson, MerchantName, as_json, line, say
from payhooks.publisher.answers import RefusedError

_NOT_FOUND: Final = 404


def trigger(
    event: Annotated[str, typer.Argument(help="An event type: transaction.sale.success.")],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A member of data: amount=12.50, a.b=c."),
    ] = None,
    wait_s: Annotated[float, typer.Option(min=0, max=120, help="How long to watch.")] = 10,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Publish an example of an event and show what the endpoints answer."""
    # Only this command needs it, and it brings the catalogue's words along.
    from payhooks.sandbox.samples import sample_of  # noqa: PLC0415 - start-up time

    api = connect(merchant)
    sample = sample_of(event, example=_example(api, event), suffix=secrets.token_hex(6))
    data: dict[str, Any] = sample.data
    for text in set_ or []:
        name, value = pair(text, separator="=", option="--set")
        set_member(data, name, value_of(value))
    plain = {"object": {"type": sample.object_type, "id": sample.object_id}}
    accepted = send(api, event, {"data": json_module.dumps(data).encode()}, plain)
    say(f"{accepted['id']}  {event}  → {accepted['deliveries']} endpoints")
    for finding in accepted.get("findings") or []:
        say(finding["detail"])
    found = watching.await_attempts(api, accepted["id"], wait_s=wait_s)
    if json:
        as_json({**accepted, "deliveries": found})
        return
    for delivery in found:
        _print(api, delivery)
    if not found:
        line("No endpoint has selected it: payhooks endpoints create URL --event '*'")


def _example(api: Api, event: str) -> dict[str, Any] | None:
    try:
        found = api.get(f"/v1/event-types/{segment(event)}")["data"]
    except RefusedError as error:
        if error.status != _NOT_FOUND:
            raise
        return None  # Unknown types may be published too; the answer says what is near.
    examples = [type_["example"] for type_ in found if type_["example"]]
    return dict(examples[0]) if examples else None


def _print(api: Api, delivery: dict[str, Any]) -> None:
    whole = api.get(api.of_merchant(f"/deliveries/{segment(delivery['id'])}"))
    endpoint = api.get(api.of_merchant(f"/endpoints/{segment(delivery['endpoint_id'])}"))
    watching.print_delivery(whole, label=endpoint["label"])

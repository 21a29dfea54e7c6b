"""``payhooks keys``: API keys, and the installation's secret key."""

import asyncio
import os
from typing import Annotated, Final

import typer

from payhooks.cli.client import connect, segment
from payhooks.cli.inputs import read_time
from payhooks.cli.output import (
    AsJson,
    Limit,
    MerchantName,
    as_json,
    counted,
    line,
    record,
    say,
    table,
)
from payhooks.cli.progress import bar
from payhooks.errors import InvalidError

group = typer.Typer(help="API keys, and the installation's secret key.", no_args_is_help=True)

# What a merchant's key may be given. The model has them too, and takes longer to import than help
# to print; a test compares the two.
SCOPES: Final = (
    "events:write", "events:read", "endpoints:read", "endpoints:write", "secrets:read",
    "deliveries:read", "deliveries:write", "connectors:read", "connectors:write", "keys:read",
    "keys:write", "audit:read", "merchant:read", "merchant:write", "team:read", "team:write",
)  # fmt: skip
# An operator's key has one permission, which is all of them, and belongs to no merchant.
_OF_MERCHANTS: Final = {"scope": "--scope", "signing": "--signing", "merchant": "--merchant"}


@group.command("create")
def create(  # noqa: PLR0913 - one option per member of a key
    context: typer.Context,
    label: Annotated[str, typer.Argument(help="What people call it.")],
    *,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            "-s",
            help="A permission; at least one, unless with --operator; may be given several times. "
            f"One of {', '.join(SCOPES)}.",
        ),
    ] = None,
    signing: Annotated[
        bool, typer.Option("--signing", help="A Source Key, which signs deliveries.")
    ] = False,
    expires_at: Annotated[
        str | None, typer.Option(callback=read_time, help="When it ends (RFC 3339).")
    ] = None,
    operator: Annotated[
        bool,
        typer.Option(
            "--operator",
            help="A key that may do everything, for every merchant. Made in the store itself, so "
            "it works before there is any key; a SQLite file must not be served meanwhile.",
        ),
    ] = False,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    if operator:
        from payhooks.cli import keymaking  # noqa: PLC0415 - start-up time

        _refuse_restrictions(context)
        made = asyncio.run(keymaking.operator_key(label, expires_at=expires_at))
    else:
        if not scope:
            detail = f"Name what the key may do, each with its own --scope: {', '.join(SCOPES)}."
            raise InvalidError.at("--scope", "required", detail)
        body: dict[str, object] = {"label": label, "scopes": scope, "signing": signing}
        if expires_at is not None:
            body["expires_at"] = expires_at
        api = connect(merchant)
        made = api.post(api.of_merchant("/keys"), body)
    if json:
        as_json(made)
        return
    say(f"{made['id']}: {', '.join(made['scopes'])}. The key is shown this once.")
    line(made["key"])


@group.command("list")
def list_(*, limit: Limit = 20, merchant: MerchantName = None, json: AsJson = False) -> None:
    """List keys, newest first, revoked ones too."""
    api = connect(merchant)
    found = list(api.pages(api.of_merchant("/keys"), limit=limit))
    columns = ["id", "hint", "label", "signing", "expires_at", "revoked_at", "scopes"]
    as_json(found) if json else table(found, columns)


@group.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="Its id.")],
    *,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Close a key: it opens nothing from the next request on."""
    api = connect(merchant)
    revoked = api.call("DELETE", api.of_merchant(f"/keys/{segment(key)}")).json
    as_json(revoked) if json else record(revoked)


@group.command("generate-secret")
def generate_secret(*, json: AsJson = False) -> None:
    """Print a new PAYHOOKS_SECRET_KEY. Nothing is stored."""
    from payhooks.control.keyring import new_key_text  # noqa: PLC0415 - start-up time

    text = new_key_text(os.urandom)
    as_json({"secret_key": text}) if json else line(text)


@group.command("rotate-secret-key")
def rotate_secret_key(*, json: AsJson = False) -> None:
    """Seal everything anew with the first key of PAYHOOKS_SECRET_KEY.

    Put the new key first and the old one behind a comma, restart every process, run this, then
    take the old one away. Servers on PostgreSQL go on meanwhile; a SQLite file must not be
    served.
    """
    from payhooks.cli import keymaking  # noqa: PLC0415 - start-up time

    with bar("Secrets", total=None) as advance:
        count = asyncio.run(keymaking.reseal(advance))
    if json:
        as_json({"resealed": count})
    else:
        say(f"Sealed anew: {counted(count, 'secrets')}; everything is under the first key.")


def _refuse_restrictions(context: typer.Context) -> None:
    """Refuse what would narrow an operator's key; a merchant of the environment is no wish."""
    for name, option in _OF_MERCHANTS.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            detail = "An operator's key may do everything, for every merchant; leave this out."
            raise InvalidError.at(option, "not_allowed", detail)

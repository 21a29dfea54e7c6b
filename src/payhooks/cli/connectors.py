"""``payhooks connectors``: provider accounts that send to us for a merchant."""

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from payhooks.cli.client import Api, connect, segment
from payhooks.cli.inputs import is_local, pair, read_bytes
from payhooks.cli.output import (
    AsJson,
    Limit,
    MerchantName,
    Yes,
    as_json,
    confirm,
    line,
    record,
    say,
    table,
)
from payhooks.errors import InvalidError

group = typer.Typer(help="Connectors: who sends to us for a merchant.", no_args_is_help=True)

_COLUMNS: Final = [
    "id", "name", "dialect", "status", "last_received_at", "received", "unverified", "quarantined",
]  # fmt: skip
# What a server may listen on that is nowhere to send to.
_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_PROVIDERS: Final = ["name", "title", "source", "secret", "options"]

Id = Annotated[str, typer.Argument(metavar="CONNECTOR", help="Its id or its name.")]
Secret = Annotated[
    str, typer.Option("--secret", help="The provider's new secret; @FILE reads it, - too.")
]
Secrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        help="What the provider signs with; @FILE reads it, - too; may be given several times.",
    ),
]
Credential = Annotated[
    str | None,
    typer.Option(help="What the provider shows us, or we show it; @FILE reads it, - too."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="A choice of this provider."),
]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", "-e", help="A type or pattern in the provider's words; '*' is all."),
]


@group.command("create")
def create(  # noqa: PLR0913 - one option per member of a connector
    name: Annotated[str, typer.Argument(help="The last part of the URL to post to.")],
    dialect: Annotated[str, typer.Argument(metavar="PROVIDER", help="Who sends.")],
    *,
    secret: Secrets = None,
    credential: Credential = None,
    option: Options = None,
    event: Events = None,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Make a connector and print the URL to paste, and what to do at the provider."""
    body: dict[str, Any] = {
        "name": name,
        "dialect": dialect,
        "secrets": [_text(each, option="--secret") for each in secret or []],
        "options": _options(option or []),
        "events": event or [],
    }
    if credential is not None:
        body["credential"] = _text(credential, option="--credential")
    api = connect(merchant)
    made = api.post(api.of_merchant("/connectors"), body)
    _show(made, json=json)
    _warn_of(made["url"])


@group.command("list")
def list_(*, limit: Limit = 20, merchant: MerchantName = None, json: AsJson = False) -> None:
    """List connectors and how they fare, newest first."""
    api = connect(merchant)
    found = list(api.pages(api.of_merchant("/connectors"), limit=limit))
    as_json(found) if json else table(({**one, **one["health"]} for one in found), _COLUMNS)


@group.command("show")
def show(connector: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Show one connector: its URL, what to do at the provider, how it fares."""
    api = connect(merchant)
    _show(api.get(_path(api, connector)), json=json)


@group.command("edit")
def edit(  # noqa: PLR0913 - one option per member of a connector
    connector: Id,
    *,
    secret: Secrets = None,
    credential: Credential = None,
    option: Options = None,
    event: Events = None,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Change what is given, at once and as a whole; the rest keeps its value."""
    body: dict[str, Any] = {"events": event} if event else {}
    if secret:
        body["secrets"] = [_text(each, option="--secret") for each in secret]
    if credential is not None:
        body["credential"] = _text(credential, option="--credential")
    if option:
        body["options"] = _options(option)
    if not body:
        raise InvalidError.at("edit", "required", "Say what to change.")
    api = connect(merchant)
    _show(api.call("PATCH", _path(api, connector), body=body).json, json=json)


@group.command("rotate-secret")
def rotate_secret(
    connector: Id,
    *,
    secret: Secret,
    grace_s: Annotated[
        int, typer.Option("--grace-s", min=0, help="Seconds that both secrets verify.")
    ] = 86_400,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Take the provider's new secret; both verify until the grace ends."""
    api = connect(merchant)
    body = {"secret": _text(secret, option="--secret"), "grace_s": grace_s}
    rotated = api.post(_path(api, connector, "/rotate-secret"), body)
    if json:
        as_json(rotated)
    else:
        say(f"{connector} verifies with the new secret; the old one ends in {grace_s} s.")


@group.command("disable")
def disable(connector: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Hear nothing more by it: from outside there is no such connector."""
    _move(connector, "disable", merchant, json=json)


@group.command("enable")
def enable(connector: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Hear it again."""
    _move(connector, "enable", merchant, json=json)


@group.command("delete")
def delete(connector: Id, *, yes: Yes = False, merchant: MerchantName = None) -> None:
    """Delete a connector with its secrets; what it brought stays."""
    confirm(f"Delete {connector}, so that its provider is answered 404?", yes=yes)
    api = connect(merchant)
    api.call("DELETE", _path(api, connector))
    say(f"{connector} is deleted.")


@group.command("providers")
def providers(*, json: AsJson = False) -> None:
    """List the providers that can be heard."""
    found = connect().get("/v1/providers")["data"]
    as_json(found) if json else table(map(_provider, found), _PROVIDERS)


def _provider(found: dict[str, Any]) -> dict[str, Any]:
    words = found["secret_words"] or found["credential_words"]
    return {
        **found,
        "secret": words and words["label"],
        "options": [choice["name"] for choice in found["choices"]],
    }


def _show(found: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(found)
        return
    guide, health = found.pop("guide"), found.pop("health")
    del found["secret_words"], found["credential_words"]
    record(found)
    line("\nAt the provider")
    record(guide)
    line("\nHow it fares")
    record(health)


def _warn_of(url: str) -> None:
    """Say so where a provider cannot reach the URL: pasted there, it would fail without a word."""
    host = urlsplit(url).hostname or ""
    if is_local(host) or host in _ANYWHERE:
        say(
            f"No provider reaches {host}. Start the server with PAYHOOKS_PUBLIC_URL_LIVE, or"
            " PAYHOOKS_PUBLIC_URL_SANDBOX for a sandbox merchant, and the URL begins with that."
        )


def _move(connector: str, move: str, merchant: str | None, *, json: bool) -> None:
    api = connect(merchant)
    moved = api.post(_path(api, connector, f"/{move}"))
    if json:
        as_json(moved)
    else:
        say(f"{connector} is {moved['status']}.")


def _options(said: list[str]) -> dict[str, str]:
    return dict(pair(each, separator="=", option="--option") for each in said)


def _path(api: Api, connector: str, rest: str = "") -> str:
    return api.of_merchant(f"/connectors/{segment(connector)}{rest}")


def _text(said: str, *, option: str) -> str:
    """Return a secret: as it is, or out of a file, so that no history of a shell keeps it."""
    if said != "-" and not said.startswith("@"):
        return said
    return read_bytes(said.removeprefix("@"), option=option).decode("utf-8", "replace").strip()

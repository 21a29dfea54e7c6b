"""``payhooks endpoints``: where a merchant wants to be told."""

from typing import Annotated, Any, Final

import typer

from payhooks.cli import watching
from payhooks.cli.client import Api, connect, segment
from payhooks.cli.inputs import pair, value_of
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

group = typer.Typer(help="Endpoints: where a merchant wants to be told.", no_args_is_help=True)

_COLUMNS: Final = ["id", "status", "label", "url", "events"]

Id = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Its id.")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", "-e", help="A type or pattern; may be given several times."),
]
Dialect = Annotated[str | None, typer.Option(help="How deliveries are written and signed.")]
DialectOptions = Annotated[
    list[str] | None,
    typer.Option("--dialect-option", metavar="NAME=VALUE", help="A choice within the dialect."),
]
Ordering = Annotated[str | None, typer.Option(help="none, object or strict.")]
RetryPolicy = Annotated[
    str | None, typer.Option(help="A policy's name, or waits in seconds: 5,60,300.")
]
RateLimit = Annotated[float | None, typer.Option(help="Requests per second.")]
TimeoutS = Annotated[float | None, typer.Option("--timeout-s", help="Seconds that it has.")]
Basic = Annotated[
    str | None, typer.Option(metavar="USER:PASSWORD", help="HTTP authentication: basic.")
]
Bearer = Annotated[str | None, typer.Option(metavar="TOKEN", help="HTTP authentication: bearer.")]
Signature = Annotated[
    str | None,
    typer.Option(help="none, endpoint_secret, signature_key, or the id of a Source Key."),
]
Headers = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME:VALUE", help="A header of its own.")
]


@group.command("create")
def create(  # noqa: PLR0913 - one option per member of an endpoint
    url: Annotated[str, typer.Argument(help="Where to post to.")],
    *,
    event: Events = None,
    label: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    secret: Annotated[
        str | None, typer.Option(help="To bring a secret along; else one is made.")
    ] = None,
    dialect: Dialect = None,
    dialect_option: DialectOptions = None,
    ordering: Ordering = None,
    retry_policy: RetryPolicy = None,
    rate_limit: RateLimit = None,
    timeout_s: TimeoutS = None,
    basic: Basic = None,
    bearer: Bearer = None,
    signature: Signature = None,
    header: Headers = None,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Make an endpoint and print its secret."""
    body = _body(
        url=url,
        label=label or url[:80],
        events=event or ["*"],
        secret=secret,
        dialect=dialect,
        dialect_options=_dialect_options(dialect_option),
        ordering=ordering,
        retry_policy=_policy(retry_policy),
        rate_limit=rate_limit,
        timeout_s=timeout_s,
        authentication=_authentication(basic, bearer),
        signature=_signature(signature),
        headers=_headers(header),
    )
    api = connect(merchant)
    made = api.post(api.of_merchant("/endpoints"), body)
    as_json(made) if json else record(made)


@group.command("list")
def list_(*, limit: Limit = 20, merchant: MerchantName = None, json: AsJson = False) -> None:
    """List endpoints, newest first."""
    api = connect(merchant)
    found = list(api.pages(api.of_merchant("/endpoints"), limit=limit))
    as_json(found) if json else table(found, _COLUMNS)


@group.command("show")
def show(endpoint: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Show one endpoint."""
    api = connect(merchant)
    found = api.get(_path(api, endpoint))
    as_json(found) if json else record(found)


@group.command("edit")
def edit(  # noqa: PLR0913 - one option per member of an endpoint
    endpoint: Id,
    *,
    url: Annotated[str | None, typer.Option(help="Where to post to.")] = None,
    event: Events = None,
    label: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    dialect: Dialect = None,
    dialect_option: DialectOptions = None,
    ordering: Ordering = None,
    retry_policy: RetryPolicy = None,
    rate_limit: RateLimit = None,
    timeout_s: TimeoutS = None,
    basic: Basic = None,
    bearer: Bearer = None,
    signature: Signature = None,
    header: Headers = None,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Change what is given; the rest keeps its value."""
    body = _body(
        url=url,
        label=label,
        events=event,
        dialect=dialect,
        dialect_options=_dialect_options(dialect_option),
        ordering=ordering,
        retry_policy=_policy(retry_policy),
        rate_limit=rate_limit,
        timeout_s=timeout_s,
        authentication=_authentication(basic, bearer),
        signature=_signature(signature),
        headers=_headers(header),
    )
    if not body:
        raise InvalidError.at("edit", "required", "Say what to change.")
    api = connect(merchant)
    changed = api.call("PATCH", _path(api, endpoint), body=body).json
    as_json(changed) if json else record(changed)


@group.command("pause")
def pause(endpoint: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Let deliveries wait."""
    _move(endpoint, "pause", merchant, json=json)


@group.command("resume")
def resume(endpoint: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Let go what waits, in the order of acceptance."""
    _move(endpoint, "resume", merchant, json=json)


@group.command("disable")
def disable(endpoint: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Make no more deliveries; what it misses, a replay can bring."""
    _move(endpoint, "disable", merchant, json=json)


@group.command("enable")
def enable(endpoint: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Let it hear again."""
    _move(endpoint, "enable", merchant, json=json)


@group.command("delete")
def delete(endpoint: Id, *, yes: Yes = False, merchant: MerchantName = None) -> None:
    """Delete an endpoint; what waits for it is cancelled."""
    confirm(f"Delete {endpoint} and cancel what waits for it?", yes=yes)
    api = connect(merchant)
    api.call("DELETE", _path(api, endpoint))
    say(f"{endpoint} is deleted.")


@group.command("test")
def send_test(
    endpoint: Id,
    *,
    wait_s: Annotated[float, typer.Option(min=0, max=120, help="How long to watch.")] = 10,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Send a test event to this endpoint alone and show the answer."""
    api = connect(merchant)
    sent = api.post(_path(api, endpoint, "/test"))
    found = watching.await_attempt(api, sent["delivery_id"], wait_s=wait_s)
    as_json(found) if json else watching.print_delivery(found)


@group.command("secret")
def secret(endpoint: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Print the live secrets, newest first. Each look is in the audit log."""
    api = connect(merchant)
    found = api.get(_path(api, endpoint, "/secret"))["data"]
    if json:
        as_json(found)
        return
    for each in found:
        line(each["secret"])


@group.command("rotate-secret")
def rotate_secret(
    endpoint: Id,
    *,
    grace_s: Annotated[
        int, typer.Option("--grace-s", min=0, help="Seconds that both secrets sign.")
    ] = 86_400,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Make a new secret; both sign until the grace ends."""
    api = connect(merchant)
    made = api.post(_path(api, endpoint, "/rotate-secret"), {"grace_s": grace_s})
    as_json(made) if json else line(made["secret"])


def _move(endpoint: str, move: str, merchant: str | None, *, json: bool) -> None:
    api = connect(merchant)
    moved = api.post(_path(api, endpoint, f"/{move}"))
    if json:
        as_json(moved)
    else:
        say(f"{endpoint} is {moved['status']}.")


def _path(api: Api, endpoint: str, rest: str = "") -> str:
    return api.of_merchant(f"/endpoints/{segment(endpoint)}{rest}")


def _body(**members: object) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _policy(text: str | None) -> object:
    if text is None or not text[:1].isdigit():
        return text
    return [value_of(each) for each in text.split(",")]


def _authentication(basic: str | None, bearer: str | None) -> dict[str, str] | None:
    if basic is not None and bearer is not None:
        raise InvalidError.at("--bearer", "both", "Choose basic or bearer.")
    if basic is not None:
        username, password = pair(basic, separator=":", option="--basic")
        return {"type": "basic", "username": username, "password": password}
    return None if bearer is None else {"type": "bearer", "token": bearer}


def _signature(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    return {"type": "source_key", "key_id": text} if text.startswith("key_") else {"type": text}


def _dialect_options(texts: list[str] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    return dict(pair(text, separator="=", option="--dialect-option") for text in texts)


def _headers(texts: list[str] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    pairs = [pair(text, separator=":", option="--header") for text in texts]
    return {name: value.strip() for name, value in pairs}

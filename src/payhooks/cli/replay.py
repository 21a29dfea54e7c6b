"""``payhooks replay``: many deliveries sent again, as a job that workers advance."""

import time
from typing import Annotated, Any, Final

import typer

from payhooks.cli.client import Api, connect, segment
from payhooks.cli.events import Since, Until
from payhooks.cli.output import (
    AsJson,
    Limit,
    MerchantName,
    Yes,
    as_json,
    confirm,
    counted,
    line,
    record,
    say,
    table,
)
from payhooks.cli.progress import bar

group = typer.Typer(help="Replays: many deliveries sent again, paced.", no_args_is_help=True)

POLL_S: Final = 0.5
_RUNNING: Final = "running"
_COLUMNS: Final = ["id", "created_at", "state", "queued", "matched", "rate_per_s"]

Id = Annotated[str, typer.Argument(metavar="REPLAY", help="Its id.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Watch it until it is done.")]


@group.command("create")
def create(  # noqa: PLR0913 - one option per member of a replay
    *,
    endpoint: Annotated[str | None, typer.Option(help="Only to this endpoint.")] = None,
    event_type: Annotated[
        list[str] | None, typer.Option(help="A type or pattern; may be given several times.")
    ] = None,
    object_id: Annotated[str | None, typer.Option(help="Only of this object.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only what failed with this reason, such as http_5xx.")
    ] = None,
    since: Since = None,
    until: Until = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            help="failed, cancelled, delivered or missed; may be given several times. "
            "Default: failed."
        ),
    ] = None,
    rate_per_s: Annotated[float, typer.Option("--rate-per-s", help="How fast.")] = 100.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and send nothing.")] = False,
    wait: Wait = True,
    yes: Yes = False,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Count what matches, ask, and send it again."""
    members = {
        "endpoint_id": endpoint,
        "event_types": event_type,
        "object_id": object_id,
        "reason": reason,
        "created_gte": since,
        "created_lt": until,
    }
    kinds = include or ["failed"]
    body: dict[str, Any] = {
        "filter": {name: value for name, value in members.items() if value is not None},
        "include": kinds,
        "rate_per_s": rate_per_s,
    }
    api = connect(merchant)
    path = api.of_merchant("/replays")
    if dry_run or not yes:
        found = api.post(path, {**body, "dry_run": True})
        if dry_run and json:
            as_json(found)
            return
        more = "" if found["complete"] else "at least "
        say(
            f"Matching ({' or '.join(kinds)}): {more}{counted(found['matched'], 'deliveries')};"
            f" at {rate_per_s:g}/s that takes about {found['seconds_at_rate']:.0f} s."
            " Nothing was sent."
        )
        if dry_run:
            return
        confirm("Send them again?", yes=yes)
    _finish(api, api.post(path, body), wait=wait, json=json)


@group.command("list")
def list_(*, limit: Limit = 20, merchant: MerchantName = None, json: AsJson = False) -> None:
    """List replays, newest first."""
    api = connect(merchant)
    found = list(api.pages(api.of_merchant("/replays"), limit=limit))
    as_json(found) if json else table(found, _COLUMNS)


@group.command("show")
def show(replay: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Show how far a replay is."""
    api = connect(merchant)
    found = api.get(_path(api, replay))
    as_json(found) if json else record(found)


@group.command("resume")
def resume(replay: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Watch a replay again, from where it is; it goes on whether anybody watches or not."""
    api = connect(merchant)
    _finish(api, api.get(_path(api, replay)), wait=True, json=json)


@group.command("cancel")
def cancel(replay: Id, *, merchant: MerchantName = None, json: AsJson = False) -> None:
    """Stop a replay; what it has not sent yet goes back to how it was."""
    api = connect(merchant)
    found = api.post(_path(api, replay, "/cancel"))
    as_json(found) if json else record(found)


def _finish(api: Api, replay: dict[str, Any], *, wait: bool, json: bool) -> None:
    if wait and replay["state"] == _RUNNING:
        say(f"{replay['id']} runs; Ctrl-C stops watching, not the replay.")
        replay = _watch(api, replay)
    if json:
        as_json(replay)
    else:
        line(f"{replay['id']}  {replay['state']}  {replay['queued']} of {replay['matched']} sent")


def _watch(api: Api, replay: dict[str, Any]) -> dict[str, Any]:
    with bar("Replay", total=replay["matched"]) as advance:
        while replay["state"] == _RUNNING:
            time.sleep(POLL_S)  # noqa: TID251 - a person waits
            replay = api.get(_path(api, replay["id"]))
            advance(replay["queued"])
    return replay


def _path(api: Api, replay: str, rest: str = "") -> str:
    return api.of_merchant(f"/replays/{segment(replay)}{rest}")

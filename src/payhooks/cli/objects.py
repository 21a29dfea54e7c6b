"""``payhooks objects``: what is known of a payment."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from payhooks.cli.client import connect, segment
from payhooks.cli.exits import NOT_FOUND_STATUS
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
from payhooks.errors import NotFoundError
from payhooks.publisher.answers import RefusedError

group = typer.Typer(help="Objects: payments and what else events are about.", no_args_is_help=True)

_FOUND: Final = ["type", "id", "family", "state", "unified", "final", "delayed", "events"]
_HISTORY: Final = ["at", "type", "before", "after", "marks", "event_id"]
# Marks that the console calls by a plainer word; the others are plain enough.
MARK_WORDS: Final = {"superseded": "late", "irregular": "unexpected"}
_PARTS: Final = {"history", "timeline", "trail", "receipts_complete"}
_OVERDUE: Final = ["type", "id", "since", "connector_id", "provider_object"]
_TIMELINE: Final = ["at", "kind", "name", "status", "http_status", "detail", "id"]


@group.command("show")
def show(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="What it is: payment_intent …")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="Its id, as events name it.")],
    *,
    limit: Limit = 20,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Show an object's state, what each event did to it, and the newest of all that happened."""
    api = connect(merchant)
    path = api.of_merchant(f"/objects/{segment(type_)}/{segment(id_)}")
    try:
        found = api.get(path, limit=min(limit, 100))
    except RefusedError as error:
        if error.status != NOT_FOUND_STATUS:
            raise
        detail = (
            "no event that is kept is about this type and id; objects find asks by the id alone"
        )
        raise NotFoundError(detail) from None
    as_json(found) if json else write(found)


def write(found: Mapping[str, Any]) -> None:
    """Print an object for people; *found* is as the API tells of it."""
    facts = {name: found[name] for name in found if name not in _PARTS}
    record({name: value for name, value in _plain(facts).items() if value is not None})
    line("\nHistory")
    table((_timed(entry) for entry in found["history"]), _HISTORY)
    line("\nTimeline")
    table(found["trail"], _TIMELINE)
    if not found["receipts_complete"]:
        say("There are older receipts. Those of them that told an event of this list are in it.")


@group.command("find")
def find(
    id_: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="An id, of whatever it is; else what somebody calls it: an order."
        ),
    ],
    *,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """Find every object with an id, or else with a reference."""
    api = connect(merchant)
    found = api.get(api.of_merchant("/objects"), id=id_)["data"]
    as_json(found) if json else table((_plain(one) for one in found), _FOUND)


@group.command("overdue")
def overdue(
    *,
    connector: ConnectorName = None,
    limit: Limit = 20,
    merchant: MerchantName = None,
    json: AsJson = False,
) -> None:
    """List what waits for longer than its provider usually takes, newest first."""
    api = connect(merchant)
    found = list(api.pages(api.of_merchant("/overdue"), limit=limit, connector_id=connector))
    as_json(found) if json else table(map(_waiting, found), _OVERDUE)


def _waiting(found: dict[str, Any]) -> dict[str, Any]:
    theirs = found["provider_object"]
    return {**found, **found["object"], "provider_object": f"{theirs['type']} {theirs['id']}"}


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Return the object with its meaning as one word, or why it has none."""
    unified = found["unified"]
    return {**found, "unified": unified and (unified["event"] or f"none: {unified['why']}")}


def _timed(entry: dict[str, Any]) -> dict[str, Any]:
    marks = [
        f"{MARK_WORDS[mark]} ({mark})" if mark in MARK_WORDS else mark for mark in entry["marks"]
    ]
    return {**entry, "at": entry["occurred_at"] or entry["created_at"], "marks": marks}

"""What is told of a webhook beside its configuration: who changed it, and what waits for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from payhooks import ids
from payhooks.console.page import Visit
from payhooks.ids import UserId
from payhooks.model.audit import AuditEntry
from payhooks.model.delivery import State
from payhooks.model.endpoint import Endpoint
from payhooks.ports.reading import DeliveryFilter

# Counted no further: beyond it the dialog says "at least".
WAITING_COUNTED_MAX: Final = 1_000
# Entries of the merchant's log that are looked through; older ones are in the log itself.
_ENTRIES_READ_MAX: Final = 500
_WAITING: Final = (State.SCHEDULED, State.BLOCKED, State.LEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One change, as a person reads it."""

    at: datetime
    who: str
    what: str
    changes: tuple[tuple[str, str, str], ...]  # member, before, after


async def records_of(visit: Visit, endpoint: Endpoint, *, at_most: int) -> list[Record]:
    """Return the newest changes of the webhook, newest first."""
    found = await visit.control.store.audit_latest(
        visit.merchant.id, before=None, limit=_ENTRIES_READ_MAX
    )
    target = ids.to_text(ids.ENDPOINT, endpoint.id)
    mine = [one.entry for one in found if one.entry.target == target][:at_most]
    names = {actor: await _name(visit, actor) for actor in {entry.actor for entry in mine}}
    return [_record(entry, names[entry.actor]) for entry in mine]


async def waiting(visit: Visit, endpoint: Endpoint) -> str:
    """Return how many deliveries wait for the webhook, as the dialog says it."""
    count = await visit.control.store.count_deliveries(
        visit.merchant.id,
        DeliveryFilter(endpoint_id=endpoint.id, states=_WAITING),
        at_most=WAITING_COUNTED_MAX,
    )
    if not count:
        return "No delivery waits for it."
    least = "At least " if count >= WAITING_COUNTED_MAX else ""
    noun = "waiting delivery" if count == 1 else "waiting deliveries"
    return f"{least}{count:,} {noun} will be cancelled."


async def _name(visit: Visit, actor: str) -> str:
    """Return a user's name; others are told as the audit log prints them."""
    kind, _colon, printed = actor.partition(":")
    user_id = ids.from_text(ids.USER, printed) if kind == "user" else None
    user = None if user_id is None else await visit.control.store.user(UserId(user_id))
    return actor if user is None else user.username


def _record(entry: AuditEntry, who: str) -> Record:
    changes: dict[str, list[object]] = msgspec.json.decode(entry.changes)
    return Record(
        at=entry.at,
        who=who,
        what=entry.action.partition(".")[2].replace("_", " "),
        changes=tuple(
            (name, _text(before), _text(after)) for name, (before, after) in changes.items()
        ),
    )


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()

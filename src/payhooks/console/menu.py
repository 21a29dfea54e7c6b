"""The side menu: every entry there can be. Shown are those whose page is served to the role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from payhooks.control.context import Caller
from payhooks.model.key import Scope
from payhooks.model.merchant import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the menu."""

    label: str
    path: str  # below /console
    shortcut: str = ""  # the letter after g
    sandbox: bool = False  # for merchants in sandbox mode alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Lines that belong together; with a label they open below it."""

    label: str
    entries: tuple[Entry, ...]


# The words, and where Webhooks stands, are those that merchants know from their console.
MENU: Final = (
    Group(
        label="",
        entries=(
            Entry(label="Overview", path="/overview", shortcut="o"),
            Entry(label="Payments", path="/payments"),
            Entry(label="Events", path="/events", shortcut="e"),
            Entry(label="Deliveries", path="/deliveries", shortcut="d"),
            Entry(label="Receipts", path="/receipts"),
            Entry(label="Event types", path="/event-types"),
            Entry(label="Sandbox", path="/sandbox", sandbox=True),
        ),
    ),
    Group(
        label="Settings",
        entries=(
            Entry(label="Webhooks", path="/settings/webhooks", shortcut="w"),
            Entry(label="Connectors", path="/settings/connectors"),
            Entry(label="API keys", path="/settings/keys"),
            Entry(label="Team", path="/settings/team"),
            Entry(label="Audit log", path="/settings/audit-log"),
        ),
    ),
)


def visible(caller: Caller, needs: Mapping[str, Scope | None], mode: Mode) -> tuple[Group, ...]:
    """Return the menu for a role; *needs* maps the path of each page served to its scope."""
    groups = []
    for group in MENU:
        entries = tuple(
            entry
            for entry in group.entries
            if entry.path in needs
            and _may(caller, needs[entry.path])
            and (mode is Mode.SANDBOX or not entry.sandbox)
        )
        if entries:
            groups.append(Group(label=group.label, entries=entries))
    return tuple(groups)


def _may(caller: Caller, scope: Scope | None) -> bool:
    return scope is None or caller.may(scope)

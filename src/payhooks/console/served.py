"""Which files of pages are served: those that are named here."""

from types import ModuleType
from typing import Final

from payhooks.console.pages import (
    account,
    audit_log,
    catalogue,
    deliveries,
    events,
    factor,
    guidance,
    keys,
    objects,
    overview,
    replays,
    sandbox,
    sandbox_inboxes,
    sandbox_runs,
    sign_in,
    start,
    team,
    webhooks,
    webhooks_edit,
    webhooks_one,
    welcome,
)

MODULES: Final[tuple[ModuleType, ...]] = (
    start,
    sign_in,
    welcome,
    factor,
    account,
    guidance,
    keys,
    team,
    audit_log,
    deliveries,
    events,
    objects,
    catalogue,
    replays,
    sandbox,
    sandbox_inboxes,
    sandbox_runs,
    overview,
    webhooks,
    webhooks_edit,
    webhooks_one,
)

"""Which files of pages are served: those that are named here."""

from types import ModuleType
from typing import Final

from payhooks.console.pages import (
    account,
    audit_log,
    deliveries,
    events,
    factor,
    guidance,
    keys,
    overview,
    replays,
    sign_in,
    sandbox,
    sandbox_runs,
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
    replays,
    overview,
    webhooks,
    sandbox,
    sandbox_runs,
    webhooks_edit,
    webhooks_one,
)

"""Keys that are made in the store itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from payhooks.api import views
from payhooks.cli import local
from payhooks.control import keys, resealing
from payhooks.control.keys import KeyDraft
from payhooks.model.key import Scope


async def operator_key(label: str, *, expires_at: str | None) -> dict[str, Any]:
    """Return a new key that may do everything, with its text."""
    ends_at = None if expires_at is None else datetime.fromisoformat(expires_at).astimezone(UTC)
    async with local.control() as control:
        draft = KeyDraft(label=label, scopes=[Scope.OPERATOR], expires_at=ends_at)
        return views.new_key(await keys.create(control, local.CALLER, None, draft))


async def reseal(progressed: Callable[[int], None]) -> int:
    """Return how many secrets were sealed anew."""
    async with local.control() as control:
        return await resealing.reseal_all(control, local.CALLER, progressed=progressed)

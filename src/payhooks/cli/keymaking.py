"""Keys that are made in the store itself."""

from collections.abc import Callable
from typing import Any

from payhooks import ids
from payhooks.cli import local
from payhooks.control import keys, resealing
from payhooks.control.keys import KeyDraft
from payhooks.model.key import Scope


async def operator_key(label: str) -> dict[str, Any]:
    """Return a new key that may do everything, with its text."""
    async with local.control() as control:
        draft = KeyDraft(label=label, scopes=[Scope.OPERATOR])
        made = await keys.create(control, local.CALLER, None, draft)
    return {
        "id": ids.to_text(ids.KEY, made.key.id),
        "label": made.key.label,
        "scopes": list(made.key.scopes),
        "key": made.text,
    }


async def reseal(progressed: Callable[[int], None]) -> int:
    """Return how many secrets were sealed anew."""
    async with local.control() as control:
        return await resealing.reseal_all(control, local.CALLER, progressed=progressed)

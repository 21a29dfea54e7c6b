"""The installation's secret key: rotated while serving, and recognised before.

The new key stands first in PAYHOOKS_SECRET_KEY and the old one after it in every process
before this begins; when it has ended, the old one may go. A process that could not open what
is stored does not start.
"""

from collections.abc import Callable
from contextlib import suppress

import msgspec

from payhooks import limits
from payhooks.control.context import Caller, Control, audit_entry
from payhooks.control.secrets import context_of
from payhooks.errors import DamagedError, UnavailableError
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Change

# Rotations of endpoints' secrets meanwhile may overtake us; they are few.
_FRUITLESS_MAX: int = 5


async def demand_openable(control: Control) -> None:
    """Return if the keys in the ring open what is stored.

    A bounded look at what other keys than the first sealed: with the wrong key in the
    settings that is everything, so the first row tells. A damaged row is not the settings'
    fault: it costs its owner, at the first delivery, and not everybody the start.

    Raises:
        UnavailableError: One cannot be opened; names the key that is missing.

    """
    others = await control.store.secrets_sealed_under_other(
        control.keyring.sealed_prefix, limit=limits.SLICE_ROWS_MAX
    )
    for secret in others:
        with suppress(DamagedError):
            control.keyring.open(secret.sealed, context=context_of(secret))


async def reseal_all(
    control: Control,
    caller: Caller,
    *,
    progressed: Callable[[int], None] = lambda secrets: None,
) -> int:
    """Return how many secrets were sealed anew; a repeat finds none.

    Raises:
        UnavailableError: One cannot be opened: its key is not in the ring. What was sealed
            anew stays so.

    """
    count = fruitless = 0
    while True:
        old = await control.store.secrets_sealed_under_other(
            control.keyring.sealed_prefix, limit=limits.SLICE_ROWS_MAX
        )
        if not old:
            break
        changed = await control.store.reseal(old, [_resealed(control, secret) for secret in old])
        count += changed
        fruitless = 0 if changed else fruitless + 1
        if fruitless == _FRUITLESS_MAX:
            raise UnavailableError("secrets change all the time; run this again")
        progressed(count)
    if count:
        entry = audit_entry(
            control,
            caller,
            merchant_id=None,
            action="secrets.resealed",
            target=f"secret key {control.keyring.primary_id}",
            changes={"count": [None, count]},
        )
        await control.store.apply(Change(audit=entry))
    return count


def _resealed(control: Control, secret: SealedSecret) -> SealedSecret:
    context = context_of(secret)
    plain = control.keyring.open(secret.sealed, context=context)
    sealed = control.keyring.seal(plain, context=context)
    # Or the store would go on finding it, and we would never end.
    assert control.keyring.is_current(sealed)
    return msgspec.structs.replace(secret, sealed=sealed)

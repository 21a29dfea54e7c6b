"""The secret key's rotation with a death built in, a few secrets in each transaction.

    PAYHOOKS_TEST_KILL=before@2 python -m tests.support.failing_rotation

The process kills itself just before or just after its second transaction; where it has no
second one, it rotates to the end.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Final

from payhooks.bootstrap import open_control
from payhooks.control.context import SYSTEM
from payhooks.control.resealing import reseal_all
from payhooks.model.secret import SealedSecret
from payhooks.settings import load

KILL_VARIABLE: Final = "PAYHOOKS_TEST_KILL"
SECRETS_PER_TRANSACTION: Final = 3


async def _rotate() -> None:
    point, _, times = os.environ[KILL_VARIABLE].partition("@")
    control = await open_control(load(os.environ))
    store = control.store
    find, write = store.secrets_sealed_under_other, store.reseal
    left = int(times)

    async def find_few(prefix: bytes, *, limit: int) -> Sequence[SealedSecret]:
        return await find(prefix, limit=min(limit, SECRETS_PER_TRANSACTION))

    async def write_or_die(old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        nonlocal left
        left -= 1
        if left == 0 and point == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        changed = await write(old, new)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return changed

    # On the instance: nobody else has it.
    setattr(store, "secrets_sealed_under_other", find_few)  # noqa: B010 - a method, replaced
    setattr(store, "reseal", write_or_die)  # noqa: B010 - as above
    await reseal_all(control, SYSTEM)
    await store.close()


if __name__ == "__main__":
    asyncio.run(_rotate())

"""What sandbox runs ask of the store: jobs that are claimed, written step by step, stopped."""

from collections.abc import Sequence
from typing import Protocol

from payhooks.ids import MerchantId, RunId
from payhooks.model.audit import AuditEntry
from payhooks.model.sandbox_run import SandboxRun
from payhooks.ports.controlling import Requeue, Window


class PlayStore(Protocol):
    """Sandbox runs at rest."""

    async def start_run(
        self, run: SandboxRun, *, audit: AuditEntry, playing_max: int, kept_max: int
    ) -> None:
        """Keep a new run, and of those that are over only the newest.

        Raises:
            WrongStateError: The merchant plays *playing_max* already.

        """
        ...

    async def run(self, merchant_id: MerchantId, run_id: RunId) -> SandboxRun | None:
        """Return the run."""
        ...

    async def runs(self, merchant_id: MerchantId, window: Window) -> list[SandboxRun]:
        """Return runs, newest first."""
        ...

    async def claim_runs(self, *, owner: int, limit: int, for_s: float) -> list[SandboxRun]:
        """Take runs that are played and nobody holds, for so long; oldest first.

        Before them come those that *owner* holds for less than half as long: it holds them on.
        """
        ...

    async def write_run(
        self,
        run: SandboxRun,
        *,
        items: Sequence[Requeue] = (),
        audit: AuditEntry | None = None,
    ) -> bool:
        """Write how far the run is, and send *items* again, in one transaction.

        Returns False, and does nothing, where the stored revision is not the one before the
        run's: somebody else wrote it meanwhile, or this very write came through before.
        """
        ...

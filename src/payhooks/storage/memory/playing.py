"""Sandbox runs."""

from collections.abc import Sequence

from payhooks.errors import WrongStateError
from payhooks.ids import MerchantId, RunId
from payhooks.model.audit import AuditEntry
from payhooks.model.sandbox_run import RunState, SandboxRun
from payhooks.ports.controlling import Requeue, Window
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.replaying import MemoryReplay
from payhooks.storage.memory.rows import span_us


class MemoryPlay(MemoryReplay):
    """See PlayStore."""

    async def start_run(
        self, run: SandboxRun, *, audit: AuditEntry, playing_max: int, kept_max: int
    ) -> None:
        """See PlayStore."""
        mine = [one for one in self._tables.runs.values() if one.merchant_id == run.merchant_id]
        if sum(one.state is RunState.PLAYING for one in mine) >= playing_max:
            raise WrongStateError(f"A merchant plays at most {playing_max} runs at once.")
        over = sorted(one.id for one in mine if one.state is not RunState.PLAYING)
        for id_ in over[: max(len(mine) + 1 - kept_max, 0)]:
            del self._tables.runs[id_]
        self._tables.runs[run.id] = run
        self._tables.log(audit)

    async def run(self, merchant_id: MerchantId, run_id: RunId) -> SandboxRun | None:
        """See PlayStore."""
        run = self._tables.runs.get(run_id)
        return run if run is not None and run.merchant_id == merchant_id else None

    async def runs(self, merchant_id: MerchantId, window: Window) -> list[SandboxRun]:
        """See PlayStore."""
        runs = self._tables.runs.values()
        return page((one for one in runs if one.merchant_id == merchant_id), window)

    async def claim_runs(self, *, owner: int, limit: int, for_s: float) -> list[SandboxRun]:
        """See PlayStore."""
        now = self._tables.now()
        playing = [run for run in self._tables.runs.values() if run.state is RunState.PLAYING]
        own, free = [], []
        for run in sorted(playing, key=lambda one: one.id):
            holder, until = self._tables.run_claims.get(run.id, (None, 0))
            if holder == owner and until <= now + span_us(for_s / 2):
                own.append(run)
            elif until <= now:
                free.append(run)
        taken = [*own, *free][:limit]
        for run in taken:
            self._tables.run_claims[run.id] = (owner, now + span_us(for_s))
        return taken

    async def write_run(
        self,
        run: SandboxRun,
        *,
        items: Sequence[Requeue] = (),
        audit: AuditEntry | None = None,
    ) -> bool:
        """See PlayStore."""
        stored = self._tables.runs.get(run.id)
        if stored is None or stored.revision != run.revision - 1:
            return False
        self._tables.runs[run.id] = run
        self._requeue_all(items, replay_id=None, bulk=False)
        if audit is not None:
            self._tables.log(audit)
        self._tables.publish()
        return True

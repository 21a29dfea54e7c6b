"""Sandbox runs."""

from collections.abc import Sequence
from typing import Final

from payhooks.errors import WrongStateError
from payhooks.ids import MerchantId, RunId
from payhooks.model.audit import AuditEntry
from payhooks.model.sandbox_run import SandboxRun
from payhooks.ports.controlling import Requeue, Window
from payhooks.storage import documents, statements
from payhooks.storage.postgres.auditing import Chain
from payhooks.storage.postgres.connections import Connections
from payhooks.storage.postgres.replaying import put_again

_SQL: Final = statements.load("payhooks.storage.postgres", "playing.sql")


class PostgresPlay:
    """See PlayStore."""

    _control: Connections

    async def start_run(
        self, run: SandboxRun, *, audit: AuditEntry, playing_max: int, kept_max: int
    ) -> None:
        """See PlayStore."""
        document = documents.encode(run).decode()

        async def once() -> None:
            async with self._control.transaction() as connection:
                # Held until the end: two that begin at once count each other.
                chain = await Chain.lock(connection, audit)
                if await connection.fetchrow(_SQL["run"], run.merchant_id, run.id) is not None:
                    return  # It came through, and its answer was lost.
                counts = await connection.fetchrow(_SQL["count_runs"], run.merchant_id)
                assert counts is not None
                if counts["playing"] >= playing_max:
                    raise WrongStateError(f"A merchant plays at most {playing_max} runs at once.")
                too_many = max(counts["kept"] + 1 - kept_max, 0)
                await connection.execute(_SQL["forget_runs"], run.merchant_id, too_many)
                values = (run.merchant_id, run.id, run.state, run.revision, document)
                await connection.execute(_SQL["insert_run"], *values)
                await chain.add()

        await self._control.persist(once)

    async def run(self, merchant_id: MerchantId, run_id: RunId) -> SandboxRun | None:
        """See PlayStore."""
        rows = await self._control.call(_SQL["run"], merchant_id, run_id)
        return documents.decode(SandboxRun, rows[0]["document"]) if rows else None

    async def runs(self, merchant_id: MerchantId, window: Window) -> list[SandboxRun]:
        """See PlayStore."""
        rows = await self._control.call(_SQL["runs"], merchant_id, window.after, window.limit)
        return [documents.decode(SandboxRun, row["document"]) for row in rows]

    async def claim_runs(self, *, owner: int, limit: int, for_s: float) -> list[SandboxRun]:
        """See PlayStore."""
        rows = await self._control.call(_SQL["claim"], owner, limit, for_s)
        return documents.decode_readable(SandboxRun, [row["document"] for row in rows])

    async def write_run(
        self,
        run: SandboxRun,
        *,
        items: Sequence[Requeue] = (),
        audit: AuditEntry | None = None,
    ) -> bool:
        """See PlayStore."""
        document = documents.encode(run).decode()
        bindings = (run.merchant_id, run.id, run.state, run.revision, document)

        async def once() -> bool:
            async with self._control.transaction() as connection:
                chain = None if audit is None else await Chain.lock(connection, audit)
                if await connection.fetchrow(_SQL["write"], *bindings) is None:
                    return False
                await put_again(connection, items, replay_id=None, bulk=False)
                if chain is not None:
                    await chain.add()
                return True

        return await self._control.persist(once)

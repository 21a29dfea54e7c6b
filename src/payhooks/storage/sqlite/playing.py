"""Sandbox runs."""

from collections.abc import Sequence
from typing import Final

import apsw

from payhooks.errors import WrongStateError
from payhooks.ids import MerchantId, RunId
from payhooks.model.audit import AuditEntry
from payhooks.model.sandbox_run import RunState, SandboxRun
from payhooks.ports.controlling import Requeue, Window
from payhooks.storage import statements
from payhooks.storage.documents import decode, decode_readable, encode
from payhooks.storage.sqlite.applying import log
from payhooks.storage.sqlite.connection import Row, delay_us, first, rows
from payhooks.storage.sqlite.connection import run as do
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.replaying import put_again
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "playing.sql")


class SqlitePlay(Part):
    """See PlayStore."""

    async def start_run(
        self, run: SandboxRun, *, audit: AuditEntry, playing_max: int, kept_max: int
    ) -> None:
        """See PlayStore."""

        def work(db: apsw.Connection) -> None:
            counts = first(db, _SQL["count_runs"], (run.merchant_id,))
            assert counts is not None
            playing, kept = counts
            if playing >= playing_max:
                raise WrongStateError(f"A merchant plays at most {playing_max} runs at once.")
            do(db, _SQL["forget_runs"], (run.merchant_id, max(kept + 1 - kept_max, 0)))
            do(db, _SQL["insert_run"], (run.id, run.merchant_id, run.revision, encode(run)))
            log(db, audit)

        await self._write(Kind.QUICK, work)

    async def run(self, merchant_id: MerchantId, run_id: RunId) -> SandboxRun | None:
        """See PlayStore."""
        found = await self._read(lambda db: first(db, _SQL["run"], (run_id, merchant_id)))
        return None if found is None else decode(SandboxRun, found[0])

    async def runs(self, merchant_id: MerchantId, window: Window) -> list[SandboxRun]:
        """See PlayStore."""
        after = NEWEST if window.after is None else window.after
        bindings = (merchant_id, after, window.limit)
        found = await self._read(lambda db: rows(db, _SQL["runs"], bindings))
        return [decode(SandboxRun, text) for (text,) in found]

    async def claim_runs(self, *, owner: int, limit: int, for_s: float) -> list[SandboxRun]:
        """See PlayStore."""

        def look(db: apsw.Connection) -> list[Row]:
            now = self._now_us()
            return rows(db, _SQL["free_runs"], (owner, now, now + delay_us(for_s / 2), limit))

        def work(db: apsw.Connection) -> list[SandboxRun]:
            found = look(db)
            until = self._now_us() + delay_us(for_s)
            for id_, _ in found:
                do(db, _SQL["claim_run"], (id_, owner, until))
            return decode_readable(SandboxRun, [text for _, text in found])

        # Nearly always there is none, and to look for one nobody need write.
        return await self._write(Kind.QUICK, work) if await self._read(look) else []

    async def write_run(
        self,
        run: SandboxRun,
        *,
        items: Sequence[Requeue] = (),
        audit: AuditEntry | None = None,
    ) -> bool:
        """See PlayStore."""
        playing = int(run.state is RunState.PLAYING)
        bindings = (run.id, run.merchant_id, run.revision, playing, encode(run))

        def work(db: apsw.Connection) -> bool:
            if do(db, _SQL["write_run"], bindings) == 0:
                return False
            now = self._now_us()
            put_again(db, items, self._positions, replay_id=None, bulk=False, now=now)
            if audit is not None:
                log(db, audit)
            return True

        return await self._write(Kind.QUICK, work)


def give_back_runs(db: apsw.Connection) -> None:
    """Let whoever comes next play what its player has left."""
    do(db, _SQL["give_back_runs"])

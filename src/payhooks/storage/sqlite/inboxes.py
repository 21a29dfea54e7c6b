"""Inboxes, and what was heard in them."""

from typing import Final

import apsw

from payhooks.errors import WrongStateError
from payhooks.ids import InboxId, MerchantId
from payhooks.model.audit import AuditEntry
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Window
from payhooks.storage import statements
from payhooks.storage.documents import decode, encode
from payhooks.storage.sqlite.applying import log, write_secret
from payhooks.storage.sqlite.connection import first, rows, run
from payhooks.storage.sqlite.controlling import NEWEST
from payhooks.storage.sqlite.parts import Part
from payhooks.storage.sqlite.writer import Kind

_SQL: Final = statements.load(__package__, "inboxes.sql")


class SqliteInboxes(Part):
    """See InboxStore."""

    async def open_inbox(
        self,
        inbox: Inbox,
        *,
        hashed: bytes,
        secret: SealedSecret,
        audit: AuditEntry,
        inboxes_max: int,
    ) -> None:
        """See InboxStore."""

        def work(db: apsw.Connection) -> None:
            count = first(db, _SQL["count_inboxes"], (inbox.merchant_id,))
            assert count is not None
            if count[0] >= inboxes_max:
                raise WrongStateError(f"A merchant has at most {inboxes_max} inboxes at once.")
            values = (inbox.id, inbox.merchant_id, hashed, encode(inbox))
            run(db, _SQL["insert_inbox"], values)
            write_secret(db, secret)
            log(db, audit)

        await self._write(Kind.QUICK, work)

    async def close_inbox(self, inbox: Inbox, *, audit: AuditEntry) -> bool:
        """See InboxStore."""

        def work(db: apsw.Connection) -> bool:
            if run(db, _SQL["delete_inbox"], (inbox.id, inbox.merchant_id)) == 0:
                return False
            run(db, _SQL["forget_words"], (inbox.merchant_id, inbox.id))
            run(db, _SQL["forget_heard"], (inbox.id,))
            log(db, audit)
            return True

        return await self._write(Kind.QUICK, work)

    async def inbox(self, merchant_id: MerchantId, inbox_id: InboxId) -> Inbox | None:
        """See InboxStore."""
        return await self._first("inbox", (inbox_id, merchant_id))

    async def inboxes(self, merchant_id: MerchantId, window: Window) -> list[Inbox]:
        """See InboxStore."""
        after = NEWEST if window.after is None else window.after
        bindings = (merchant_id, after, window.limit)
        found = await self._read(lambda db: rows(db, _SQL["inboxes"], bindings))
        return [decode(Inbox, text) for (text,) in found]

    async def inbox_with(self, hashed: bytes) -> Inbox | None:
        """See InboxStore."""
        return await self._first("inbox_with", (hashed,))

    async def hear(self, inbox: Inbox, heard: Heard, *, kept_max: int) -> None:
        """See InboxStore."""

        def work(db: apsw.Connection) -> None:
            run(db, _SQL["hear"], (inbox.id, heard.id, encode(heard)))
            run(db, _SQL["keep_newest"], (inbox.id, kept_max))

        await self._write(Kind.QUICK, work)

    async def heard(
        self, merchant_id: MerchantId, inbox_id: InboxId, window: Window
    ) -> list[Heard]:
        """See InboxStore."""
        after = NEWEST if window.after is None else window.after
        bindings = (merchant_id, inbox_id, after, window.limit)
        found = await self._read(lambda db: rows(db, _SQL["heard"], bindings))
        return [decode(Heard, text) for (text,) in found]

    async def _first(self, name: str, bindings: tuple[bytes, ...]) -> Inbox | None:
        found = await self._read(lambda db: first(db, _SQL[name], bindings))
        return None if found is None else decode(Inbox, found[0])

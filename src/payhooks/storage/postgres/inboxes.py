"""Inboxes, and what was heard in them."""

from typing import Final

from payhooks.errors import WrongStateError
from payhooks.ids import InboxId, MerchantId
from payhooks.model.audit import AuditEntry
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Window
from payhooks.storage import documents, statements
from payhooks.storage.postgres.applying import write_secret
from payhooks.storage.postgres.auditing import Chain
from payhooks.storage.postgres.connections import Connections

_SQL: Final = statements.load("payhooks.storage.postgres", "inboxes.sql")


class PostgresInboxes:
    """See InboxStore."""

    _control: Connections

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
        document = documents.encode(inbox).decode()

        async def once() -> None:
            async with self._control.transaction() as connection:
                # Held until the end: two that are opened at once count each other.
                chain = await Chain.lock(connection, audit)
                if await connection.fetchrow(_SQL["inbox"], inbox.merchant_id, inbox.id):
                    return  # It came through, and its answer was lost.
                counted = await connection.fetchrow(_SQL["count_inboxes"], inbox.merchant_id)
                assert counted is not None
                if counted["count"] >= inboxes_max:
                    raise WrongStateError(f"A merchant has at most {inboxes_max} inboxes at once.")
                values = (inbox.merchant_id, inbox.id, hashed, document)
                await connection.execute(_SQL["insert_inbox"], *values)
                await write_secret(connection, secret)
                await chain.add()

        await self._control.persist(once)

    async def close_inbox(self, inbox: Inbox, *, audit: AuditEntry) -> bool:
        """See InboxStore."""

        async def once() -> bool:
            async with self._control.transaction() as connection:
                chain = await Chain.lock(connection, audit)
                key = (inbox.merchant_id, inbox.id)
                if await connection.fetchrow(_SQL["delete_inbox"], *key) is None:
                    return False
                await connection.execute(_SQL["forget_words"], *key)
                await connection.execute(_SQL["forget_heard"], inbox.id)
                await chain.add()
                return True

        return await self._control.persist(once)

    async def inbox(self, merchant_id: MerchantId, inbox_id: InboxId) -> Inbox | None:
        """See InboxStore."""
        rows = await self._control.call(_SQL["inbox"], merchant_id, inbox_id)
        return documents.decode(Inbox, rows[0]["document"]) if rows else None

    async def inboxes(self, merchant_id: MerchantId, window: Window) -> list[Inbox]:
        """See InboxStore."""
        rows = await self._control.call(_SQL["inboxes"], merchant_id, window.after, window.limit)
        return [documents.decode(Inbox, row["document"]) for row in rows]

    async def inbox_with(self, hashed: bytes) -> Inbox | None:
        """See InboxStore."""
        rows = await self._control.call(_SQL["inbox_with"], hashed)
        return documents.decode(Inbox, rows[0]["document"]) if rows else None

    async def hear(self, inbox: Inbox, heard: Heard, *, kept_max: int) -> None:
        """See InboxStore."""
        document = documents.encode(heard).decode()

        async def once() -> None:
            async with self._control.transaction() as connection:
                values = (inbox.merchant_id, inbox.id, heard.id, document)
                await connection.execute(_SQL["hear"], *values)
                await connection.execute(_SQL["keep_newest"], inbox.id, kept_max)

        await self._control.persist(once)

    async def heard(
        self, merchant_id: MerchantId, inbox_id: InboxId, window: Window
    ) -> list[Heard]:
        """See InboxStore."""
        bindings = (merchant_id, inbox_id, window.after, window.limit)
        rows = await self._control.call(_SQL["heard"], *bindings)
        return [documents.decode(Heard, row["document"]) for row in rows]

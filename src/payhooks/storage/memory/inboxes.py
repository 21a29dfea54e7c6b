"""Inboxes, and what was heard in them."""

from payhooks.errors import WrongStateError
from payhooks.ids import InboxId, MerchantId
from payhooks.model.audit import AuditEntry
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Window
from payhooks.storage.memory.controlling import page
from payhooks.storage.memory.tables import Tables


class MemoryInboxes:
    """See InboxStore."""

    _tables: Tables

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
        if len(self._of(inbox.merchant_id)) >= inboxes_max:
            raise WrongStateError(f"A merchant has at most {inboxes_max} inboxes at once.")
        self._tables.inboxes[hashed] = inbox
        self._tables.secrets[secret.id] = secret
        self._tables.log(audit)

    async def close_inbox(self, inbox: Inbox, *, audit: AuditEntry) -> bool:
        """See InboxStore."""
        open_ = {hashed: one for hashed, one in self._tables.inboxes.items() if one.id != inbox.id}
        if len(open_) == len(self._tables.inboxes):
            return False
        self._tables.inboxes = open_
        self._tables.heard.pop(inbox.id, None)
        for secret in list(self._tables.secrets.values()):
            if secret.owner_id == inbox.id:
                del self._tables.secrets[secret.id]
        self._tables.log(audit)
        return True

    async def inbox(self, merchant_id: MerchantId, inbox_id: InboxId) -> Inbox | None:
        """See InboxStore."""
        return next((one for one in self._of(merchant_id) if one.id == inbox_id), None)

    async def inboxes(self, merchant_id: MerchantId, window: Window) -> list[Inbox]:
        """See InboxStore."""
        return page(self._of(merchant_id), window)

    async def inbox_with(self, hashed: bytes) -> Inbox | None:
        """See InboxStore."""
        return self._tables.inboxes.get(hashed)

    async def hear(self, inbox: Inbox, heard: Heard, *, kept_max: int) -> None:
        """See InboxStore."""
        if any(one.id == inbox.id for one in self._tables.inboxes.values()):
            known = self._tables.heard.get(inbox.id, [])
            kept = sorted([*known, heard], key=lambda one: one.id)
            self._tables.heard[inbox.id] = kept[-kept_max:]

    async def heard(
        self, merchant_id: MerchantId, inbox_id: InboxId, window: Window
    ) -> list[Heard]:
        """See InboxStore."""
        if await self.inbox(merchant_id, inbox_id) is None:
            return []
        return page(self._tables.heard.get(inbox_id, []), window)

    def _of(self, merchant_id: MerchantId) -> list[Inbox]:
        return [one for one in self._tables.inboxes.values() if one.merchant_id == merchant_id]

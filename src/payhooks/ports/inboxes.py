"""What inboxes ask of the store: a few rows of each merchant, and their newest requests."""

from typing import Protocol

from payhooks.ids import InboxId, MerchantId
from payhooks.model.audit import AuditEntry
from payhooks.model.inbox import Heard, Inbox
from payhooks.model.secret import SealedSecret
from payhooks.ports.controlling import Window


class InboxStore(Protocol):
    """Inboxes at rest."""

    async def open_inbox(
        self,
        inbox: Inbox,
        *,
        hashed: bytes,
        secret: SealedSecret,
        audit: AuditEntry,
        inboxes_max: int,
    ) -> None:
        """Keep a new inbox: found by the hash of the word in its URL, which is sealed.

        Raises:
            WrongStateError: The merchant has *inboxes_max* already.

        """
        ...

    async def close_inbox(self, inbox: Inbox, *, audit: AuditEntry) -> bool:
        """Forget the inbox, its word and its requests; False where that was done before."""
        ...

    async def inbox(self, merchant_id: MerchantId, inbox_id: InboxId) -> Inbox | None:
        """Return the inbox."""
        ...

    async def inboxes(self, merchant_id: MerchantId, window: Window) -> list[Inbox]:
        """Return inboxes, newest first."""
        ...

    async def inbox_with(self, hashed: bytes) -> Inbox | None:
        """Return whose word in the URL has this hash."""
        ...

    async def hear(self, inbox: Inbox, heard: Heard, *, kept_max: int) -> None:
        """Keep a request, and of its inbox's only the newest; nothing where that was closed."""
        ...

    async def heard(
        self, merchant_id: MerchantId, inbox_id: InboxId, window: Window
    ) -> list[Heard]:
        """Return an inbox's requests, newest first."""
        ...

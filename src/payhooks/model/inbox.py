"""An inbox: a URL of ours for a sandbox merchant, whose requests can be looked at."""

from datetime import datetime

import msgspec

from payhooks.ids import InboxId, MerchantId, made_at


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """One inbox, without the word in its URL: that is sealed, and found by its hash."""

    id: InboxId
    merchant_id: MerchantId
    created_at: datetime


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One request that came. Headers that are credentials are hidden before it is kept."""

    id: bytes
    method: str
    query: str  # what the URL had behind the inbox's: see control/inboxes.behind
    headers: tuple[tuple[str, str], ...]  # names in lower case, in the order in which they came
    body: bytes
    status: int  # answered

    @property
    def at(self) -> datetime:
        """When it came, to the millisecond."""
        return made_at(self.id)

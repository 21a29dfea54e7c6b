"""The whole store, as bootstrap composes it."""

from typing import Protocol

from payhooks.ports.accepting import AcceptStore
from payhooks.ports.controlling import ControlStore
from payhooks.ports.identity import IdentityStore
from payhooks.ports.inboxes import InboxStore
from payhooks.ports.leasing import LeaseStore
from payhooks.ports.playing import PlayStore
from payhooks.ports.reading import ReadStore
from payhooks.ports.receiving import ReceivingStore
from payhooks.ports.settling import SettleStore
from payhooks.ports.sweeping import SweepStore
from payhooks.ports.tallying import TallyStore


class Store(
    AcceptStore,
    LeaseStore,
    SettleStore,
    SweepStore,
    ControlStore,
    PlayStore,
    InboxStore,
    IdentityStore,
    ReadStore,
    ReceivingStore,
    TallyStore,
    Protocol,
):
    """Everything at rest. Three adapters answer one contract suite: memory, SQLite, PostgreSQL."""

    async def close(self) -> None:
        """Finish what is under way and let go of the file or the connections."""
        ...
